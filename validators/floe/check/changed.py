"""Which environments a change touches, from the names of the changed files."""

from __future__ import annotations

from collections.abc import Iterable

from floe.errors import FloeError
from floe.git import open_repository
from floe.repo import Checkout

_BASES = ("origin/main", "HEAD")
"""The revisions with which the working tree is compared by default: the first one that exists."""
_NO_ENVIRONMENT = ("docs/", "tests/", "clusters/README.md")
"""Files that no environment reads: each entry is a folder, or a file."""
_OF_ENVIRONMENT = ("overlays/", "clusters/")
"""Folders with one subfolder for each environment."""


def environments(checkout: Checkout, base: str | None = None) -> tuple[list[str], str]:
    """The environments that read a file changed since the common ancestor with `base`, and the name of that revision.

    Uncommitted and untracked files count. Raises FloeError if the folder is in no repository, or lacks the revision.
    """
    repository = open_repository(checkout.root)
    revision = base or next((one for one in _BASES if repository.has(one)), _BASES[-1])
    names = repository.changed_since(repository.commit(revision))
    return _touched(checkout, names), revision


def _touched(checkout: Checkout, names: Iterable[str]) -> list[str]:
    known, touched = checkout.environments(), set()
    for name in names:
        if name.startswith(_NO_ENVIRONMENT) or ("/" not in name and name.endswith(".md")):
            continue
        folder, _, rest = name.partition("/")
        environment = rest.partition("/")[0]
        if f"{folder}/" in _OF_ENVIRONMENT and environment in known:
            touched.add(environment)
        elif f"{folder}/" not in _OF_ENVIRONMENT or environment in ("base", "all"):
            return known  # base/, apps/, charts.lock, the tools: every environment reads them
    return [name for name in known if name in touched]


def chosen(checkout: Checkout, named: list[str], *, every: bool) -> list[str] | None:
    """The environments that the user chose; None if they chose none. Raises FloeError for a contradictory choice."""
    if named and every:
        raise FloeError("give either environments or --all", f"These exist: {', '.join(checkout.environments())}.")
    for name in named:
        checkout.overlay(name)
    return checkout.environments() if every else list(dict.fromkeys(named)) or None
