"""The scratch database or schema in which a run builds its models, and which is deleted at the end of the run.

With DuckDB it is a database file, with Trino a schema of the catalog. Each run has its own, so that runs at the same
time do not disturb each other. Only marts that passed their tests are copied out of it (floe_runtime.marts).
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

SCRATCH = "FLOE_SCRATCH_FOLDER"
"""The variable with the folder for scratch databases. If it is not set, the system's temporary folder is used."""

_FORM = "scratch_%Y%m%d%H%M%S"
_ABANDONED = timedelta(days=1)  # an older schema is left over: no run takes as long


@contextmanager
def scratch(platform: Platform) -> Iterator[str]:
    """Yield the path of a database file or the name of a schema, and delete it after the block."""
    compute = platform.compute
    if isinstance(compute, DuckDB):
        with tempfile.TemporaryDirectory(prefix="floe-", dir=os.environ.get(SCRATCH)) as folder:
            yield str(Path(folder) / "memory.duckdb")  # DuckDB's name for a database in memory, with which dbt parsed
    else:
        assert isinstance(compute, Trino)  # the contract's validator ensures it
        _drop_abandoned(compute)
        name = f"{datetime.now(UTC):{_FORM}}_{uuid.uuid4().hex[:8]}"
        try:
            yield name
        finally:
            _drop(compute, name)


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
