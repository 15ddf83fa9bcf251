"""Start Dagster and Cube of the embedded default as processes on this machine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from floe import console, process
from floe.demo import cube
from floe.demo.dagster_api import Dagster
from floe.demo.ports import HOST, claim
from floe.demo.processes import Supervisor, answers
from floe.errors import FloeError
from floe.repo import EMBEDDED, Checkout
from floe_runtime.connect import local
from floe_runtime.contract.app import package
from floe_runtime.contract.artifacts import VARIABLE, CompiledArtifacts
from floe_runtime.contract.platform import Sqlite

_UP_SECONDS = 120  # a cold start on a busy laptop


@dataclass(frozen=True)
class CubeApi:
    """A running Cube, a token for its API, and which Rust addon it uses (`real` or `stand-in`)."""

    url: str
    token: str
    native: str


def start_dagster(checkout: Checkout, supervisor: Supervisor, artifacts: CompiledArtifacts, port: int) -> Dagster:
    """Start webserver, daemon and one code location per app; returns when all locations are loaded.

    Raises FloeError if one of them does not start.
    """
    metadata = artifacts.platform.metadata
    if not isinstance(metadata, Sqlite):
        raise FloeError(
            "the demo keeps Dagster's metadata in files, but platform.yaml names a server",
            "Set metadata.kind: sqlite in platform.yaml.",
        )
    home = local(metadata.path)
    scratch = checkout.state / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # left over if an earlier demo was killed
    scratch.mkdir(parents=True)
    env = os.environ | {
        "DAGSTER_HOME": str(home),
        "FLOE_ROOT": str(checkout.root),
        "FLOE_DBT_TARGET": str(checkout.state / "dbt"),
        VARIABLE: str(checkout.artifacts_file(EMBEDDED)),
        "FLOE_SCRATCH_FOLDER": str(scratch),
        "DO_NOT_TRACK": "1",
    }
    locations = {app: claim(0, f"the code location {app}", "") for app in artifacts.apps}
    console.write(home / "dagster.yaml", json.dumps(_instance_settings(), indent=2) + "\n")
    workspace = checkout.state / "workspace.yaml"
    servers = [{"grpc_server": {"host": HOST, "port": grpc, "location_name": app}} for app, grpc in locations.items()]
    console.write(workspace, json.dumps({"load_from": servers}, indent=2) + "\n")
    _create_databases(home, env)
    for app, grpc in locations.items():
        module = [
            "--module-name",
            f"{package(app)}.definitions",
            "--working-directory",
            str(checkout.app(app)),
        ]
        command = [sys.executable, "-m", "floe.demo.code_server", "--host", HOST, "--port", str(grpc), *module]
        supervisor.start(f"dagster-{app}", command, env, checkout.root)
    read = ["--workspace", str(workspace)]
    listen = ["--host", HOST, "--port", str(port)]
    supervisor.start("dagster-webserver", [_script_path("dagster-webserver"), *listen, *read], env, checkout.root)
    dagster = Dagster(f"http://{HOST}:{port}")
    supervisor.wait(lambda: answers(f"{dagster.url}/server_info"), "Dagster's webserver", _UP_SECONDS)
    supervisor.start("dagster-daemon", [_script_path("dagster-daemon"), "run", *read], env, checkout.root)
    for app in artifacts.apps:
        supervisor.wait(lambda name=app: _is_loaded(dagster, name), f"the code location {app}", _UP_SECONDS)  # type: ignore[misc] # mypy knows no type of a default
    return dagster


def _create_databases(home: Path, env: dict[str, str]) -> None:
    """Create Dagster's SQLite databases in a single process: two that create them at once corrupt them."""
    marker = home / ".databases-made"
    if marker.is_file():
        return
    command = [sys.executable, "-c", "from dagster import DagsterInstance as I; I.get().dispose()"]
    process.run(
        command,
        seconds=_UP_SECONDS,
        env=env,
        what=f"Dagster's databases in {home} cannot be created",
        hint="Run `make clean` to delete the demo's state.",
    )
    marker.touch()


def _is_loaded(dagster: Dagster, app: str) -> bool:
    try:
        return dagster.loaded(app)
    except FloeError as error:
        # These errors only mean that the code server does not listen yet.
        if "Could not reach" in error.message or "UNAVAILABLE" in error.message:
            return False
        raise


def _script_path(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _instance_settings() -> dict[str, object]:
    """The content of dagster.yaml. It allows one run at a time: two runs of an app publish the same marts."""
    return {
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"max_concurrent_runs": 1, "dequeue_interval_seconds": 1},
        },
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 180, "poll_interval_seconds": 15},
        # A failed step has retries of its own; these are for runs whose process died.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "retention": {"schedule": {"purge_after_days": 3}},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # otherwise Dagster's first page asks for a subscription to its newsletter
    }


def start_cube(checkout: Checkout, supervisor: Supervisor, artifacts: CompiledArtifacts, port: int) -> CubeApi:
    """Start Cube over the published marts of all apps; returns when it answers. Raises FloeError otherwise."""
    models = {name: checkout.app(name) / one.app.semantic_layer.model for name, one in artifacts.apps.items()}
    model = cube.gather_models(models, checkout.state / "cube" / "model")
    secret = secrets.token_hex(32)  # valid for this run only, so it is never stored
    marts = cube.parquet_marts(local(artifacts.platform.marts.path))
    install = cube.install(checkout)
    supervisor.start(
        "cube", cube.command(checkout, install), cube.environment(model, marts, port, secret), checkout.root
    )
    url = f"http://{HOST}:{port}"
    supervisor.wait(lambda: answers(f"{url}/livez"), "Cube", _UP_SECONDS)
    return CubeApi(url, cube.token(secret, minutes=7 * 24 * 60), install.native)
