"""One API server for all tests here, and which charts the overlays are rendered from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from cluster import apiserver
from cluster.client import ApiServer
from floe import charts, crds, repo, tools

_SERVERS = ("kube-apiserver", "etcd")


def pytest_report_header() -> str:
    """Say which charts are pulled, since stand-ins prove less."""
    found = {
        f"{chart} ({'stand-in' if chart.is_stand_in() else 'upstream'})"
        for environment in repo.environments()
        for chart in charts.pinned(environment)
        if chart.is_pulled()
    }
    return f"charts: {', '.join(sorted(found))}"


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server of its own, empty but for what tests leave in it."""
    absent = [name for name in _SERVERS if tools.find(name) is None]
    if absent and shutil.which("go") is None:
        pytest.skip(f"no API server: {' and '.join(absent)} not on PATH, and no Go to build with")
    with apiserver.api_server(tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture(scope="session")
def defined(api_server: ApiServer) -> ApiServer:
    """The server with the custom resources of every controller that overlays may write objects for."""
    files = {one.module: one.files() for controller in crds.CONTROLLERS.values() for one in controller}
    assert all(files.values()), files
    api_server.define(file for found in files.values() for file in found)
    return api_server
