"""`dbt debug` in the image with each adapter, against a real server of its engine or the best available emulator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import emulators
import servers
import trino_server
from containers import Podman, podman, readable
from floe import repo
from floe.contract.compiling import compile_environment
from floe_runtime.profile import variables

PROJECT = "/app/apps/ecommerce/dbt"


@pytest.fixture(scope="module")
def dagster() -> Podman:
    return podman("dagster")


def debug(dagster: Podman, target: str, env: Mapping[str, str], *options: str) -> None:
    command = ["/opt/venv/bin/dbt", "debug", "--connection", "--project-dir", PROJECT, "--profiles-dir", PROJECT]
    command += ["--target", target, "--log-path", "/tmp/dbt"]  # noqa: S108 # in the container
    done = dagster.run(command, env, "--entrypoint=", *options, check=False)
    assert done.returncode == 0, done.stdout
    assert "All checks passed" in done.stdout
    assert "a-password-of-this-test" not in done.stdout


def test_duckdb(dagster: Podman) -> None:
    platform = compile_environment(repo.current(), "dev").platform
    debug(dagster, "duckdb", variables(platform, "/tmp/scratch.duckdb"))  # noqa: S108 # in the container


def test_trino(dagster: Podman, object_store: servers.ObjectStore, tmp_path: Path) -> None:
    with trino_server.server(tmp_path / "trino", object_store) as server:
        platform = compile_environment(repo.current(), "demo").platform.model_copy(update={"compute": server.compute})
        debug(dagster, "trino", variables(platform, "scratch"))


def test_snowflake(dagster: Podman, tmp_path: Path) -> None:
    with emulators.snowflake(tmp_path) as env:
        debug(dagster, "snowflake", env | {"FLOE_SCRATCH": "scratch"})


def test_bigquery(dagster: Podman, tmp_path: Path) -> None:
    with emulators.bigquery(tmp_path) as env:
        key = readable(Path(env["FLOE_DBT_KEYFILE"]))
        mounted = {"FLOE_DBT_KEYFILE": "/etc/floe/key.json", "FLOE_SCRATCH": "scratch"}
        debug(dagster, "bigquery", env | mounted, f"--volume={key}:/etc/floe/key.json:ro")
