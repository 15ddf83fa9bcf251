"""The two examples in each policy: YAML with objects and, between them, files of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floe import yaml
from floe.validate.policies.policy import plain
from forks import commit, git, with_known_values

_FILE = re.compile(r"# (?P<path>\S+?)(?P<earlier>, in an earlier commit)?\n(?P<content>.*)", re.DOTALL)


def _parts(example: str) -> Iterator[tuple[str, bool, str]]:
    """(path, whether it is committed, text) of each part of an example. A part of the stream has no path."""
    for part in re.split(r"^---\n", plain(example), flags=re.MULTILINE):
        match = _FILE.fullmatch(part)
        yield (match["path"], bool(match["earlier"]), match["content"]) if match else ("", False, part)


def stream(example: str) -> bytes:
    """The manifests in an example, as a stream."""
    return "---\n".join(text for path, _, text in _parts(example) if not path).encode()


def documents(example: str) -> tuple[Any, ...]:
    """The objects in an example."""
    return tuple(document.value for document in yaml.documents(stream(example), "an example"))


def write(example: str, folder: Path) -> None:
    """Make a checkout a Git repository with the files of an example: commit the earlier ones, then write the others."""
    with_known_values(folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    files = [part for part in _parts(example) if part[0]]
    commit(folder, "as it is")
    for path, _, text in (part for part in files if part[1]):
        _put(folder / path, text)
        commit(folder, path)
    for path, _, text in (part for part in files if not part[1]):
        _put(folder / path, text)


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
