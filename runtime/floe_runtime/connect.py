"""Clients of the services that a platform names. Preflight uses the same clients as the pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_runtime import checkout
from floe_runtime.contract.platform import (
    DuckDB,
    FileStorage,
    Platform,
    Postgres,
    RestCatalog,
    S3Storage,
    SqlCatalog,
    Trino,
)
from floe_runtime.contract.refs import number, secret, value

if TYPE_CHECKING:
    import duckdb
    import trino.dbapi
    from pyiceberg.catalog import Catalog

Env = Mapping[str, str]
_SECONDS = 10  # how long to wait for an answer before a service counts as unreachable
_WAIT_SECONDS = 30  # how long a commit to a catalog in a file waits for another one


def local(path: str) -> Path:
    """A path of platform.yaml. A relative path, as in the embedded environment, starts at the repository's root."""
    return Path(path) if Path(path).is_absolute() else checkout.root() / path


def duckdb_connection(compute: DuckDB) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory with the platform's limits."""
    import duckdb

    return duckdb.connect(":memory:", config={"threads": compute.threads, "memory_limit": compute.memory_limit})


def trino_connection(compute: Trino, env: Env = os.environ) -> trino.dbapi.Connection:
    """A connection to Trino; sends no request yet. Raises Missing if a variable is not set."""
    import trino.auth
    import trino.dbapi

    user = value(compute.user, env)
    password = secret(compute.password, env).get_secret_value() if compute.password else None
    connection: trino.dbapi.Connection = trino.dbapi.connect(  # type: ignore[no-untyped-call] # not typed by trino
        host=value(compute.host, env),
        port=number(compute.port, env),
        http_scheme=compute.http_scheme,
        user=user,
        auth=trino.auth.BasicAuthentication(user, password) if password else None,
        catalog=compute.catalog,
        source="floe",
    )
    return connection


def s3_client(storage: S3Storage, env: Env = os.environ) -> Any:
    """A boto3 client for the bucket. Raises Missing if a variable is not set."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=value(storage.endpoint, env) if storage.endpoint else None,
        region_name=value(storage.region, env),
        aws_access_key_id=secret(storage.access_key, env).get_secret_value(),
        aws_secret_access_key=secret(storage.secret_key, env).get_secret_value(),
        config=Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"max_attempts": 1}),
    )


def warehouse(storage: FileStorage | S3Storage) -> str:
    """The URI below which a SQL catalog stores its tables."""
    if isinstance(storage, FileStorage):
        return f"file://{local(storage.path)}"
    return "/".join(part for part in (f"s3://{storage.bucket}", storage.prefix) if part)


def catalog_properties(platform: Platform, env: Env = os.environ) -> dict[str, str]:
    """PyIceberg's properties for the platform's catalog and storage. Do not print them: some are secrets.

    Raises Missing if a variable is not set.
    """
    properties: dict[str, str] = {}
    storage, catalog = platform.storage, platform.catalog
    if isinstance(storage, S3Storage):
        properties |= {
            "s3.region": value(storage.region, env),
            "s3.access-key-id": secret(storage.access_key, env).get_secret_value(),
            "s3.secret-access-key": secret(storage.secret_key, env).get_secret_value(),
            "s3.connect-timeout": str(_SECONDS),
        }
        if storage.endpoint:
            properties["s3.endpoint"] = value(storage.endpoint, env)
    if isinstance(catalog, SqlCatalog):
        uri = f"sqlite:///{local(catalog.path)}?timeout={_WAIT_SECONDS}"
        return properties | {"type": "sql", "uri": uri, "warehouse": warehouse(storage)}
    credential = f"{value(catalog.client_id, env)}:{secret(catalog.client_secret, env).get_secret_value()}"
    properties |= {
        "type": "rest",
        "uri": value(catalog.uri, env),
        "warehouse": catalog.warehouse,
        "credential": credential,
        "scope": catalog.scope,
        "oauth2-server-uri": token_uri(catalog, env),
    }
    return properties


def token_uri(catalog: RestCatalog, env: Env = os.environ) -> str:
    """The URI at which the catalog issues OAuth2 tokens."""
    if catalog.token_uri:
        return value(catalog.token_uri, env)
    return f"{value(catalog.uri, env).rstrip('/')}/v1/oauth/tokens"


def open_catalog(platform: Platform, env: Env = os.environ) -> Catalog:
    """The platform's Iceberg catalog. Raises Missing if a variable is not set, and PyIceberg's own exceptions."""
    from pyiceberg.catalog import load_catalog

    if isinstance(platform.catalog, SqlCatalog):
        _let_readers_not_block(local(platform.catalog.path))
    return load_catalog("floe", **catalog_properties(platform, env))


def _let_readers_not_block(file: Path) -> None:
    """Let a commit to a catalog in a file succeed while somebody reads the catalog: SQLite's write-ahead log does that.

    The file keeps the setting. Source: https://www.sqlite.org/wal.html
    """
    import sqlite3

    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as connection:
        connection.execute("pragma journal_mode = wal")


def postgres_driver() -> Any:
    """Psycopg or, in the production image, psycopg2, which Dagster depends on. Callers use only DB-API 2."""
    try:
        import psycopg
    except ImportError:
        import psycopg2

        return psycopg2
    return psycopg


def postgres_connection(postgres: Postgres, env: Env = os.environ) -> Any:
    """A connection to Dagster's database. Raises Missing if a variable is not set, and the driver's Error."""
    has_password = postgres.password.secret or env.get(postgres.password.env)
    return postgres_driver().connect(
        host=value(postgres.host, env),
        port=number(postgres.port, env),
        dbname=value(postgres.database, env),
        user=value(postgres.user, env),
        password=secret(postgres.password, env).get_secret_value() if has_password else None,
        sslmode=postgres.sslmode,
        connect_timeout=_SECONDS,
        application_name="floe",
    )
