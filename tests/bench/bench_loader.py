"""The loader: an append compared with plain Parquet files, and a load after many batches with one into a new table.

The history is loaded batch by batch with maintenance once an hour, as a schedule of five minutes does. It has 2,000
batches, a week; FLOE_BENCH_BATCHES=10000 loads 35 days, which takes many minutes.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
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
    """CPU seconds of a load after the history and into a new table, in turns, and what the old table consists of."""
    folder.mkdir()
    old, new = (_catalog(folder / name) for name in ("old", "new"))
    shop = EcommerceGenerator(orders_per_day=3, opened=START.date())
    orders = shop.batch(START, START + timedelta(days=1)).tables["orders"]
    peak, upkeep = 0, []
    for number in range(BATCHES - SAMPLE):
        upkeep.append(_tick(old, number, orders)[0])
        if number % 100 == 0:
            peak = max(peak, len(_files(folder / "old")))
    seconds: dict[str, list[float]] = {"old": [], "new": []}
    for number in range(BATCHES - SAMPLE - HOURLY, BATCHES):
        for name, catalog in (("old", old), ("new", new)):
            if name == "new" or number >= BATCHES - SAMPLE:
                seconds[name].append(_tick(catalog, number, orders)[1])
    first, last = (median(seconds[name][-SAMPLE:]) for name in ("new", "old"))
    catalog, folder = old, folder / "old"
    table = catalog.load_table("raw.orders")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert table.scan().count() == BATCHES * orders.num_rows
    files = _files(folder)
    metadata = [path for path in files if path.suffix != ".parquet"]
    return {
        "batches": BATCHES,
        "load into a new table, CPU ms": round(first * 1000, 1),
        "load after the history, CPU ms": round(last * 1000, 1),
        "ratio, after the history / new table": round(last / first, 2),
        "maintenance at the end, CPU ms": round(median([took for took in upkeep if took][-HOURLY:]) * 1000, 1),
        "data files of the snapshot": len(list(table.scan().plan_files())),
        "files on the disk": len(files),
        "files on the disk, largest count": max(peak, len(files)),
        "metadata files": len(metadata),
        "metadata, KB": round(sum(path.stat().st_size for path in metadata) / 1000),
        "metadata.json, KB": round(Path(table.metadata_location.removeprefix("file://")).stat().st_size / 1000, 1),
        "snapshots": len(table.snapshots()),
        "manifests": len(snapshot.manifests(table.io)),
    }


def _tick(catalog: SqlCatalog, number: int, orders: pa.Table) -> tuple[float, float]:
    """Maintain the table if an hour has passed, then load a batch. Return the CPU seconds of both."""
    at = START + number * TICK
    # The clock of maintenance is ahead of all files and snapshots, which have the time of this machine.
    ahead = datetime.now(UTC) + timedelta(hours=2)
    with patch("floe_synthetic.loader.now", lambda: at), patch("floe_synthetic.maintenance.now", lambda: ahead):
        started = time.process_time()
        if number % HOURLY == 0 and catalog.namespace_exists("raw"):
            _maintain(catalog)
        maintained = time.process_time()
        batch = Batch(f"ecommerce/{at.isoformat()}", {"orders": orders})
        IcebergLoader(catalog).load(batch, not_before=at)
    upkeep = maintained - started if number % HOURLY == 0 else 0.0
    return upkeep, time.process_time() - maintained


def _maintain(catalog: SqlCatalog) -> None:
    table = catalog.load_table("raw.orders")
    maintenance.compact(table)
    maintenance.expire_snapshots(table, older_than=timedelta(hours=1), keep=HOURLY)
    maintenance.remove_orphans(table, older_than=timedelta(hours=1))


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder / "warehouse").rglob("*") if path.is_file()]


if __name__ == "__main__":
    print(json.dumps(run()))
