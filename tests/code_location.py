"""Loads the code location of an app into the process of the test."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pyarrow as pa
import yaml
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from floe import console, repo
from floe.contract.compiling import compile_environment
from floe_runtime import dbt
from floe_runtime.assets import TARGET
from floe_runtime.connect import open_catalog
from floe_runtime.contract.artifacts import CompiledArtifacts
from floe_synthetic.datafiles import day_number, exchange, write_rows

TICK, EVERY = datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(minutes=5)

SHOP = {"customers": 500, "orders_per_day": 12_000, "opened": date(2026, 2, 1)}
"""Settings of floe.yaml with which about 40 orders are placed between two ticks."""


_PARSED: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""What dbt has made of a project, by what it was made of: to parse one costs seconds."""


@contextmanager
def _parsed_once(checkout: Path, app: str) -> Iterator[None]:
    """Let the block find what dbt made of the same project in the same process before."""
    project, made = checkout / "apps" / app / "dbt", repo.current().state / "dbt" / app
    texts = [
        f"{file.relative_to(folder)}\0{file.read_text()}"
        for folder in (project, dbt.MACROS)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    key = hashlib.sha256("\0".join([app, *texts]).encode()).hexdigest()
    if os.environ.get(TARGET) == str(made.parent) and not made.exists() and key in _PARSED:
        shutil.copytree(_PARSED[key].name, made, copy_function=shutil.copyfile)  # newer than the project's files
    yield
    if made.is_dir() and key not in _PARSED:
        _PARSED[key] = tempfile.TemporaryDirectory()
        shutil.copytree(made, _PARSED[key].name, dirs_exist_ok=True)


class Location:
    """The code location of an app in a checkout, imported again for each instance."""

    def __init__(self, checkout: Path, app: str = "ecommerce") -> None:
        """Compile the artifacts of the environment repo.EMBEDDED and import the app's definitions."""
        self.artifacts: CompiledArtifacts = compile_environment(repo.current(), repo.EMBEDDED)
        console.write(repo.current().artifacts_file(repo.EMBEDDED), self.artifacts.text())
        for name in [name for name in sys.modules if name.partition(".")[0] == app]:
            del sys.modules[name]
        sys.path.insert(0, str(checkout / "apps" / app))
        try:
            with _parsed_once(checkout, app):
                self.module: ModuleType = importlib.import_module(f"{app}.definitions")
        finally:
            sys.path.pop(0)
        self.instance = dg.DagsterInstance.ephemeral()

    def run(self, tick: int | None = None, *, full_refresh: bool = False) -> dg.ExecuteInProcessResult:
        """Run the job once; `tick` is the number of the tick after TICK, whose time the schedule would set as a tag."""
        tags = {"floe/batch-at": (TICK + (tick or 0) * EVERY).isoformat()} if tick is not None else {}
        tags |= {"floe/full-refresh": "true"} if full_refresh else {}
        job = self.module.defs.resolve_job_def("pipeline")
        done: dg.ExecuteInProcessResult = job.execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False
        )
        return done

    def catalog(self) -> Catalog:
        return open_catalog(self.artifacts.platform)

    def rows(self, *identifier: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.catalog().load_table(identifier).scan().to_arrow().to_pylist()
        return rows


def append(table: Table, rows: pa.Table) -> list[DataFile]:
    """Append rows of one load to a raw table, as somebody else than the loader. Return the new files."""
    files = write_rows(table, rows, [day_number(rows["_loaded_at"][0].as_py())])
    exchange(table, [], files, {})
    paths = {file.file_path for file in files}
    return [task.file for task in table.refresh().scan().plan_files() if task.file.file_path in paths]


def edit(file: Path, path: tuple[str, ...], value: Any) -> None:
    """Set one value in a YAML file."""
    document = yaml.safe_load(file.read_text())
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    file.write_text(yaml.safe_dump(document))
