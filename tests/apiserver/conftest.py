"""One API server for all tests in this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

import toolbox
from apiserver.client import ApiServer
from apiserver.server import api_server as running
from floe.kubernetes import crds
from rendering import pytest_report_header as pytest_report_header

_SERVERS = ("kube-apiserver", "etcd")


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server for this session, which contains only what tests leave in it."""
    absent = [name for name in _SERVERS if toolbox.find(name) is None]
    if absent and shutil.which("go") is None:
        pytest.skip(f"no API server: {' and '.join(absent)} not on PATH, and no Go to build with")
    with running(tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture(scope="session")
def defined(api_server: ApiServer) -> ApiServer:
    """The server with the CustomResourceDefinitions of every controller that overlays may use."""
    files = {one.module: one.files() for controller in crds.CONTROLLERS.values() for one in controller}
    assert all(files.values()), files
    api_server.define(file for paths in files.values() for file in paths)
    return api_server
