"""The fixture of the tests in which a cluster follows Git, and the lines that they print at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import debian
import timings
from cluster import node
from gitops.following import Following, following

_charts: list[str] = []


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Following]:
    """A cluster and the fork that it will follow, for the controllers of one module (Flux or Argo CD)."""
    if reason := node.missing():
        pytest.skip(f"no node: {reason}")
    if debian.absent(debian.BUILDER | debian.FORGE):
        pytest.skip(f"no images: {debian.remedy(debian.BUILDER | debian.FORGE)}")
    folder: Path = tmp_path_factory.mktemp("gitops")
    with following(folder) as one:
        _charts[:] = [f"{chart} ({'stand-in' if chart.is_stand_in() else 'upstream'})" for chart in one.fork.pulled()]
        yield one


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, and with which charts."""
    if _charts:
        terminalreporter.write_line(f"charts of the node's repository: {', '.join(_charts)}")
    timings.show(terminalreporter)
