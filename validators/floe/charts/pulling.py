"""Pull charts to where kustomize looks for them, so that rendering needs no network."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from floe.charts.chart import Chart, Record, digest, places
from floe.errors import FloeError
from floe.repo import Checkout

if TYPE_CHECKING:
    # `floe render` imports this module only to see which charts are pulled, so the code that fetches is imported late.
    from floe.charts.archives import Fetched

Source = Literal["present", "checkout", "cache", "mirror", "repository", "stand-in"]


@dataclass(frozen=True)
class Pulled:
    """The result for one chart: its source, and the overlays that it was put into or that had it already."""

    chart: str
    environments: tuple[str, ...]
    source: Source
    note: str = ""
    """How it was checked; for a stand-in, why it is used; for a chart that is present, what is unusual about it."""


def pull(
    checkout: Checkout,
    environments: Sequence[str],
    mirror: str | None = None,
    *,
    stand_ins: bool = False,
    force: bool = False,
    source: Checkout | None = None,
) -> Iterator[Pulled]:
    """Pull the charts of these overlays, each chart once. Charts that are there already are kept.

    Charts are looked for in this order: in an overlay of `source` (a checkout; by default the same one), in the cache,
    in the repository. `mirror`: a folder (of unpacked charts or .tgz files) or the URL of a chart repository or OCI
    registry, used instead of all of these. `stand_ins`: use the small chart of tests/charts in `source` if a chart
    cannot be fetched; it never replaces a real chart, and a later pull without this option replaces it. `force`: also
    fetch charts that are there already.
    Raises FloeError if a chart cannot be fetched, does not match charts.lock, or cannot be written; the overlays then
    keep what they had of it.
    """
    from floe.charts import lockfile

    source = source or checkout
    locked = lockfile.digests(checkout)
    for key, pins in places(checkout, environments).items():
        wanted = locked.get(key)
        lenient = stand_ins and not mirror
        todo = [pin for pin in pins if force or not _is_filled(pin, wanted, source if lenient else None)]
        names = tuple(pin.environment for pin in todo or pins)
        if not todo:
            strange = [f"overlays/{pin.environment}" for pin in pins if pin.record() is None]
            note = f"kept in {', '.join(strange)} although floe did not pull it; --force replaces it"
            yield Pulled(str(pins[0]), names, "present", note if strange else "")
            continue
        lenient &= not any(pin.is_pulled() and not pin.is_stand_in() and pin.record() for pin in todo)
        with tempfile.TemporaryDirectory() as folder:
            try:
                obtained = _obtain(todo[0], mirror, wanted, Path(folder), source, stand_ins=lenient, force=force)
                for place in todo:
                    _replace(place, obtained)
            except OSError as error:
                raise FloeError(
                    f"cannot write the chart {todo[0]}: {error}", "Free disk space, or fix the permissions there."
                ) from error
        yield Pulled(str(pins[0]), names, obtained.source, obtained.note)


def _is_filled(place: Chart, wanted: str | None, stand_ins: Checkout | None) -> bool:
    record = place.record()
    if record is None:
        return place.is_pulled()  # not pulled by floe, so not replaced
    if record.origin == "stand-in":
        return stand_ins is not None and record.content == digest(_stand_in_folder(stand_ins, place))
    return not (wanted and record.archive and record.archive != wanted)


@dataclass(frozen=True)
class _Obtained:
    chart: Path
    record: Record
    source: Source
    note: str


def _obtain(
    chart: Chart,
    mirror: str | None,
    wanted: str | None,
    folder: Path,
    source: Checkout,
    *,
    stand_ins: bool,
    force: bool,
) -> _Obtained:
    from floe.charts import archives

    rejected = ""
    if not (mirror or force):
        if here := _from_checkout(source, chart, wanted, stand_ins=stand_ins):
            return here
        if archive := archives.cached(chart):
            try:
                return _unpacked_and_checked(chart, archive, wanted, folder / "cached", "cache")
            except FloeError as error:
                rejected = f" (and the archive in the cache cannot be used: {error.message})"
    try:
        archive = archives.fetch(chart, mirror, folder)
    except archives.UnreachableError as error:
        if stand_ins and _stand_in_folder(source, chart).is_dir():
            return _as_stand_in(source, chart, error.message)
        raise FloeError(error.message + rejected, error.hint) from error
    obtained = _unpacked_and_checked(chart, archive, wanted, folder / "fetched", archive.origin)
    archives.keep(chart, archive, wanted)
    return obtained


def _from_checkout(source: Checkout, chart: Chart, wanted: str | None, *, stand_ins: bool) -> _Obtained | None:
    """The chart from an overlay of a checkout, if its files are unchanged since the pull."""
    for environment in source.environments():
        place = replace(chart, environment=environment, checkout=source)
        record = place.record()
        if record is None or record.repository != chart.repository:
            continue
        if record.origin == "stand-in":
            if stand_ins:
                return _as_stand_in(source, chart, "another overlay has it too")
        elif (not wanted or record.archive in (wanted, None)) and record.content == digest(place.path):
            return _Obtained(place.path, record, "checkout", _check_note(record, wanted))
    return None


def _unpacked_and_checked(
    chart: Chart, archive: Fetched, wanted: str | None, folder: Path, source: Source
) -> _Obtained:
    """Unpack a chart and check it. Raises FloeError if it does not match charts.lock or is not that chart."""
    from floe.charts.archives import unpack
    from floe.charts.schemas import bundle_schemas

    if archive.sha256 and wanted and archive.sha256 != wanted:
        raise FloeError(
            f"{archive.location} serves {chart} with the sha256 {archive.sha256}, but charts.lock says {wanted}",
            f"Find out why the archive changed. To accept the new one, run `floe charts lock --update {chart.name}`.",
        )
    target = unpack(chart, archive, folder)
    bundle_schemas(target)
    record = Record(chart.repository, archive.origin, archive.location, archive.sha256, digest(target))
    return _Obtained(target, record, source, _check_note(record, wanted))


def _check_note(record: Record, wanted: str | None) -> str:
    if record.archive is None:
        return "an unpacked folder, not checked against charts.lock"
    return "sha256 matches charts.lock" if wanted else "unlocked: charts.lock has no sha256 for it"


def _stand_in_folder(source: Checkout, chart: Chart) -> Path:
    return source.root / "tests" / "charts" / chart.name


def _as_stand_in(source: Checkout, chart: Chart, why: str) -> _Obtained:
    folder = _stand_in_folder(source, chart)
    location = source.relative(folder)
    return _Obtained(folder, Record(chart.repository, "stand-in", location, None, digest(folder)), "stand-in", why)


def _replace(place: Chart, obtained: _Obtained) -> None:
    """Copy beside the target, then rename, so that an interrupted pull leaves no incomplete chart."""
    folder = place.path.parent
    folder.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        shutil.copytree(obtained.chart, part / place.name)
        obtained.record.write(part)
        part.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
