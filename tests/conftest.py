"""What every test gets: a list of skips at the end, and in CI no skip but for what cannot be had."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import built
import fuzz  # noqa: F401 # loads hypothesis' profile before any test is read
import servers
import toolbox
from floe import charts, repo
from forks import commit, git
from helm import Helm
from rendering import ROOT, Tree, copy_repository

NO_MIRROR = "no chart mirror: set FLOE_CHART_MIRROR to a folder with the upstream charts"
CANNOT_BE_HAD = ("no chart mirror", "no API server", "no node", "no images", "no Helm", "no registry")
"""Beginnings of reasons that excuse a skip in CI: a chart repository is not reached from everywhere, and
kube-apiserver is neither on PATH everywhere nor can it be built without Go. A node needs root on Linux, and images need
a builder's programs where nothing can be pulled. Helm 3 beside Helm 4 and an OCI registry are built with Go as well."""
REQUIRED = ("no API server", "no node", "no images")
"""Of these, what excuses nothing where FLOE_REQUIRED is true: a release of the charts was seen running."""

# A shell starts what runs in its background with SIGINT ignored, and so would be every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the repository in a folder with spaces in its name, which floe takes for the repository."""
    folder = tmp_path / "a fork of ours"
    copy_repository(folder)
    monkeypatch.setenv("FLOE_ROOT", str(folder))
    repo.root.cache_clear()
    yield folder
    repo.root.cache_clear()


@pytest.fixture
def fork(checkout: Path) -> Path:
    """A Git repository with one commit and the stand-in charts in place."""
    shutil.copy(ROOT / ".gitignore", checkout)
    list(charts.pull(repo.environments(), stand_ins=True))
    git(checkout, "init", "--quiet", "--initial-branch", "main")
    commit(checkout, "as it is")
    return checkout


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The repository with the stand-in charts. Not to be changed."""
    return Tree(tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The repository with the upstream charts, where a mirror has them. Not to be changed."""
    mirror = os.environ.get(charts.MIRROR)
    return Tree(tmp_path_factory.mktemp("upstream"), mirror) if mirror else pytest.skip(NO_MIRROR)


@pytest.fixture(scope="session", params=repo.environments())
def environment(request: pytest.FixtureRequest) -> str:
    """Each overlay in turn."""
    return str(request.param)


@pytest.fixture(scope="session", params=["stand_ins", "upstream"])
def tree(request: pytest.FixtureRequest) -> Tree:
    """The repository with either origin's charts in turn."""
    tree: Tree = request.getfixturevalue(request.param)
    return tree


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


@pytest.fixture(scope="session", params=[pytest.param(4, id="helm4"), pytest.param(3, id="helm3", marks=built.BUILT)])
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 4, which floe fetches, and Helm 3."""
    wanted: int = request.param
    name = "helm" if wanted == 4 else "helm3"
    if wanted == 3:
        built.need(name, "no Helm 3")
    found = toolbox.get(name)
    if int(found.version.split(".")[0]) != wanted:
        pytest.skip(f"no Helm {wanted}: {found.path} is {found.version}")
    return Helm(found.path, wanted, tmp_path_factory.mktemp(f"helm{wanted}"))


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
    required = REQUIRED if os.environ.get("FLOE_REQUIRED") == "true" else ()
    excuses = tuple(one for one in CANNOT_BE_HAD if one not in required)
    return [(name, reason) for name, reason in skips if not reason.startswith(excuses)]
