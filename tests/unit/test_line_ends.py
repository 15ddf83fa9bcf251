"""Commands that edit files of an overlay keep the line ends, anchors, tags and comments in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from floe import image_builds
from floe.promote import carried
from floe.repo import Checkout
from forks import with_known_values
from rendering import ROOT

TAG = f"0.2.0@sha256:{'ab' * 32}"
OLD, WRITTEN = b"      tag: 0.1.0\n", b"      tag: &dagster !!str 0.1.0 # ours\n"


@pytest.fixture
def overlays(tmp_path: Path) -> Checkout:
    """A checkout of dev and staging whose files of staging have CRLF line ends, and an anchor and a tag."""
    for name in ("dev", "staging"):
        shutil.copytree(ROOT / "overlays" / name, tmp_path / "overlays" / name, ignore=shutil.ignore_patterns("charts"))
    with_known_values(tmp_path)
    for file in (tmp_path / "overlays" / "staging").rglob("*.yaml"):
        file.write_bytes(file.read_bytes().replace(OLD, WRITTEN).replace(b"\n", b"\r\n"))
    return Checkout(tmp_path)


def test_a_pin_changes_only_the_tag(overlays: Checkout) -> None:
    file = overlays.overlay("staging") / "values" / "dagster.yaml"
    before = file.read_bytes()
    image_builds.pin(overlays, "staging", "dagster", TAG)
    assert WRITTEN.replace(b"\n", b"\r\n") in before
    assert file.read_bytes() == before.replace(b"!!str 0.1.0", b"!!str " + TAG.encode())


def test_a_promotion_changes_only_the_versions(overlays: Checkout) -> None:
    file = overlays.overlay("staging") / "values" / "dagster.yaml"
    before = file.read_bytes()
    image_builds.pin(overlays, "dev", "dagster", TAG)
    plan = carried.plan(overlays, "dev", "staging")
    edited = carried.edited(overlays, "dev", "staging", plan.changes)
    assert {path: text.encode() for path, text in edited.items()} == {
        file: before.replace(b"!!str 0.1.0", b"!!str " + TAG.encode())
    }


def test_a_waiver_has_the_line_end_of_the_lines_around_it(overlays: Checkout) -> None:
    text = carried.namespace_file(overlays, "staging").read_bytes().decode()
    waived = carried.waived(text, {"FLOE024": "a reason"}, "it")
    assert waived.count("\n") == waived.count("\r\n") == text.count("\r\n") + 1
    assert carried.waived(waived, {}, "it") == text
