"""charts.lock: only locked archives are pulled, and only `floe charts lock --update` changes a locked digest."""

from __future__ import annotations

import shutil
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart_repository import (
    FLOE,
    NAMES,
    Upstream,
    leftovers,
    lock,
    run,
    sources,
)
from floe import charts, repo
from floe.charts import archives, lockfile
from floe.charts.audit import rows, verify
from floe.errors import FloeError
from floe.repo import Checkout
from rendering import ROOT


@pytest.mark.usefixtures("upstream")
def test_locked_archives_are_pulled_and_verified(checkout: Path) -> None:
    assert set(lock().values()) == {"locked"}
    assert set(lock().values()) == {"unchanged"}
    notes = {pulled.note for pulled in charts.pull(repo.current(), repo.current().environments())}
    assert notes == {"sha256 matches charts.lock"}
    done = run(FLOE, "charts", "verify", cwd=checkout)
    assert done.returncode == 0, done.stdout
    assert {(row.name, bool(row.locked), *row.overlays.values()) for row in rows(repo.current())} == {
        (name, True, *["repository"] * len(repo.current().environments())) for name in NAMES
    }


def test_the_committed_lock_matches_the_pins_of_overlays() -> None:
    pins = charts.chart.places(repo.current(), repo.current().environments())
    locked = lockfile.digests(Checkout(ROOT))
    assert lockfile.file(Checkout(ROOT)).read_text() == lockfile.text({key: locked.get(key) for key in pins})


def test_a_lock_that_is_written_and_read_is_unchanged(tmp_path: Path) -> None:
    digests = ["0" * 64, "1" * 63 + "e", "12e" + "4" * 61, "1" * 31 + "e" + "2" * 32, "f" * 64, None]
    versions = ["1.2.3", "1.20", "7", "v1.0.0-rc.1+build"]
    repositories = ["oci://r.example:5000/x", "https://r.example/?a=b: c # d"]
    locked = {
        (f"chart-{number}", version, repository): digest
        for number, (digest, version, repository) in enumerate(product(digests, versions, repositories))
    }
    lockfile.file(Checkout(tmp_path)).write_text(lockfile.text(locked))
    assert lockfile.digests(Checkout(tmp_path)) == locked
    yamllint = Path(sys.executable).with_name("yamllint")
    linted = run(yamllint, "--strict", "-c", ROOT / ".yamllint.yaml", "charts.lock", cwd=tmp_path)
    assert linted.returncode == 0, linted.stdout


def test_an_archive_that_differs_from_the_lock_is_refused(checkout: Path, upstream: Upstream) -> None:
    lock()
    before = lockfile.file(repo.current()).read_text()
    old = archives.sha256(upstream.archive("cube"))
    upstream.change("cube")
    new = archives.sha256(upstream.archive("cube"))

    done = run(FLOE, "charts", "lock", cwd=checkout)
    assert done.returncode == 1
    assert old in done.stdout
    assert new in done.stdout
    assert lockfile.file(repo.current()).read_text() == before

    shutil.rmtree(repo.cache_dir() / "charts")
    for stand_ins in (False, True):  # a stand-in replaces an unavailable chart, not a refused one
        with pytest.raises(FloeError) as error:
            list(charts.pull(repo.current(), ["dev"], stand_ins=stand_ins))
        assert old in error.value.message
        assert new in error.value.message
        assert "floe charts lock --update cube" in error.value.hint
        assert leftovers(checkout) == []

    assert lock(update=["cube"]) == {"cube": "updated", "cubestore": "unchanged", "dagster": "unchanged"}
    assert sources() == {"cache", "repository"}
    with pytest.raises(FloeError, match="no overlay pins a chart kube"):
        lock(update=["kube"])


def test_a_chart_is_pulled_again_after_its_lock_was_updated(upstream: Upstream) -> None:
    lock()
    assert sources() == {"cache"}
    upstream.change("cube")
    lock(update=["cube"])
    problems = {finding.chart: finding.message for finding in verify(repo.current(), "dev")}
    assert set(problems) == {"cube 3.3.0"}
    assert "charts.lock says" in problems["cube 3.3.0"]
    assert sources() == {"cache", "present"}
    assert verify(repo.current(), "dev") == []


def test_a_chart_that_cannot_be_locked_keeps_its_entry(checkout: Path, upstream: Upstream) -> None:
    lock()
    first = lockfile.digests(repo.current())
    upstream.archive("cube").unlink()
    upstream.change("dagster")
    done = run(FLOE, "charts", "lock", "--update", "dagster", cwd=checkout)
    assert done.returncode == 2
    assert "failed    cube 3.3.0: cannot pull" in done.stdout
    second = lockfile.digests(repo.current())
    changed = {name for (name, _, _), digest in second.items() if digest not in first.values()}
    assert changed == {"dagster"}


@pytest.mark.usefixtures("checkout")
def test_lock_removes_entries_that_no_overlay_pins(upstream: Upstream) -> None:
    stale = ("old", "1.0.0", upstream.url)
    lockfile.file(repo.current()).write_text(lockfile.text({stale: "0" * 64}))
    lock()
    assert {name for name, _, _ in lockfile.digests(repo.current())} == set(NAMES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("charts: [{name: cube, version: 1.0.0, repository: x, sha256: abc}]", "charts.0.sha256"),
        ("charts: [{name: cube, version: 1.0.0, repository: x}, {name: cube, version: 1.0.0, repository: x}]", "twice"),
        ("<<<<<<< ours", "charts.lock"),
    ],
)
def test_an_invalid_lock_is_reported_without_a_traceback(checkout: Path, content: str, words: str) -> None:
    lockfile.file(repo.current()).write_text(content)
    done = run(FLOE, "charts", "pull", cwd=checkout)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert lockfile.file(repo.current()).read_text() == content


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("version", "^3.0.0", "no exact version of the chart cube in overlays/dev/values/cube.yaml"),
        ("version", "../../x", "no exact version of the chart cube"),
        ("version", 3, "no exact version of the chart cube"),
    ],
)
def test_a_version_must_be_exact(checkout: Path, field: str, value: Any, words: str) -> None:
    pin = checkout / "overlays" / "dev" / "values" / "cube.yaml"
    pin.write_text(yaml.safe_dump({**yaml.safe_load(pin.read_text()), field: value}))
    with pytest.raises(FloeError, match=words):
        charts.pinned(repo.current(), "dev")
