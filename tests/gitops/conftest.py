"""What the tests of Git that moves a cluster start with, and what they say at their end."""

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
    """A cluster and the fork that it is to follow, for one kind of controllers."""
    if reason := node.missing():
        pytest.skip(f"no node: {reason}")
    if debian.absent(debian.BUILDER | debian.FORGE):
        pytest.skip(f"no images: {debian.remedy(debian.BUILDER | debian.FORGE)}")
    folder: Path = tmp_path_factory.mktemp("gitops")
    with following(folder) as one:
        _charts[:] = [f"{chart} ({'stand-in' if chart.is_stand_in() else 'upstream'})" for chart in one.fork.pulled()]
        yield one


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured on the way, and with which charts."""
    if _charts:
        terminalreporter.write_line(f"charts of the node's repository: {', '.join(_charts)}")
    timings.show(terminalreporter)
