"""The reasons for which CI accepts a skipped test, and the stricter ones for a release."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "conftest.py"


@pytest.mark.parametrize(
    ("ci", "required", "reason", "excused"),
    [
        ("true", "", "no node: only root may", True),
        ("true", "true", "no node: only root may", False),
        ("true", "true", "no images: buildah", False),
        ("true", "true", "no chart mirror: set it", True),
        ("true", "", "too slow", False),
        ("", "true", "too slow", True),
    ],
)
def test_reasons_for_skips_that_ci_accepts(
    monkeypatch: pytest.MonkeyPatch, ci: str, required: str, reason: str, excused: bool
) -> None:
    spec = importlib.util.spec_from_file_location("skips", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("FLOE_REQUIRED", required)
    assert bool(module._unexcused([("a test", reason)])) is not excused
