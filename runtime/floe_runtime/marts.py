"""Publishes marts that passed their tests: as snapshots of Iceberg tables, and as Parquet files that Cube reads."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from floe_runtime.connect import local, open_catalog, s3_client, trino_connection
from floe_runtime.contract.platform import Platform, S3Storage, Trino


@dataclass(frozen=True)
class Published:
    """A published mart. `rows`: the number of rows in the table's current snapshot."""

    mart: str
    rows: int
    snapshot_id: int | None


def publish(scratch: str, marts: Sequence[str], namespace: str, platform: Platform) -> list[Published]:
    """Replace the content of each mart's Iceberg table by that in the run's scratch, then the files that Cube reads.

    `scratch`: the scratch database or schema. A table is replaced by one commit, a file by one rename, so a reader sees
    either the old or the new content.
    """
    if isinstance(platform.compute, Trino):
        return _publish_in_trino(platform.compute, scratch, marts, namespace)
    return _publish_from_file(scratch, marts, namespace, platform)


def _publish_in_trino(compute: Trino, scratch: str, marts: Sequence[str], namespace: str) -> list[Published]:
    """Let Trino copy the tables, so that no rows pass through this process."""
    published = []
    with closing(trino_connection(compute)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"create schema if not exists {compute.catalog}.{namespace}").fetchall()
        for mart in marts:
            table = f'{compute.catalog}.{namespace}."{mart}"'
            source = f'{compute.catalog}.{scratch}."{mart}"'
            cursor.execute(f"create or replace table {table} as select * from {source}")  # noqa: S608 # names from the contract
            ((rows,),) = cursor.fetchall()
            refs = f'{compute.catalog}.{namespace}."{mart}$refs"'
            cursor.execute(f"select snapshot_id from {refs} where name = 'main'")  # noqa: S608 # names from the contract
            ((snapshot_id,),) = cursor.fetchall()
            published.append(Published(mart, rows, snapshot_id))
    return published


def _publish_from_file(scratch: str, marts: Sequence[str], namespace: str, platform: Platform) -> list[Published]:
    # Read all tables before writing any, so that a missing mart stops the publication before it begins.
    with duckdb.connect(scratch, read_only=True) as connection:
        content = {mart: connection.table(f"marts.{mart}").to_arrow_table() for mart in marts}
    catalog = open_catalog(platform)
    catalog.create_namespace_if_not_exists(namespace)
    published = [_replace(catalog, (namespace, mart), rows) for mart, rows in content.items()]
    if platform.marts.kind == "parquet":
        for mart, rows in content.items():
            _export(platform, f"{namespace}/{mart}.parquet", rows)
    return published


def _replace(catalog: Catalog, identifier: tuple[str, str], rows: pa.Table) -> Published:
    try:
        table: Table = catalog.load_table(identifier)
    except NoSuchTableError:
        table = catalog.create_table_if_not_exists(identifier, schema=rows.schema)
    with table.transaction() as transaction:
        if table.schema().as_arrow().names != rows.schema.names:
            with transaction.update_schema() as update:
                update.union_by_name(rows.schema)
        if table.current_snapshot() is None:
            transaction.append(rows)
        else:
            transaction.overwrite(rows)
    snapshot = table.current_snapshot()
    return Published(identifier[1], rows.num_rows, snapshot.snapshot_id if snapshot else None)


def _export(platform: Platform, file: str, rows: pa.Table) -> None:
    """Replace a mart's Parquet file in one step, so that a reader sees either the old or the new file.

    `file`: its path below the path of the platform's marts.
    """
    if platform.marts.path.startswith("s3://"):
        assert isinstance(platform.storage, S3Storage)  # the contract's validator ensures it
        bucket, _, prefix = platform.marts.path.removeprefix("s3://").partition("/")
        content = pa.BufferOutputStream()
        pq.write_table(rows, content)
        body = content.getvalue().to_pybytes()
        s3_client(platform.storage).put_object(Bucket=bucket, Key=f"{prefix}/{file}".lstrip("/"), Body=body)
        return
    target = local(platform.marts.path) / file
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.{os.getpid()}.{uuid.uuid4().hex}.part")
    try:
        pq.write_table(rows, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
