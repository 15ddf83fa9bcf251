"""The scratch database or schema in which a run builds its models, and which is deleted at the end of the run.

With DuckDB it is a database file, with Trino a schema of the catalog. Each run has its own, so that runs at the same
time do not disturb each other. Only marts that passed their tests are copied out of it (floe_runtime.marts).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from floe_runtime.connect import trino_connection
from floe_runtime.contract.platform import DuckDB, Platform, Trino

SCRATCH = "FLOE_SCRATCH_FOLDER"
"""The variable with the folder for scratch databases. If it is not set, the system's temporary folder is used."""

_FORM = "scratch_%Y%m%d%H%M%S"
_PREFIX = "floe-scratch-"
_ABANDONED = timedelta(days=1)  # an older database or schema is left over: no run takes as long


@contextmanager
def scratch(platform: Platform) -> Iterator[str]:
    """Yield the path of a database file or the name of a schema, and delete it after the block."""
    compute = platform.compute
    if isinstance(compute, DuckDB):
        parent = os.environ.get(SCRATCH) or tempfile.gettempdir()
        _delete_abandoned(Path(parent))
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent) as folder:
            yield str(Path(folder) / "memory.duckdb")  # DuckDB's name for a database in memory, with which dbt parsed
    else:
        assert isinstance(compute, Trino)  # the contract's validator ensures it
        _drop_abandoned(compute)
        name = f"{datetime.now(UTC):{_FORM}}_{uuid.uuid4().hex[:8]}"
        try:
            yield name
        finally:
            _drop(compute, name)


def _delete_abandoned(parent: Path) -> None:
    """Delete the databases of runs that were killed before they could delete them."""
    oldest = time.time() - _ABANDONED.total_seconds()
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another run has deleted it, or it belongs to another user
            if max(path.stat().st_mtime for path in (folder, *folder.iterdir())) < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _drop_abandoned(compute: Trino) -> None:
    """Drop the schemas of runs that were killed before they could drop them."""
    with closing(trino_connection(compute)) as connection:
        rows = connection.cursor().execute(f"show schemas from {compute.catalog} like 'scratch%'").fetchall()
    oldest = f"{datetime.now(UTC) - _ABANDONED:{_FORM}}"
    for (name,) in rows:
        if re.fullmatch(r"scratch_\d{14}_[0-9a-f]{8}", name) and name < oldest:
            _drop(compute, name)


def _drop(compute: Trino, name: str) -> None:
    with closing(trino_connection(compute)) as connection:
        connection.cursor().execute(f"drop schema if exists {compute.catalog}.{name} cascade").fetchall()
