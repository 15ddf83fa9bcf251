"""The checks of `floe preflight`. To add one, add an entry to CHECKS; the runner needs no change.

Each check uses the same client as the pipeline, does what the pipeline will do, and deletes what it wrote.
"""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from floe_runtime import connect
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
from floe_runtime.contract.refs import Ref, number, renew, value

Env = Mapping[str, str]


class CheckFailed(Exception):
    """A service does not do what the pipeline needs."""

    def __init__(self, step: str, reason: str, remedy: str) -> None:
        """`step`: the step that failed, such as "authentication". `remedy`: what to do, as a full sentence."""
        super().__init__(f"failed on {step}: {reason}")
        self.step = step
        self.remedy = remedy


REFUSED = frozenset({"authentication", "authorization"})
"""The steps that fail if a service does not accept the credentials, or they do not allow what the pipeline does."""


@dataclass(frozen=True)
class Check:
    """The check of one service.

    `applies`: whether the platform uses this service. `run`: does the check; it returns one line that describes what it
    found, and raises CheckFailed or FloeError.
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
        raise CheckFailed("query", "a sum over a thousand rows is wrong", "Reinstall the packages with `make setup`.")
    return f"DuckDB {row[0]}, {platform.compute.threads} threads, {platform.compute.memory_limit}"


def _trino(platform: Platform, env: Env) -> str:
    from trino.exceptions import Error, HttpError, TrinoConnectionError

    assert isinstance(platform.compute, Trino)
    compute = platform.compute
    where = f"{compute.http_scheme}://{value(compute.host, env)}:{number(compute.port, env)}"
    reach = "Check compute.host and compute.port, and that Trino is up and can be reached from here."
    try:
        with closing(connect.trino_connection(compute, env)) as connection:
            namespaces = connection.cursor().execute(f"show schemas from {compute.catalog}").fetchall()
    except HttpError as error:  # its message is `error CODE: CONTENT`
        if re.match(r"error 40[13]\b", str(error)):
            user = [ref for ref in (compute.user, compute.password) if isinstance(ref, Ref)]
            remedy = renew(*user) if user else f"Check that Trino lets {compute.user} in."
            raise CheckFailed("authentication", f"{where}: Trino refuses the credentials", remedy) from None
        raise CheckFailed("connection", f"{where}: {_first_line(error)}", reach) from None
    except TrinoConnectionError as error:
        raise CheckFailed("connection", f"{where}: {_reason(error.__context__ or error)}", reach) from None
    except Error as error:
        remedy = f"Check that Trino has the catalog {compute.catalog}, and that {value(compute.user, env)} may use it."
        raise CheckFailed("catalog", f"{where}: {getattr(error, 'message', error)}", remedy) from None
    return f"{where}: catalog {compute.catalog}, {len(namespaces)} schemas"


_FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system answers if a disk, or the part of it that a user may fill, is full."""


def _file_storage(platform: Platform, _: Env) -> str:
    assert isinstance(platform.storage, FileStorage)
    folder = connect.local(platform.storage.path)
    probe = folder / f".floe-preflight-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(b"floe")
            same = probe.read_bytes() == b"floe"
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        remedy = "Free space there" if error.errno in _FULL else "Make the folder writable"
        raise CheckFailed(
            "write", f"{folder}: {error.strerror}", f"{remedy}, or set another one in storage.path."
        ) from None
    if not same:
        raise CheckFailed("read", f"{folder} returns other data than was written", "Check the disk.")
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
            401: renew(storage.access_key, storage.secret_key),
            403: f"{renew(storage.access_key, storage.secret_key)} They must allow to list the bucket, and to put, get "
            "and delete objects in it.",
            404: f"Create the bucket {storage.bucket}, or correct storage.bucket.",
        }
        step = {401: "authentication", 403: "authorization", 404: "bucket"}.get(status, step)
        reason = f"{where}: {error.response.get('Error', {}).get('Message') or 'refused'} (HTTP {status})"
        raise CheckFailed(step, reason, remedies.get(status, "Read the object store's log.")) from None
    except (BotoCoreError, ValueError) as error:  # ValueError: the endpoint is not a URL
        raise CheckFailed(
            step, f"{where}: {error}", "Check storage.endpoint, and that it can be reached from here."
        ) from None
    if not same:
        raise CheckFailed("read", f"{where} returns other data than was written", "Read the object store's log.")
    return f"{where}: written, read, deleted"


def _sql_catalog(platform: Platform, env: Env) -> str:
    from sqlalchemy.exc import SQLAlchemyError

    assert isinstance(platform.catalog, SqlCatalog)
    file = connect.local(platform.catalog.path)
    try:
        namespaces = connect.open_catalog(platform, env).list_namespaces()
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error)
        raise CheckFailed(
            "connection", f"{file}: {reason}", "Make the file's folder writable, or set another file in catalog.path."
        ) from None
    return f"{file}: {len(namespaces)} namespaces"


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
    credentials = f"{renew(catalog.client_id, catalog.client_secret)} The principal must exist."
    try:
        namespaces = connect.open_catalog(platform, env).list_namespaces()
    except (OAuthError, UnauthorizedError, AuthorizationExpiredError):
        raise CheckFailed("authentication", f"{uri}: the catalog refuses the credentials", credentials) from None
    except ForbiddenError:
        grant = f"Grant the principal's role access to the warehouse {catalog.warehouse}."
        raise CheckFailed("authorization", f"{uri}: the principal may not list namespaces", grant) from None
    except (NoSuchNamespaceError, BadRequestError) as error:
        create = f"Create the warehouse {catalog.warehouse}, or correct catalog.warehouse and catalog.uri."
        raise CheckFailed("warehouse", f"{uri}: {_first_line(error)}", create) from None
    except requests.RequestException as error:
        raise CheckFailed(
            "connection", f"{uri}: {_reason(error)}", "Check catalog.uri, and that it can be reached from here."
        ) from None
    except (RESTError, ValueError) as error:
        raise CheckFailed(
            "answer", f"{uri}: {_first_line(error)}", "Check that catalog.uri is the URI of an Iceberg REST catalog."
        ) from None
    return f"{uri}: token granted, warehouse {catalog.warehouse}, {len(namespaces)} namespaces"


def _postgres(platform: Platform, env: Env) -> str:
    driver = connect.postgres_driver()
    # With --check-postgres although platform.yaml uses no PostgreSQL, the default variables name the server.
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
        raise CheckFailed("query", f"{where}: {_first_line(error)}", "Read the server's log.") from None
    version, may_create = row or ("?", False)
    if not may_create:
        grant = f"As the database's owner, run `GRANT CREATE ON SCHEMA public TO {value(postgres.user, env)}`."
        raise CheckFailed("authorization", f"{where}: the user may not create tables, as Dagster must", grant)
    return f"{where}: PostgreSQL {version}, may create tables"


_POSTGRES_REMEDIES = (  # libpq reports a failed connection only as text, without an error code
    ("password authentication failed", "authentication", "Check the user and password of metadata in platform.yaml."),
    ("no password supplied", "authentication", "Set the variable FLOE_POSTGRES_PASSWORD."),
    ("no pg_hba.conf entry", "authentication", "Allow this host in pg_hba.conf on the server."),
    (r'role ".*" does not exist', "authentication", "Create the role with `createuser NAME`."),
    (r'database ".*" does not exist', "database", "Create the database with `createdb NAME`."),
    ("SSL", "connection", "Set metadata.sslmode to a mode that the server supports."),
)


def _postgres_remedy(message: str, where: str) -> tuple[str, str]:
    for pattern, step, remedy in _POSTGRES_REMEDIES:
        if re.search(pattern, message):
            return step, remedy
    return "connection", f"Check that PostgreSQL listens at {where} (FLOE_POSTGRES_HOST, FLOE_POSTGRES_PORT)."


def _reason(error: BaseException) -> str:
    """Why a request failed, without what urllib3 says about its attempts."""
    return _first_line(getattr(error.args[0], "reason", error) if error.args else error)


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


POSTGRES = "metadata-postgres"

CHECKS: tuple[Check, ...] = (
    Check("compute-duckdb", "compute: DuckDB", lambda p: isinstance(p.compute, DuckDB), _duckdb),
    Check("compute-trino", "compute: Trino", lambda p: isinstance(p.compute, Trino), _trino),
    Check("storage-file", "storage: folder", lambda p: isinstance(p.storage, FileStorage), _file_storage),
    Check("storage-s3", "storage: S3 bucket", lambda p: isinstance(p.storage, S3Storage), _s3_storage),
    Check("catalog-sql", "catalog: SQL", lambda p: isinstance(p.catalog, SqlCatalog), _sql_catalog),
    Check("catalog-rest", "catalog: Iceberg REST", lambda p: isinstance(p.catalog, RestCatalog), _rest_catalog),
    Check(POSTGRES, "metadata: PostgreSQL", lambda p: isinstance(p.metadata, Postgres), _postgres),
)
