"""The dbt profile of a compute target, which is written for each call of dbt: an app has no profiles.yml of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floe_runtime.contract.platform import BigQuery, DuckDB, Snowflake, Trino
from floe_runtime.contract.refs import number, secret, value
from floe_runtime.inputs import Inputs

Compute = DuckDB | Trino | Snowflake | BigQuery
Env = Mapping[str, str]
Output = dict[str, Any]

NAME = "floe"
"""The profile's name. dbt gets it as an argument, so the name in a project's dbt_project.yml does not matter."""

PASSWORD = "DBT_ENV_SECRET_PASSWORD"  # noqa: S105 # a name; dbt masks variables with this prefix in its logs
_PASSWORD = f"{{{{ env_var('{PASSWORD}', 'none') }}}}"  # dbt reads the variable, so the file holds no password


def for_run(
    compute: Compute, scratch: str, folder: Path, env: Env = os.environ, inputs: Inputs | None = None
) -> dict[str, str]:
    """Write the profile of a run into `folder`; returns the environment variables that dbt needs for it.

    `scratch`: the database file (DuckDB) or the schema in which models are built. `inputs`: what the run reads. Raises
    Missing if a setting is not set.
    """
    _write(folder, compute, scratch, env, inputs)
    password = None if isinstance(compute, DuckDB | BigQuery) else compute.password
    return {PASSWORD: secret(password, env).get_secret_value()} if password else {}


def for_parsing(target: str, folder: Path, inputs: Inputs | None = None) -> None:
    """Write a profile into `folder` with which dbt parses a project for a compute target. It names no server."""
    engine = _ENGINES[target]
    _write(folder, engine.parsing, engine.nowhere, {}, inputs)


def _write(folder: Path, compute: Compute, scratch: str, env: Env, inputs: Inputs | None) -> None:
    output: Output = {"type": compute.target, "threads": 4}
    output |= _ENGINES[compute.target].output(compute, scratch, env)
    if isinstance(compute, DuckDB) and inputs:
        plugin = {"module": "floe_runtime.iceberg_plugin", "alias": "iceberg"}
        output["plugins"] = [plugin | {"config": inputs.model_dump(mode="json")}]
    chosen = {name: setting for name, setting in output.items() if setting is not None}
    profile = {NAME: {"target": compute.target, "outputs": {compute.target: chosen}}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profiles.yml").write_text(json.dumps(profile, indent=2) + "\n")  # JSON is YAML


def _duckdb(compute: DuckDB, scratch: str, _env: Env) -> Output:
    return {
        "path": scratch,
        "schema": "main",
        "threads": compute.threads,
        "settings": {"memory_limit": compute.memory_limit, "TimeZone": "UTC"},
    }


def _trino(compute: Trino, scratch: str, env: Env) -> Output:
    return {
        "method": "ldap" if compute.password else "none",  # ldap: user name and password, over TLS
        "host": value(compute.host, env),
        "port": number(compute.port, env),
        "http_scheme": compute.http_scheme,
        "user": value(compute.user, env),
        "password": _PASSWORD if compute.password else None,
        "database": compute.catalog,
        "schema": scratch,
    }


def _snowflake(compute: Snowflake, scratch: str, env: Env) -> Output:
    account = value(compute.account, env)
    return {
        "account": account,
        "host": value(compute.host, env) if compute.host else f"{account}.snowflakecomputing.com",
        "port": number(compute.port, env),
        "protocol": compute.http_scheme,
        "user": value(compute.user, env),
        "password": _PASSWORD,
        "role": value(compute.role, env) if compute.role else None,
        "warehouse": value(compute.warehouse, env),
        "database": value(compute.database, env),
        "schema": scratch,
    }


def _bigquery(compute: BigQuery, scratch: str, env: Env) -> Output:
    return {
        "method": "service-account" if compute.keyfile else "oauth",  # oauth: the identity of the workload
        "keyfile": value(compute.keyfile, env) if compute.keyfile else None,
        "api_endpoint": value(compute.endpoint, env) if compute.endpoint else None,
        "project": value(compute.project, env),
        "location": value(compute.location, env),
        "dataset": scratch,
    }


@dataclass(frozen=True)
class _Engine:
    """`output`: makes an output of the profile. `parsing`, `nowhere`: the compute and the scratch for parsing."""

    output: Callable[[Any, str, Env], Output]
    parsing: Compute
    nowhere: str = "scratch"


_ENGINES = {
    "duckdb": _Engine(_duckdb, DuckDB(target="duckdb"), ":memory:"),
    "trino": _Engine(_trino, Trino(target="trino", host="localhost", user="floe")),
    "snowflake": _Engine(
        _snowflake,
        Snowflake(target="snowflake", account="account", database="floe", warehouse="floe", user="floe"),
    ),
    "bigquery": _Engine(_bigquery, BigQuery(target="bigquery", project="floe")),
}
