"""The loader: an append compared with plain Parquet files, and a load after many batches compared with the first ones.

The history is loaded batch by batch with maintenance once an hour, as a schedule of five minutes does. It has 2,000
batches, a week; FLOE_BENCH_BATCHES=10000 loads 35 days, which takes several minutes.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

from floe_synthetic import Batch, EcommerceGenerator, IcebergLoader, maintenance
from floe_synthetic.schema import LOADED, loaded_schema, schema_of

ROUNDS = 5
ORDERS = 300_000
BATCHES = int(os.environ.get("FLOE_BENCH_BATCHES", "2000"))
SAMPLE = 50
TICK = timedelta(minutes=5)
START = datetime(2025, 3, 1, tzinfo=UTC)
HOURLY = 12


def run() -> dict[str, float]:
    """Ratios, and how many files and bytes of metadata the history leaves."""
    with tempfile.TemporaryDirectory() as folder:
        return {**_throughput(Path(folder) / "throughput"), **_history(Path(folder) / "history")}


def _catalog(folder: Path) -> SqlCatalog:
    folder.mkdir()
    return SqlCatalog("bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")


def _throughput(folder: Path) -> dict[str, float]:
    """Rows a second of a load, and of writing the same rows as Parquet with the same codec, partition and order."""
    batch = EcommerceGenerator(orders_per_day=ORDERS, opened=START.date()).batch(START, START + timedelta(days=1))
    rows = batch.tables["order_items"]
    load = IcebergLoader(_catalog(folder))
    load.load(Batch("warm-up", {"items": rows.slice(0, 1000)}))
    speeds: dict[str, list[float]] = {"iceberg": [], "parquet": []}
    for number in range(ROUNDS):
        started = time.perf_counter()
        load.load(Batch(f"{number}", {"items": rows}), not_before=datetime.now(UTC))
        speeds["iceberg"].append(rows.num_rows / (time.perf_counter() - started))
        started = time.perf_counter()
        added = [pa.repeat(pa.scalar(value, field.type), rows.num_rows) for value, field in _added(f"{number}")]
        place = folder / f"_loaded_at_day=2025-03-{number + 1:02}"
        place.mkdir()
        written = pa.Table.from_arrays([*rows.columns, *added], schema=loaded_schema(rows.schema))
        pq.write_table(written, place / "rows.parquet", compression="zstd")
        speeds["parquet"].append(rows.num_rows / (time.perf_counter() - started))
    fast, slow = median(speeds["parquet"]), median(speeds["iceberg"])
    return {
        "rows of an append": rows.num_rows,
        "iceberg append, rows/s": round(slow),
        "plain parquet, rows/s": round(fast),
        "ratio, append / plain parquet": round(slow / fast, 2),
    }


def _added(batch_id: str) -> list[tuple[object, pa.Field]]:
    return list(zip([batch_id, datetime.now(UTC)], schema_of(LOADED), strict=True))


def _history(folder: Path) -> dict[str, float]:
    """CPU seconds of a load at the beginning and at the end, and what the table consists of at the end."""
    catalog = _catalog(folder)
    shop = EcommerceGenerator(orders_per_day=3, opened=START.date())
    load, orders = IcebergLoader(catalog), shop.batch(START, START + timedelta(days=1)).tables["orders"]
    seconds, upkeep, peak = [], [], 0
    for number in range(BATCHES):
        at = START + number * TICK
        # The clock of maintenance is ahead of all files and snapshots, which have the time of this machine.
        ahead = datetime.now(UTC) + timedelta(hours=2)
        clocks = {"loader": at, "maintenance": ahead}
        with ExitStack() as stack:
            for module, time_shown in clocks.items():
                stack.enter_context(patch(f"floe_synthetic.{module}.now", lambda shown=time_shown: shown))
            if number and number % HOURLY == 0:
                started = time.process_time()
                _maintain(catalog)
                upkeep.append(time.process_time() - started)
            batch = Batch(f"ecommerce/{at.isoformat()}", {"orders": orders})
            started = time.process_time()
            load.load(batch, not_before=at)
            seconds.append(time.process_time() - started)
        if number % 500 == 0:
            peak = max(peak, len(_files(folder)))
    table = catalog.load_table("raw.orders")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert table.scan().count() == BATCHES * orders.num_rows
    first, last = (median(part) for part in (seconds[HOURLY : HOURLY + SAMPLE], seconds[-SAMPLE:]))
    files = _files(folder)
    metadata = [path for path in files if path.suffix != ".parquet"]
    return {
        "batches": BATCHES,
        "load at the beginning, CPU ms": round(first * 1000, 1),
        "load at the end, CPU ms": round(last * 1000, 1),
        "ratio, load at the end / at the beginning": round(last / first, 2),
        "maintenance at the end, CPU ms": round(median(upkeep[-HOURLY:]) * 1000, 1),
        "data files of the snapshot": len(list(table.scan().plan_files())),
        "files on the disk": len(files),
        "files on the disk, largest count": max(peak, len(files)),
        "metadata files": len(metadata),
        "metadata, KB": round(sum(path.stat().st_size for path in metadata) / 1000),
        "metadata.json, KB": round(Path(table.metadata_location.removeprefix("file://")).stat().st_size / 1000, 1),
        "snapshots": len(table.snapshots()),
        "manifests": len(snapshot.manifests(table.io)),
    }


def _maintain(catalog: SqlCatalog) -> None:
    table = catalog.load_table("raw.orders")
    maintenance.compact(table)
    maintenance.expire_snapshots(table, older_than=timedelta(hours=1), keep=HOURLY)
    maintenance.remove_orphans(table, older_than=timedelta(hours=1))


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder / "warehouse").rglob("*") if path.is_file()]


if __name__ == "__main__":
    print(json.dumps(run()))
