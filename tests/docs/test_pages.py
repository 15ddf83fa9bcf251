"""The files, headings, make targets, suites and commands that Markdown pages mention exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer

import ci
from floe.cli import app
from rendering import ROOT

LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],  # noqa: S607 # git is required
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.split()
PAGES = sorted(ROOT / name for name in LISTED if (ROOT / name).is_file())
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
_COMMAND = re.compile(r"(?:^|[`$|;]|bin/)\s*floe ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """The anchors that Git hosts generate for the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_targets_of_links_exist(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):  # links to other sites are not checked
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pages
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = " ".join(_CODE.findall(page.read_text()))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code)) <= targets


@pages
def test_commands_of_floe_exist(page: Path) -> None:
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined] # it is a group
    for code in _CODE.findall(page.read_text()):
        for name, second in _COMMAND.findall(code):
            assert name in commands, f"floe {name}"
            assert second in getattr(commands[name], "commands", [second]) or not second, f"floe {name} {second}"


@pages
def test_floe_validate_gets_something_to_read(page: Path) -> None:
    """Without a file it reads standard input, so on a line of its own it would wait for a person to type manifests."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        assert not re.search(r"(?:^\$|&&|;) *floe-validate *(?:$|&&|;|#)", block, re.MULTILINE)


def test_the_table_of_suites_matches_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for suite in ci.SUITES:
        words = suite.command.split()
        assert words[0] != "make" or words[1] in targets
