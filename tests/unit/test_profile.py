"""The dbt profile of a run: it has the settings of platform.yaml, and no password."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from floe_runtime import profile
from floe_runtime.contract.platform import BigQuery, DuckDB, Snowflake, Trino
from floe_runtime.contract.refs import Missing, Ref

PLANTED = "correct-horse-battery-staple"
REF = Ref(env="PW", secret="s")
TRINO = Trino(target="trino", host="trino.example.com", user=Ref(env="NAME"), password=REF)
SNOWFLAKE = Snowflake(target="snowflake", account=Ref(env="NAME"), database="d", warehouse="w", user="u", password=REF)


def output(folder: Path) -> dict[str, Any]:
    """The only output of the only profile in a folder."""
    (found,) = yaml.safe_load((folder / "profiles.yml").read_text()).values()
    (only,) = found["outputs"].values()
    assert found["target"] == only["type"]
    return dict(only)


@pytest.mark.parametrize("compute", [TRINO, SNOWFLAKE], ids=["trino", "snowflake"])
def test_the_password_is_in_a_variable_and_not_in_the_file(tmp_path: Path, compute: profile.Compute) -> None:
    assert profile.for_run(compute, "here", tmp_path, {"PW": PLANTED, "NAME": "n"}) == {profile.PASSWORD: PLANTED}
    assert PLANTED not in (tmp_path / "profiles.yml").read_text()
    assert output(tmp_path)["password"] == "{{ env_var('DBT_ENV_SECRET_PASSWORD', 'none') }}"
    assert output(tmp_path)["schema"] == "here"
    with pytest.raises(Missing, match="PW is not set"):
        profile.for_run(compute, "here", tmp_path, {"NAME": "n"})


def test_duckdb_has_the_limits_of_the_platform(tmp_path: Path) -> None:
    compute = DuckDB(target="duckdb", threads=3, memory_limit="2GB")
    assert profile.for_run(compute, "/scratch/a.duckdb", tmp_path, {}) == {}
    found = output(tmp_path)
    assert (found["path"], found["threads"]) == ("/scratch/a.duckdb", 3)
    assert found["settings"] == {"memory_limit": "2GB", "TimeZone": "UTC"}


def test_trino_without_a_password_has_no_login(tmp_path: Path) -> None:
    compute = Trino(target="trino", host="trino", port=8080, http_scheme="http", user="floe")
    assert profile.for_run(compute, "here", tmp_path, {}) == {}
    assert output(tmp_path) == {
        "type": "trino",
        "threads": 4,
        "method": "none",
        "host": "trino",
        "port": 8080,
        "http_scheme": "http",
        "user": "floe",
        "database": "iceberg",
        "schema": "here",
    }


def test_bigquery_uses_the_identity_of_the_workload_unless_there_is_a_key(tmp_path: Path) -> None:
    profile.for_run(BigQuery(target="bigquery", project="p"), "here", tmp_path, {})
    assert (output(tmp_path)["method"], "keyfile" in output(tmp_path)) == ("oauth", False)
    profile.for_run(BigQuery(target="bigquery", project="p", keyfile="/key.json"), "here", tmp_path, {})
    assert (output(tmp_path)["method"], output(tmp_path)["keyfile"]) == ("service-account", "/key.json")


@pytest.mark.parametrize("target", ["duckdb", "trino", "snowflake", "bigquery"])
def test_a_project_is_parsed_without_any_setting(tmp_path: Path, target: str) -> None:
    profile.for_parsing(target, tmp_path)
    assert output(tmp_path)["type"] == target
