"""The environment variables that an app's profiles.yml reads. Engines share the names of settings that they share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from floe_runtime.contract.platform import BigQuery, DuckDB, Platform, Snowflake, Trino
from floe_runtime.contract.refs import secret, value

Env = Mapping[str, str]
PASSWORD = "DBT_ENV_SECRET_PASSWORD"  # noqa: S105 # a name; dbt masks variables with this prefix in its logs


def variables(platform: Platform, scratch: str, env: Env = os.environ) -> dict[str, str]:
    """The variables for a build in `scratch`, a file (DuckDB) or a schema. Raises Missing if a setting is not set."""
    compute = platform.compute
    settings = {"FLOE_SCRATCH": scratch} | _BY_TARGET[compute.target](compute, env)
    return {name: text for name, text in settings.items() if text is not None}


def _duckdb(compute: DuckDB, _env: Env) -> dict[str, str | None]:
    return {"FLOE_DUCKDB_THREADS": str(compute.threads), "FLOE_DUCKDB_MEMORY": compute.memory_limit}


def _trino(compute: Trino, env: Env) -> dict[str, str | None]:
    return {
        "FLOE_DBT_METHOD": "ldap" if compute.password else "none",
        "FLOE_DBT_HOST": value(compute.host, env),
        "FLOE_DBT_PORT": value(compute.port, env),
        "FLOE_DBT_SCHEME": compute.http_scheme,
        "FLOE_DBT_DATABASE": compute.catalog,
        "FLOE_DBT_USER": value(compute.user, env),
        PASSWORD: secret(compute.password, env).get_secret_value() if compute.password else None,
    }


def _snowflake(compute: Snowflake, env: Env) -> dict[str, str | None]:
    account = value(compute.account, env)
    return {
        "FLOE_DBT_ACCOUNT": account,
        "FLOE_DBT_HOST": value(compute.host, env) if compute.host else f"{account}.snowflakecomputing.com",
        "FLOE_DBT_PORT": value(compute.port, env),
        "FLOE_DBT_SCHEME": compute.http_scheme,
        "FLOE_DBT_DATABASE": value(compute.database, env),
        "FLOE_DBT_WAREHOUSE": value(compute.warehouse, env),
        "FLOE_DBT_ROLE": value(compute.role, env) if compute.role else None,
        "FLOE_DBT_USER": value(compute.user, env),
        PASSWORD: secret(compute.password, env).get_secret_value(),
    }


def _bigquery(compute: BigQuery, env: Env) -> dict[str, str | None]:
    return {
        "FLOE_DBT_METHOD": "service-account" if compute.keyfile else "oauth",
        "FLOE_DBT_KEYFILE": value(compute.keyfile, env) if compute.keyfile else None,
        "FLOE_DBT_ENDPOINT": value(compute.endpoint, env) if compute.endpoint else None,
        "FLOE_DBT_DATABASE": value(compute.project, env),
        "FLOE_DBT_LOCATION": value(compute.location, env),
    }


_BY_TARGET: dict[str, Callable[[Any, Env], dict[str, str | None]]] = {
    "duckdb": _duckdb,
    "trino": _trino,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
}
