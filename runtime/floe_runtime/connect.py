"""Opening what a platform names: one place, so that preflight checks with the very client that the pipeline uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
from floe_runtime.contract.settings import number, secret, value

if TYPE_CHECKING:
    import duckdb
    import trino.dbapi
    from pyiceberg.catalog import Catalog

Env = Mapping[str, str]
_SECONDS = 10  # to wait for an answer before a service counts as unreachable


def local(path: str) -> Path:
    """A path of platform.yaml; a relative one lies in the repository, as the embedded default has them."""
    return Path(path) if Path(path).is_absolute() else checkout.root() / path


def duckdb_connection(compute: DuckDB) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory with the platform's limits."""
    import duckdb

    return duckdb.connect(":memory:", config={"threads": compute.threads, "memory_limit": compute.memory_limit})


def trino_connection(compute: Trino, env: Env = os.environ) -> trino.dbapi.Connection:
    """A connection to the cluster, which is asked nothing yet. Raises Missing where a variable is not set."""
    import trino.auth
    import trino.dbapi

    user = value(compute.user, env)
    password = secret(compute.password, env).get_secret_value() if compute.password else None
    connection: trino.dbapi.Connection = trino.dbapi.connect(  # type: ignore[no-untyped-call] # trino types it not
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
    """boto3's client for the bucket. Raises Missing where a variable is not set."""
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
    """URI under which an embedded catalog puts its tables."""
    if isinstance(storage, FileStorage):
        return f"file://{local(storage.path)}"
    return "/".join(part for part in (f"s3://{storage.bucket}", storage.prefix) if part)


def catalog_properties(platform: Platform, env: Env = os.environ) -> dict[str, str]:
    """Pyiceberg's properties for the platform's catalog and storage; some are secrets, so nobody prints them.

    Raises Missing where a variable is not set.
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
        return properties | {"type": "sql", "uri": f"sqlite:///{local(catalog.path)}", "warehouse": warehouse(storage)}
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
    """Where the catalog hands out OAuth2 tokens."""
    if catalog.token_uri:
        return value(catalog.token_uri, env)
    return f"{value(catalog.uri, env).rstrip('/')}/v1/oauth/tokens"


def open_catalog(platform: Platform, env: Env = os.environ) -> Catalog:
    """The platform's Iceberg catalog. Raises what pyiceberg raises, and Missing where a variable is not set."""
    from pyiceberg.catalog import load_catalog

    if isinstance(platform.catalog, SqlCatalog):
        local(platform.catalog.path).parent.mkdir(parents=True, exist_ok=True)
    return load_catalog("floe", **catalog_properties(platform, env))


def postgres_driver() -> Any:
    """Psycopg or, in the production image, the psycopg2 that Dagster brings: what is asked of either is DB-API 2."""
    try:
        import psycopg
    except ImportError:
        import psycopg2

        return psycopg2
    return psycopg


def postgres_connection(postgres: Postgres, env: Env = os.environ) -> Any:
    """A connection to Dagster's database. Raises the driver's Error, and Missing where a variable is not set."""
    known = postgres.password.secret or env.get(postgres.password.env)
    return postgres_driver().connect(
        host=value(postgres.host, env),
        port=number(postgres.port, env),
        dbname=value(postgres.database, env),
        user=value(postgres.user, env),
        password=secret(postgres.password, env).get_secret_value() if known else None,
        sslmode=postgres.sslmode,
        connect_timeout=_SECONDS,
        application_name="floe",
    )
