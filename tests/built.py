"""Marks tests of tests/integration that need a program which Go compiles in minutes.

`make test` skips them, and `make test-built` runs them.
"""

from __future__ import annotations

import shutil

import pytest

import toolbox

BUILT = pytest.mark.built


def need(tool: str, reason: str) -> None:
    """Skip the test if a tool is not installed and cannot be built because Go is not installed either.

    `reason` must begin with one of the texts in CANNOT_BE_HAD of tests/conftest.py.
    """
    if toolbox.find(tool) is None and shutil.which("go") is None:
        pytest.skip(f"{reason}: {tool} is not on PATH, and no Go to build it with")
