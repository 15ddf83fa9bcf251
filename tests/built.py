"""Tests of tests/integration whose program Go compiles, in minutes: `make test` leaves them to `make test-built`."""

from __future__ import annotations

import shutil

import pytest

import toolbox

BUILT = pytest.mark.built


def need(tool: str, reason: str) -> None:
    """Skip the test where a tool is not here and Go to build it is not either.

    `reason` begins as one of those that tests/conftest.py lists in CANNOT_BE_HAD.
    """
    if toolbox.find(tool) is None and shutil.which("go") is None:
        pytest.skip(f"{reason}: {tool} is not on PATH, and no Go to build it with")
