"""Publishes marts that passed their tests: as snapshots of Iceberg tables, and as the list of files that Cube reads.

Each mart is published in one commit, which the catalog refuses unless the mart is as it was when the run began. When
all marts are published, one commit names the snapshots that belong together (floe_runtime.inputs), and then one file
does for Cube. A run that is killed before that has published nothing: the next one sets its marts back.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
from pyiceberg.io.pyarrow import PYARROW_PARQUET_FIELD_ID_KEY, pyarrow_to_schema
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform

from floe_runtime import tables, trino_marts
from floe_runtime.connect import local, open_catalog, s3_client
from floe_runtime.contract.app import FULL_REFRESH
from floe_runtime.contract.platform import Platform, S3Storage, Trino
from floe_runtime.errors import FloeError
from floe_runtime.iceberg_plugin import PUBLISHED
from floe_runtime.inputs import FENCE, Inputs, Publication, Superseded, conclude

LIST = "marts.json"
"""The file in the folder of a namespace that lists the data files of its marts."""


@dataclass(frozen=True)
class Mart:
    """A mart of a dbt project: its unique key, and the column whose day partitions it. Without a key it is replaced."""

    name: str
    key: tuple[str, ...] = ()
    event_time: str | None = None


@dataclass(frozen=True)
class Published:
    """A mart after a publication. `rows`: the number of rows in its snapshot."""

    mart: str
    rows: int
    snapshot_id: int | None


def is_mart(node: Mapping[str, Any]) -> bool:
    """Whether a node of dbt's manifest is a mart."""
    return bool(node["resource_type"] == "model" and node["config"].get("schema") == "marts")


def marts_of(manifest: Mapping[str, Any]) -> list[Mart]:
    """The marts in dbt's manifest. An incremental model is added to, any other is replaced."""
    found = []
    for node in manifest["nodes"].values():
        if is_mart(node):
            config = node["config"]
            key = config.get("unique_key") or () if config["materialized"] == "incremental" else ()
            found.append(Mart(node["name"], (key,) if isinstance(key, str) else tuple(key), config.get("event_time")))
    return found


def write(scratch: str, marts: Sequence[Mart], inputs: Inputs, platform: Platform, run_id: str) -> Publication:
    """Commit to the marts what a run has built in its scratch database or schema; returns what `publish` needs.

    Raises Superseded if another run has published since this one began.
    """
    catalog = open_catalog(platform)
    if isinstance(platform.compute, Trino):
        newest = trino_marts.publish(platform.compute, scratch, marts, inputs, catalog)
    else:
        newest = _publish(scratch, marts, inputs, catalog)
    newest = (
        min(newest, datetime.now(UTC).date()) if newest else None
    )  # a wrong date would end the lookback of all others
    found = _load(catalog, inputs, (mart.name for mart in marts))
    return Publication(
        number=inputs.last.number + 1,
        run_id=run_id,
        marts={name: table.metadata.current_snapshot_id for name, table in found.items()},
        raw={name: raw.position for name, raw in inputs.raw.items()},
        newest=max(filter(None, [newest, inputs.last.newest if inputs.incremental else None]), default=None),
    )


def publish(publication: Publication, inputs: Inputs, platform: Platform) -> list[Published]:
    """Let all marts that were written count as published; returns them, also the unchanged ones.

    Raises Superseded if another run has published since this one began.
    """
    catalog = open_catalog(platform)
    conclude(catalog, inputs, publication)
    found = _load(catalog, inputs, publication.marts)
    if platform.marts.kind == "parquet":
        list_files(platform, inputs.marts_namespace, publication.number, found)
    return [Published(name, tables.rows_of(table), table.metadata.current_snapshot_id) for name, table in found.items()]


def _load(catalog: Catalog, inputs: Inputs, names: Iterable[str]) -> dict[str, Table]:
    return {name: catalog.load_table((inputs.marts_namespace, name)) for name in names}


def _publish(scratch: str, marts: Sequence[Mart], inputs: Inputs, catalog: Catalog) -> date | None:
    """Publish the marts from a scratch database; returns the newest day of a mart that has days."""
    newest: list[date] = []
    with duckdb.connect(scratch) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name in list(inputs.last.marts)[:1]:  # the views of the database read files that are all in one storage
            tables.open_storage(connection, catalog.load_table((inputs.marts_namespace, name)))
        known = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
        known |= {name for (name,) in connection.execute("select view_name from duckdb_views()").fetchall()}
        missing = [mart.name for mart in marts if mart.name not in known]
        if missing:  # stop the publication before it begins
            raise RuntimeError(f"the run has not built {', '.join(missing)}")
        for mart in marts:
            newest += _one(_Scratch(connection, mart), inputs, catalog)
    return max(newest, default=None)


@dataclass(frozen=True)
class _Scratch:
    """A mart in the scratch database: what the run has built."""

    connection: duckdb.DuckDBPyConnection
    mart: Mart

    def query(self, sql: str) -> duckdb.DuckDBPyConnection:
        """The result of a query. {mart}, {delta} and {published} stand for relations, {day} and {key} for columns."""
        name = self.mart.name
        places = {"mart": f"marts.{tables.quoted(name)}", "delta": f"marts.{tables.quoted(name + '__delta')}"}
        places |= {"published": f"{PUBLISHED}.{tables.quoted(name)}", "day": f"cast({self.mart.event_time} as date)"}
        places |= {"key": ", ".join(self.mart.key), "time": self.mart.event_time or ""}
        return self.connection.execute(sql.format_map(places))


def _one(built: _Scratch, inputs: Inputs, catalog: Catalog) -> list[date]:
    """Publish one mart, unless nothing has changed; returns the days that were written, if the mart has days."""
    mart = built.mart
    _refuse_if_moved(mart, inputs, catalog)
    adds = inputs.incremental and bool(mart.key)
    if adds:
        replaced = "select * from {published} where ({key}) in (select ({key}) from {delta})"
        built.query(f"create or replace temp table changed as (from {{delta}} except {replaced})")
        different = "from changed"
    elif inputs.incremental:
        different = "(from {mart} except all from {published}) union all (from {published} except all from {mart})"
    if inputs.incremental and not built.query(f"select 1 from ({different}) limit 1").fetchall():  # noqa: S608 # names of the project
        return []
    days: list[date] = []
    if mart.event_time:
        left = "select {day} from {published} where ({key}) in (select ({key}) from changed)"
        touched = f"select {{day}} from changed union {left}" if adds else "select distinct {day} from {mart}"  # noqa: S608 # names of the project
        days = [day for (day,) in built.query(f"{touched} order by 1").fetchall()]
    table = _table(built, inputs, catalog)
    old = tables.live_files(table, table.metadata.current_snapshot_id)
    if adds and mart.event_time:
        old = [file for file in old if file.partition[0] in map(_number, days)]
    whole: list[date | None] = [None]
    _exchange(table, old, days if mart.event_time else whole, built)
    return days


def _refuse_if_moved(mart: Mart, inputs: Inputs, catalog: Catalog) -> None:
    if mart.name in inputs.last.marts:
        current = catalog.load_table((inputs.marts_namespace, mart.name)).metadata.current_snapshot_id
        if current != inputs.last.marts[mart.name]:
            raise Superseded(f"the mart {mart.name} was published by another run")


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _exchange(table: Table, old: list[DataFile], days: Sequence[date | None], built: _Scratch) -> None:
    from floe_synthetic.datafiles import discard, exchange, write_rows

    files: list[DataFile] = []
    types = {tables.quoted(name): kind for _, name, kind in tables.columns(table)}
    columns = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in types.items())
    try:
        for day in days:
            part = (
                "" if day is None else f"where {{time}} >= date '{day}' and {{time}} < date '{day + timedelta(days=1)}'"
            )
            order = " order by {key}" if built.mart.key else ""
            rows: pa.Table = built.query(f"select {columns} from {{mart}} {part}{order}").to_arrow_table()  # noqa: S608 # quoted names of columns, and a date
            if rows.num_rows:
                files += write_rows(table, rows, [] if day is None else [_number(day)], one_file=True)
    except duckdb.ConversionException as error:
        discard(table, files)
        raise FloeError(
            f"a value of the mart {built.mart.name} does not fit the type of its published column: {error}",
            f"Start a run with the tag {FULL_REFRESH}: true. It makes the mart anew.",
        ) from None
    except BaseException:
        discard(table, files)
        raise
    try:
        exchange(table, old, files, {})
    except (CommitFailedException, ValidationException):
        raise Superseded(f"the mart {built.mart.name} was published by another run") from None


def _table(built: _Scratch, inputs: Inputs, catalog: Catalog) -> Table:
    """The table of a mart. In a run that builds everything, one that has other columns or days is made anew."""
    identifier = (inputs.marts_namespace, built.mart.name)
    rows = built.query("select * from {mart} limit 0").to_arrow_table().schema
    ids = [field.with_metadata({PYARROW_PARQUET_FIELD_ID_KEY: str(id_)}) for id_, field in enumerate(rows, start=1)]
    schema = pyarrow_to_schema(pa.schema(ids))
    spec, day = UNPARTITIONED_PARTITION_SPEC, built.mart.event_time
    if day:
        spec = PartitionSpec(PartitionField(schema.find_field(day).field_id, 1000, DayTransform(), f"{day}_day"))
    try:
        table = catalog.load_table(identifier)
    except NoSuchTableError:
        return catalog.create_table(identifier, schema, partition_spec=spec, properties=FENCE)
    same = schema.as_struct() == table.schema().as_struct() and table.spec().compatible_with(spec)
    if not same and not inputs.incremental:
        catalog.drop_table(identifier)
        return catalog.create_table(identifier, schema, partition_spec=spec, properties=FENCE)
    return table


def list_files(platform: Platform, namespace: str, number: int, marts: Mapping[str, Table]) -> None:
    """Replace the list of files that Cube reads, in one step: a reader sees all marts of one publication.

    The files never change. What a later publication replaces stays until maintenance deletes unused files.
    """
    content: dict[str, Any] = {"publication": number, "marts": {}}
    for name, table in marts.items():
        files = tables.live_files(table, table.metadata.current_snapshot_id)
        content["marts"][name] = tables.select(tables.columns(table), [tables.location(file) for file in files])
    _write(platform, f"{namespace}/{LIST}", json.dumps(content, indent=1).encode())


def _write(platform: Platform, file: str, body: bytes) -> None:
    """Replace a file below the path of the platform's marts in one step."""
    if platform.marts.path.startswith("s3://"):
        assert isinstance(platform.storage, S3Storage)  # the contract's validator ensures it
        bucket, _, prefix = platform.marts.path.removeprefix("s3://").partition("/")
        s3_client(platform.storage).put_object(Bucket=bucket, Key=f"{prefix}/{file}".lstrip("/"), Body=body)
        return
    target = local(platform.marts.path) / file
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.{os.getpid()}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(body)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
