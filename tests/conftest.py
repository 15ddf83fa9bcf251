"""What every test gets: a list of skips at the end, and in CI no skip but for what cannot be had."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from floe import repo

ROOT = Path(__file__).parents[1]
CANNOT_BE_HAD = ("no chart mirror", "no API server")
"""Beginnings of reasons that excuse a skip in CI: a chart repository is not reached from everywhere, and
kube-apiserver is neither on PATH everywhere nor can it be built without Go."""


def _not_of_the_repository(folder: str, _: list[str]) -> set[str]:
    """What a folder may hold that Git does not: pulled charts, dbt's results, Python's bytecode."""
    return {"target", "logs", "__pycache__"} | ({"charts"} if Path(folder).parent.name == "overlays" else set())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the repository in a folder with spaces in its name, which floe takes for the repository."""
    folder = tmp_path / "a fork of ours"
    for part in ("base", "overlays", "apps", "images", "tests/charts", "tests/cube-native"):
        shutil.copytree(ROOT / part, folder / part, ignore=_not_of_the_repository)
    for file in ("platform.yaml", "requirements.lock"):
        shutil.copy(ROOT / file, folder)
    monkeypatch.setenv("FLOE_ROOT", str(folder))
    repo.root.cache_clear()
    yield folder
    repo.root.cache_clear()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Postgres]:
    """A PostgreSQL server of its own, with a password."""
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.ObjectStore]:
    """SeaweedFS: S3 and an Iceberg REST catalog with OAuth2."""
    with servers.object_store(tmp_path_factory.mktemp("object-store")) as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every skip with its reason, and what CI does not excuse as an error."""
    skips = _skips(terminalreporter)
    for name, reason in skips:
        terminalreporter.write_line(f"skipped: {name}: {reason}")
    for name, _ in _unexcused(skips):
        terminalreporter.write_line(f"error: in CI a skip needs an excuse in tests/conftest.py: {name}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run in which a test was skipped without an excuse."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, pytest.TerminalReporter) and _unexcused(_skips(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skips(reporter: pytest.TerminalReporter) -> list[tuple[str, str]]:
    """(test, reason) of every skip."""
    return [
        (
            report.nodeid,
            str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix(
                "Skipped: "
            ),
        )
        for report in reporter.stats.get("skipped", [])
    ]


def _unexcused(skips: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if os.environ.get("CI") != "true":
        return []
    return [(name, reason) for name, reason in skips if not reason.startswith(CANNOT_BE_HAD)]
