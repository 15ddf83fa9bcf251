"""An archive that is damaged anywhere is refused in words, or unpacks inside its own folder."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floe.charts import Chart, archives
from floe.errors import FloeError
from floe.repo import Checkout
from fuzz import inputs

CHART = Chart("dev", "cube", "1.2.3", "https://charts.example", Checkout(Path()))


def tar(members: dict[str, tuple[bytes, bytes]]) -> bytes:
    """An uncompressed archive: name -> (type, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, (kind, content) in members.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "cube/../../x", len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


GOOD = tar({"cube/Chart.yaml": (tarfile.REGTYPE, b"name: cube\nversion: 1.2.3\n"), "cube/a/b": (tarfile.REGTYPE, b"x")})
PARTS = ["cube", "..", ".", "", "a", "Chart.yaml", "\x00", "\udc80"]
NAMES = st.lists(st.sampled_from(PARTS), max_size=4).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
DAMAGED = st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=3)).map(
    lambda change: GOOD[: change[0]] + change[1] + GOOD[change[0] + len(change[1]) :]
)
STRANGE = st.dictionaries(NAMES, st.tuples(KINDS, st.binary(max_size=9)), max_size=4).map(tar)


def unpack(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "a" / "b" / "c"
        folder.mkdir(parents=True)
        archive = Path(name) / "archive.tgz"
        archive.write_bytes(gzip.compress(content, mtime=0))
        try:
            archives.unpack(CHART, archives.Fetched(archive, "mirror", "a mirror", None), folder)
        finally:
            written = [path for path in Path(name).rglob("*") if path.is_file() or path.is_symlink()]
            assert all(path == archive or path.is_relative_to(folder / "cube") for path in written)
            assert not any(path.is_symlink() for path in written)


def test_a_good_archive_unpacks() -> None:
    unpack(GOOD)


@given(DAMAGED | STRANGE)
@settings(max_examples=inputs(300), deadline=None)
def test_a_damaged_archive_is_a_sentence(content: bytes) -> None:
    with suppress(FloeError):
        unpack(content)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_other_bytes_are_a_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        archive = Path(name) / "archive.tgz"
        archive.write_bytes(content)
        with pytest.raises(FloeError):
            archives.unpack(CHART, archives.Fetched(archive, "mirror", "a mirror", None), Path(name))
