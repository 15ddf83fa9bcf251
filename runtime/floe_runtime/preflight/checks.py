"""Every check is one entry in CHECKS; the runner knows nothing of any of them.

Each uses the client that the pipeline uses, does what the pipeline will do, and takes away what it wrote.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from floe_runtime import connect
from floe_runtime.contract.platform import DuckDB, FileStorage, Platform, Postgres, RestCatalog, S3Storage, SqlCatalog
from floe_runtime.contract.settings import value

Env = Mapping[str, str]


class CheckFailed(Exception):
    """A service does not do what is needed: at which step, why, and what to do."""

    def __init__(self, step: str, reason: str, remedy: str) -> None:
        super().__init__(f"failed on {step}: {reason}")
        self.remedy = remedy


@dataclass(frozen=True)
class Check:
    """One service.

    `part` picks what the check is about from the platform, None where it does not apply. `run` returns what it saw, in
    one line, and raises CheckFailed or FloeError.
    """

    id: str
    title: str
    applies: Callable[[Platform], bool]
    run: Callable[[Platform, Env], str]


def _duckdb(platform: Platform, _: Env) -> str:
    assert isinstance(platform.compute, DuckDB)
    connection = connect.duckdb_connection(platform.compute)
    try:
        row = connection.sql("select version(), sum(range)::bigint from range(1000)").fetchone()
    finally:
        connection.close()
    if row is None or row[1] != 499500:
        raise CheckFailed("query", "a sum over a thousand rows came out wrong", "install the packages anew: make setup")
    return f"DuckDB {row[0]}, {platform.compute.threads} threads, {platform.compute.memory_limit}"


def _file_storage(platform: Platform, _: Env) -> str:
    assert isinstance(platform.storage, FileStorage)
    folder = connect.local(platform.storage.path)
    probe = folder / f".floe-preflight-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"floe")
        same = probe.read_bytes() == b"floe"
        probe.unlink()
    except OSError as error:
        raise CheckFailed(
            "write", f"{folder}: {error.strerror}", "make the folder writable, or name another in storage.path"
        ) from None
    if not same:
        raise CheckFailed("read", f"{folder} gives back something else than was written", "check the disk")
    return f"{folder}: written, read, deleted"


def _s3_storage(platform: Platform, env: Env) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    assert isinstance(platform.storage, S3Storage)
    storage = platform.storage
    where = f"s3://{storage.bucket}"
    key = "/".join(part for part in (storage.prefix, f".floe-preflight-{uuid.uuid4().hex}") if part)
    step = "connection"
    try:
        client = connect.s3_client(storage, env)
        client.head_bucket(Bucket=storage.bucket)
        step = "write"
        client.put_object(Bucket=storage.bucket, Key=key, Body=b"floe")
        step = "read"
        same = client.get_object(Bucket=storage.bucket, Key=key)["Body"].read() == b"floe"
        step = "delete"
        client.delete_object(Bucket=storage.bucket, Key=key)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        remedies = {
            401: f"check the credentials in {storage.access_key.env} and {storage.secret_key.env}",
            403: f"check the credentials in {storage.access_key.env} and {storage.secret_key.env}, "
            f"and that they may list the bucket, and put, get and delete in it",
            404: f"create the bucket {storage.bucket}, or mend storage.bucket",
        }
        step = {401: "authentication", 403: "authorization", 404: "bucket"}.get(status, step)
        reason = f"{where}: {error.response.get('Error', {}).get('Message') or 'refused'} (HTTP {status})"
        raise CheckFailed(step, reason, remedies.get(status, "look into the object store's log")) from None
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise CheckFailed(
            step, f"{where}: {error}", "check storage.endpoint, and that it can be reached from here"
        ) from None
    if not same:
        raise CheckFailed(
            "read", f"{where} gives back something else than was written", "look into the object store's log"
        )
    return f"{where}: written, read, deleted"


def _sql_catalog(platform: Platform, env: Env) -> str:
    from sqlalchemy.exc import SQLAlchemyError

    assert isinstance(platform.catalog, SqlCatalog)
    file = connect.local(platform.catalog.path)
    try:
        found = connect.open_catalog(platform, env).list_namespaces()
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error)
        raise CheckFailed(
            "connection", f"{file}: {reason}", "make the file's folder writable, or name another in catalog.path"
        ) from None
    return f"{file}: {len(found)} namespaces"


def _rest_catalog(platform: Platform, env: Env) -> str:
    import requests
    from pyiceberg.exceptions import (
        AuthorizationExpiredError,
        BadRequestError,
        ForbiddenError,
        NoSuchNamespaceError,
        OAuthError,
        RESTError,
        UnauthorizedError,
    )

    assert isinstance(platform.catalog, RestCatalog)
    catalog = platform.catalog
    uri = value(catalog.uri, env)
    credentials = f"check {catalog.client_id.env} and {catalog.client_secret.env}, and that the principal exists"
    try:
        found = connect.open_catalog(platform, env).list_namespaces()
    except (OAuthError, UnauthorizedError, AuthorizationExpiredError):
        raise CheckFailed("authentication", f"{uri}: the catalog refuses the credentials", credentials) from None
    except ForbiddenError:
        grant = f"grant the principal's role access to the warehouse {catalog.warehouse}"
        raise CheckFailed("authorization", f"{uri}: the principal may not list namespaces", grant) from None
    except (NoSuchNamespaceError, BadRequestError) as error:
        mend = f"create the warehouse {catalog.warehouse}, or mend catalog.warehouse and catalog.uri"
        raise CheckFailed("warehouse", f"{uri}: {_first_line(error)}", mend) from None
    except requests.RequestException as error:
        reason = _first_line(getattr(error.args[0], "reason", error) if error.args else error)
        raise CheckFailed(
            "connection", f"{uri}: {reason}", "check catalog.uri, and that it can be reached from here"
        ) from None
    except (RESTError, ValueError) as error:
        raise CheckFailed(
            "answer", f"{uri}: {_first_line(error)}", "check that catalog.uri is that of an Iceberg REST catalog"
        ) from None
    return f"{uri}: token granted, warehouse {catalog.warehouse}, {len(found)} namespaces"


def _postgres(platform: Platform, env: Env) -> str:
    driver = connect.postgres_driver()
    # Asked for by a person where platform.yaml keeps the metadata elsewhere: then the defaults' variables say where.
    postgres = platform.metadata if isinstance(platform.metadata, Postgres) else Postgres(kind="postgres")
    where = f"{value(postgres.host, env)}:{value(postgres.port, env)}/{value(postgres.database, env)}"
    try:
        with closing(connect.postgres_connection(postgres, env)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("select current_setting('server_version'), has_schema_privilege(current_schema(), 'CREATE')")
            row = cursor.fetchone()
    except driver.OperationalError as error:
        step, remedy = _postgres_remedy(str(error), where)
        raise CheckFailed(step, f"{where}: {_first_line(error)}", remedy) from None
    except driver.Error as error:
        raise CheckFailed("query", f"{where}: {_first_line(error)}", "look into the server's log") from None
    version, may_create = row or ("?", False)
    if not may_create:
        grant = f"as the database's owner: GRANT CREATE ON SCHEMA public TO {value(postgres.user, env)}"
        raise CheckFailed("authorization", f"{where}: the user may not create tables, which Dagster does", grant)
    return f"{where}: PostgreSQL {version}, may create tables"


_POSTGRES_REMEDIES = (  # libpq gives no code for a connection that fails, only words
    ("password authentication failed", "authentication", "check the user and the password of platform.yaml's metadata"),
    ("no password supplied", "authentication", "export FLOE_POSTGRES_PASSWORD=…"),
    ("no pg_hba.conf entry", "authentication", "let this host in: pg_hba.conf on the server"),
    (r'role ".*" does not exist', "authentication", "create the role: createuser NAME"),
    (r'database ".*" does not exist', "database", "create the database: createdb NAME"),
    ("SSL", "connection", "check metadata.sslmode against what the server offers"),
)


def _postgres_remedy(message: str, where: str) -> tuple[str, str]:
    for pattern, step, remedy in _POSTGRES_REMEDIES:
        if re.search(pattern, message):
            return step, remedy
    return "connection", f"check that PostgreSQL runs and listens at {where} (FLOE_POSTGRES_HOST, FLOE_POSTGRES_PORT)"


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


POSTGRES = "metadata-postgres"

CHECKS: tuple[Check, ...] = (
    Check("compute-duckdb", "compute: DuckDB", lambda p: isinstance(p.compute, DuckDB), _duckdb),
    Check("storage-file", "storage: folder", lambda p: isinstance(p.storage, FileStorage), _file_storage),
    Check("storage-s3", "storage: S3 bucket", lambda p: isinstance(p.storage, S3Storage), _s3_storage),
    Check("catalog-sql", "catalog: SQL", lambda p: isinstance(p.catalog, SqlCatalog), _sql_catalog),
    Check("catalog-rest", "catalog: Iceberg REST", lambda p: isinstance(p.catalog, RestCatalog), _rest_catalog),
    Check(POSTGRES, "metadata: PostgreSQL", lambda p: isinstance(p.metadata, Postgres), _postgres),
)
