"""Line ends: commands that edit files of an overlay keep them, and Git's conversion of them is no uncommitted change.

Edits keep anchors, tags and comments, too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from floe import image_builds
from floe.git import open_repository
from floe.promote import carried
from floe.repo import Checkout
from forks import commit, git, with_known_values
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
    # In a fork, the two may run different specifications of the apps too.
    edited = carried.edited(overlays, "dev", "staging", [one for one in plan.changes if one.file != carried.ARTIFACTS])
    assert {path: text.encode() for path, text in edited.items()} == {
        file: before.replace(b"!!str 0.1.0", b"!!str " + TAG.encode())
    }


def test_a_waiver_has_the_line_end_of_the_lines_around_it(overlays: Checkout) -> None:
    text = carried.namespace_file(overlays, "staging").read_bytes().decode()
    waived = carried.waived(text, {"FLOE024": "a reason"}, "it")
    assert waived.count("\n") == waived.count("\r\n") == text.count("\r\n") + 1
    assert carried.waived(waived, {}, "it") == text


def test_a_file_that_git_would_store_as_it_is_committed_is_no_uncommitted_change(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (tmp_path / ".gitattributes").write_text("* text=auto eol=lf\n")
    for name in ("line ends", "content", "staged"):
        (folder / name).write_bytes(b"a: 1\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    index = (tmp_path / ".git" / "index").read_bytes()
    (folder / "line ends").write_bytes(b"a: 1\r\n")
    assert open_repository(folder).uncommitted() == 0
    assert (tmp_path / ".git" / "index").read_bytes() == index
    (folder / "content").write_bytes(b"a: 2\r\n")
    (folder / "new").write_bytes(b"")
    (folder / "staged").write_bytes(b"a: 2\n")
    git(folder, "add", "staged")
    (folder / "staged").write_bytes(b"a: 1\n")
    assert open_repository(folder).changed(".") == ["content", "new", "staged"]
