"""What a run of dbt and the publication cost after a day of ticks, compared with after an hour; embedded."""

from __future__ import annotations

import json
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from code_location import Location
from floe import repo
from floe_runtime import dbt, runs
from floe_runtime.assets import project
from floe_runtime.contract.artifacts import VARIABLE
from floe_synthetic import EcommerceGenerator, IcebergLoader
from rendering import copy_repository

EARLY, LATE = 12, int(os.environ.get("FLOE_BENCH_TICKS", "288"))
ROUNDS = 5
BEGIN, EVERY = datetime(2026, 3, 1, tzinfo=UTC), timedelta(minutes=5)


def run() -> dict[str, float]:
    """Medians of the processor's seconds of ROUNDS ticks each, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        fork = Path(folder) / "fork"
        copy_repository(fork)
        os.environ["FLOE_ROOT"] = str(fork)
        os.environ[VARIABLE] = str(repo.current().artifacts_file(repo.EMBEDDED))
        os.environ["FLOE_DBT_TARGET"] = str(repo.current().state / "dbt")
        try:
            return _measure(fork)
        finally:
            for name in ("FLOE_ROOT", VARIABLE, "FLOE_DBT_TARGET"):
                del os.environ[name]


def _measure(fork: Path) -> dict[str, float]:
    location = Location(fork)
    specification = location.artifacts.apps["ecommerce"].app
    place = project(specification, fork / "apps/ecommerce", location.artifacts.platform)
    manifest = json.loads(dbt.manifest(place).read_bytes())
    generator = EcommerceGenerator(customers=5000, orders_per_day=6000, opened=BEGIN.date() - timedelta(days=28))
    loader = IcebergLoader(location.catalog())
    loader.load(generator.reference(BEGIN))
    loaded = 0

    def load_until(tick: int) -> None:
        nonlocal loaded
        for number in range(loaded, tick):
            loader.load(generator.batch(BEGIN + number * EVERY, BEGIN + (number + 1) * EVERY, BEGIN))
        loaded = tick

    def cost(tick: int) -> float:
        load_until(tick)
        started = time.process_time()
        for _ in runs.run(place, manifest, f"tick {tick}"):
            pass
        return time.process_time() - started

    costs = {}
    for end in (EARLY, LATE):
        cost(end - ROUNDS)  # catches up, and the first one warms up
        costs[end] = median(cost(tick) for tick in range(end - ROUNDS + 1, end + 1))
    return {
        f"tick {EARLY}, CPU s": round(costs[EARLY], 2),
        f"tick {LATE}, CPU s": round(costs[LATE], 2),
        f"ratio, tick {LATE} / tick {EARLY}": round(costs[LATE] / costs[EARLY], 2),
    }


if __name__ == "__main__":
    print(json.dumps(run()))
