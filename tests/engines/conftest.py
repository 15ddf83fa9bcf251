"""A Trino for all tests of this suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import servers
import trino_server


@pytest.fixture(scope="session")
def trino(object_store: servers.ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[trino_server.Server]:
    with trino_server.server(tmp_path_factory.mktemp("trino"), object_store) as server:
        yield server
