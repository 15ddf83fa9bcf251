"""Fixtures of all tests, and a list of skipped tests; in CI, a skip without an accepted reason is an error."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import built
import fuzz  # noqa: F401 # loads the profile of hypothesis before any test is imported
import servers
import toolbox
from floe import charts, repo
from forks import commit, git, with_known_values
from helm import Helm
from rendering import ROOT, Tree, copy_repository

NO_MIRROR = "no chart mirror: set FLOE_CHART_MIRROR to a folder with the upstream charts"
CANNOT_BE_HAD = ("no chart mirror", "no API server", "no node", "no images", "no Helm", "no registry")
"""Beginnings of the reasons for which CI accepts a skip.

Some machines cannot reach a chart repository. kube-apiserver, Helm 3 and an OCI registry must be on PATH or built with
Go. A node needs root on Linux. Images need the programs of a builder if none can be pulled."""
REQUIRED = ("no API server", "no node", "no images")
"""The reasons among these that a release (FLOE_REQUIRED is true) does not accept, because its charts must have run."""

# A shell starts background commands with SIGINT ignored. Commands that a test interrupts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository in a folder with spaces in its name, which floe uses as the repository."""
    folder = tmp_path / "a fork of ours"
    copy_repository(folder)
    monkeypatch.setenv("FLOE_ROOT", str(folder))
    return folder


@pytest.fixture
def fork(checkout: Path) -> Path:
    """The checkout as a Git repository with one commit, with known values and the stand-in charts pulled."""
    with_known_values(checkout, charts=True)
    shutil.copy(ROOT / ".gitignore", checkout)
    list(charts.pull(repo.current(), repo.current().environments(), stand_ins=True))
    git(checkout, "init", "--quiet", "--initial-branch", "main")
    commit(checkout, "as it is")
    return checkout


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the repository with the stand-in charts. Tests must not change it."""
    return Tree(tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the repository with the upstream charts, if a mirror has them. Tests must not change it."""
    mirror = os.environ.get(charts.MIRROR)
    return Tree(tmp_path_factory.mktemp("upstream"), mirror) if mirror else pytest.skip(NO_MIRROR)


@pytest.fixture(scope="session", params=repo.current().environments())
def environment(request: pytest.FixtureRequest) -> str:
    """Each overlay in turn."""
    return str(request.param)


@pytest.fixture(scope="session", params=["stand_ins", "upstream"])
def tree(request: pytest.FixtureRequest) -> Tree:
    """The repository with the stand-in charts and with the upstream charts in turn."""
    tree: Tree = request.getfixturevalue(request.param)
    return tree


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Postgres]:
    """A PostgreSQL server for this session, with a password."""
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.ObjectStore]:
    """A SeaweedFS server for this session: S3 and an Iceberg REST catalog with OAuth2."""
    with servers.object_store(tmp_path_factory.mktemp("object-store")) as server:
        yield server


@pytest.fixture(scope="session", params=[pytest.param(4, id="helm4"), pytest.param(3, id="helm3", marks=built.BUILT)])
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 4, which floe downloads, and Helm 3 in turn."""
    wanted: int = request.param
    name = "helm" if wanted == 4 else "helm3"
    if wanted == 3:
        built.need(name, "no Helm 3")
    tool = toolbox.get(name)
    if int(tool.version.split(".")[0]) != wanted:
        pytest.skip(f"no Helm {wanted}: {tool.path} is {tool.version}")
    return Helm(tool.path, wanted, tmp_path_factory.mktemp(f"helm{wanted}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every skip with its reason, and as an error each one that CI does not accept."""
    skips = _skips(terminalreporter)
    for name, reason in skips:
        terminalreporter.write_line(f"skipped: {name}: {reason}")
    for name, _ in _unexcused(skips):
        terminalreporter.write_line(f"error: CI accepts no skip for this reason (tests/conftest.py): {name}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run in which a test was skipped for a reason that CI does not accept."""
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
    accepted = tuple(reason for reason in CANNOT_BE_HAD if reason not in required)
    return [(name, reason) for name, reason in skips if not reason.startswith(accepted)]
