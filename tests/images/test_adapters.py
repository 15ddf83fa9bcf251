"""`dbt debug` in the image with each adapter, against a real server of its engine or the best available emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

import emulators
import servers
import trino_server
from containers import Podman, podman, readable
from floe import repo
from floe.contract.compiling import compile_environment
from floe_runtime import profile
from floe_runtime.contract.platform import DuckDB

PASSWORD = "a-password-of-this-test"
PROJECT = "/app/apps/ecommerce/dbt"


@pytest.fixture(scope="module")
def dagster() -> Podman:
    return podman("dagster")


def debug(dagster: Podman, compute: profile.Compute, folder: Path, *options: str) -> None:
    """Run `dbt debug` with the profile of a run, which is written to `folder`."""
    scratch = "/tmp/scratch.duckdb" if isinstance(compute, DuckDB) else "scratch"  # noqa: S108 # in the container
    env = profile.for_run(compute, scratch, folder, {"FLOE_SNOWFLAKE_PASSWORD": PASSWORD})
    command = ["/opt/venv/bin/dbt", "debug", "--connection", "--project-dir", PROJECT, "--profiles-dir", "/etc/floe"]
    command += ["--profile", profile.NAME, "--log-path", "/tmp/dbt"]  # noqa: S108 # in the container
    mounted = f"--volume={readable(folder / 'profiles.yml')}:/etc/floe/profiles.yml:ro"
    done = dagster.run(command, env, "--entrypoint=", mounted, *options, check=False)
    assert done.returncode == 0, done.stdout
    assert "All checks passed" in done.stdout
    assert PASSWORD not in done.stdout


def test_duckdb(dagster: Podman, tmp_path: Path) -> None:
    debug(dagster, compile_environment(repo.current(), "dev").platform.compute, tmp_path)


def test_trino(dagster: Podman, object_store: servers.ObjectStore, tmp_path: Path) -> None:
    with trino_server.server(tmp_path / "trino", object_store) as server:
        debug(dagster, server.compute, tmp_path)


def test_snowflake(dagster: Podman, tmp_path: Path) -> None:
    with emulators.snowflake(tmp_path) as compute:
        debug(dagster, compute, tmp_path)


def test_bigquery(dagster: Podman, tmp_path: Path) -> None:
    with emulators.bigquery(tmp_path) as compute:
        key = readable(Path(str(compute.keyfile)))
        inside = compute.model_copy(update={"keyfile": "/etc/key.json"})
        debug(dagster, inside, tmp_path, f"--volume={key}:/etc/key.json:ro")
