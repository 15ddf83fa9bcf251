"""Where a run builds its models: a place of its own that lives as long as the run.

Only what passed its tests leaves it (floe_runtime.marts), and two runs at a time do not meet in it. With DuckDB it is a
database file, with Trino a schema of the catalog.
"""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from floe_runtime.connect import trino_connection
from floe_runtime.contract.platform import DuckDB, Platform, Trino
from floe_runtime.errors import FloeError

SCRATCH = "FLOE_SCRATCH_FOLDER"
"""Names the folder for the runs' scratch databases; the system's temporary one where it is not set."""

_FORM = "scratch_%Y%m%d%H%M%S"
_ABANDONED = timedelta(days=1)  # no run lasts as long


@contextmanager
def scratch(platform: Platform) -> Iterator[str]:
    """The path of a database or the name of a schema; neither is there any more after the block.

    Raises FloeError for a compute target that the pipeline has no publication for.
    """
    compute = platform.compute
    if isinstance(compute, DuckDB):
        with tempfile.TemporaryDirectory(prefix="floe-", dir=os.environ.get(SCRATCH)) as folder:
            yield str(Path(folder) / "scratch.duckdb")
    elif isinstance(compute, Trino):
        _drop_abandoned(compute)
        name = f"{datetime.now(UTC):{_FORM}}_{uuid.uuid4().hex[:8]}"
        try:
            yield name
        finally:
            _drop(compute, name)
    else:
        raise FloeError(
            f"the pipeline does not publish from {compute.target} yet",
            "set compute.target to duckdb or trino in platform.yaml",
        )


def _drop_abandoned(compute: Trino) -> None:
    """Drop what a run that was killed could not."""
    with closing(trino_connection(compute)) as connection:
        rows = connection.cursor().execute(f"show schemas from {compute.catalog} like 'scratch%'").fetchall()
    oldest = f"{datetime.now(UTC) - _ABANDONED:{_FORM}}"
    for (name,) in rows:
        if re.fullmatch(r"scratch_\d{14}_[0-9a-f]{8}", name) and name < oldest:
            _drop(compute, name)


def _drop(compute: Trino, name: str) -> None:
    with closing(trino_connection(compute)) as connection:
        connection.cursor().execute(f"drop schema if exists {compute.catalog}.{name} cascade").fetchall()
