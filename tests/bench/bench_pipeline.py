"""The time from a trigger until Cube returns the rows, and dbt within the run compared with dbt as a command."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from floe import console, repo
from floe.contract.compiling import compile_environment
from floe.demo import cube
from floe.demo.ports import claim
from floe.demo.processes import supervisor
from floe.demo.services import start_cube, start_dagster
from floe_runtime import profile
from floe_runtime.contract.app import BATCH_AT
from floe_runtime.contract.artifacts import VARIABLE
from floe_runtime.inputs import Inputs

TICKS, EVERY = 5, timedelta(minutes=5)
QUERY = {"measures": ["orders.count"]}


def run() -> dict[str, float]:
    """Medians of seconds over TICKS ticks, in a separate copy of the repository's state."""
    with tempfile.TemporaryDirectory() as folder:
        fork = Path(folder) / "fork"
        fork.mkdir()
        for part in ("apps", "base", "images", "overlays", "tests", "platform.yaml"):
            (fork / part).symlink_to(repo.current().root / part)
        os.environ["FLOE_ROOT"] = str(fork)
        try:
            return _measure()
        finally:
            del os.environ["FLOE_ROOT"]


def _measure() -> dict[str, float]:
    artifacts = compile_environment(repo.current(), repo.EMBEDDED)
    console.write(repo.current().artifacts_file(repo.EMBEDDED), artifacts.text())
    to_run, to_answer, by_command = [], [], []
    with supervisor(repo.current().state / "logs") as processes:
        dagster = start_dagster(repo.current(), processes, artifacts, claim(0, "Dagster", ""))
        at = datetime.now(UTC) - TICKS * EVERY
        dagster.follow(dagster.launch("ecommerce", "pipeline", {BATCH_AT: at.isoformat()}), 240)
        api = start_cube(repo.current(), processes, artifacts, claim(0, "Cube", ""))
        for _ in range(TICKS):
            before = int(cube.load(api.url, api.token, QUERY)[0]["orders.count"])
            started = time.monotonic()
            at += EVERY
            dagster.follow(dagster.launch("ecommerce", "pipeline", {BATCH_AT: at.isoformat()}), 240)
            to_run.append(time.monotonic() - started)
            while int(cube.load(api.url, api.token, QUERY)[0]["orders.count"]) <= before:
                time.sleep(0.1)
            to_answer.append(time.monotonic() - started)
            by_command.append(_dbt_command(artifacts.platform.compute))
    tick, command = statistics.median(to_answer), statistics.median(by_command)
    return {
        "trigger to run's end, s": round(statistics.median(to_run), 1),
        "trigger to Cube's answer, s": round(tick, 1),
        "dbt build as a command alone, s": round(command, 1),
        "ratio, trigger to Cube / dbt command": round(tick / command, 2),
    }


def _dbt_command(compute: profile.Compute) -> float:
    """Seconds of the command `dbt build` for the same project and tables."""
    project = repo.current().app("ecommerce") / "dbt"
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {
            VARIABLE: str(repo.current().artifacts_file(repo.EMBEDDED)),
            "DBT_TARGET_PATH": f"{folder}/target",
            "DBT_LOG_PATH": f"{folder}/logs",
        }
        command = [str(Path(sys.executable).with_name("dbt")), "build", "--quiet"]
        command += ["--project-dir", str(project), "--profiles-dir", folder, "--profile", profile.NAME]
        inputs = Inputs(raw_namespace="raw", marts_namespace="marts")
        profile.for_run(compute, f"{folder}/scratch.duckdb", Path(folder), inputs=inputs)
        started = time.monotonic()
        subprocess.run(command, env=env, check=True, capture_output=True)
        return time.monotonic() - started


if __name__ == "__main__":
    print(json.dumps(run()))
