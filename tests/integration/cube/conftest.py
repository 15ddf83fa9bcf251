"""The installed Cube, and the rows of its marts."""

from __future__ import annotations

import warnings

import pytest

from cube_server import Shop
from floe import repo
from floe.demo import cube


@pytest.fixture(scope="module")
def installed() -> cube.CubeInstall:
    install = cube.install(repo.current())
    if install.native == "stand-in":
        warnings.warn("Cube ran with the stand-in of its Rust addon", pytest.PytestWarning, stacklevel=1)
    return install


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(orders=90)
