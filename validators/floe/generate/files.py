"""Tables as files in a folder that appears as a whole: before that, it has another name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe.errors import FloeError

if TYPE_CHECKING:
    import pyarrow as pa

    from floe_synthetic.domain import Domain

FORMATS = ("parquet", "arrow")
_BUFFERED_ROWS = 1 << 17  # of a table, so that row groups are not tiny


class Writer:
    """Writes the tables of a domain as one file each, with bounded memory. Created by `folder`."""

    def __init__(self, path: Path, kind: str, domain: Domain) -> None:
        """`kind`: one of FORMATS."""
        self.path, self._kind, self._domain = path, kind, domain
        self._waiting: dict[str, list[pa.Table]] = {}
        self._open: dict[str, Any] = {}

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows to a table."""
        waiting = self._waiting.setdefault(name, [])
        waiting.append(rows)
        if sum(part.num_rows for part in waiting) >= _BUFFERED_ROWS:
            self._flush(name)

    def finish(self) -> None:
        """Write what is left, and end the files."""
        for name in self._waiting:
            self._flush(name)
        for file in self._open.values():
            file.close()

    def abandon(self) -> None:
        """Close the files after an error, whatever is in them."""
        for file in self._open.values():
            with suppress(Exception):
                file.close()

    def _flush(self, name: str) -> None:
        import pyarrow as pa

        if not (waiting := self._waiting[name]):
            return
        # A column that appears in the middle of a run is in the file from the beginning, and empty before.
        schema = self._domain.schema(name)
        rows = pa.concat_tables([schema.empty_table(), *waiting], promote_options="default").select(schema.names)
        self._waiting[name] = []
        if name not in self._open:
            self._open[name] = _opened(self.path / f"{name}.{self._kind}", self._kind, schema)
        self._open[name].write_table(rows)


def _opened(path: Path, kind: str, schema: pa.Schema) -> Any:
    if kind == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(path, schema)
    import pyarrow as pa

    return pa.ipc.new_file(str(path), schema)


@contextmanager
def folder(target: Path, kind: str, domain: Domain) -> Iterator[Writer]:
    """A Writer whose files are in the target folder once the block has ended, and nowhere if it fails.

    Raises FloeError if the target has files already or cannot be written.
    """
    part = target.absolute().with_name(f".{target.absolute().name}.{os.getpid()}.part")
    try:
        if target.is_dir() and any(target.iterdir()):
            raise FloeError(f"{target} has files already", "Choose a folder that does not exist or is empty.")
        if target.exists() and not target.is_dir():
            raise FloeError(f"{target} is a file", "Choose a folder that does not exist or is empty.")
        part.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(target)
        part.mkdir()
        writer = Writer(part, kind, domain)
        try:
            yield writer
            writer.finish()
            part.rename(target.absolute())
        finally:
            writer.abandon()
    except OSError as error:
        reason = error.strerror or str(error).partition(" Detail:")[0]
        raise FloeError(
            f"{target} could not be written: {reason}",
            "Nothing was left there. Choose another folder, or make room, and run the command again.",
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _remove_left_over(target: Path) -> None:
    """Remove what a killed run of the command left beside its target."""
    import psutil

    for part in target.absolute().parent.glob(f".{target.name}.*.part"):
        process = part.name.split(".")[-2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(part, ignore_errors=True)
