"""The chart versions and images that an overlay pins, now and at any commit before."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from floe import repo
from floe.errors import FloeError
from floe.kubernetes.objects import mapping
from floe.validate.stream import LeftOut
from floe.yaml import documents

Pins = dict[str, str]
"""By place in a values file: `version`, `valuesInline.image.tag`."""

_IMAGE_KEYS = frozenset({"repository", "tag", "digest"})


def current(environment: str) -> dict[str, Pins]:
    """What each values file of an overlay pins, by file name. Raises FloeError where one is no YAML."""
    return {
        file.name: pins
        for file in sorted((repo.overlay(environment) / "values").glob("*.yaml"))
        if (pins := _of_text(file.read_bytes(), str(file.relative_to(repo.root()))))
    }


def _of_text(content: bytes, name: str) -> Pins:
    found = [document.value for document in documents(content, name)]
    patch = mapping(found[0]) if len(found) == 1 else {}
    if patch.get("kind") != "HelmChartInflationGenerator":
        return {}
    pins = {f"valuesInline{path}": value for path, value in _images(patch.get("valuesInline"), "")}
    return ({"version": str(patch["version"])} if "version" in patch else {}) | pins


def _images(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _IMAGE_KEYS and isinstance(value, (str, int, float)):
                yield f"{path}.{key}", str(value)
            else:
                yield from _images(value, f"{path}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _images(value, f"{path}[{mapping(value).get('name', number)}]")


def history(environment: str) -> Iterator[tuple[str, Pins]]:
    """(file name, what it pinned) of each version of an overlay's values files, the newest first, by one call of git.

    Raises LeftOut outside of a Git repository.
    """
    # With all lines as context a patch holds the whole file; nothing else has to be asked for.
    options = ["--format=", "--patch", "--unified=1000000", "--no-color", "--no-ext-diff", "--no-renames"]
    folder = f"overlays/{environment}/values"
    command = ["git", "-C", str(repo.root()), "log", *options, "--", folder]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise LeftOut(f"git cannot be started: {error.strerror}") from None
    with process:
        assert process.stdout
        assert process.stderr
        try:
            for name, content in _files(process.stdout):
                with suppress(FloeError):  # a commit that was broken pinned nothing
                    yield name, _of_text(content, name)
        finally:
            process.kill()  # the reader may have seen enough
        if process.wait() > 0:
            reason = process.stderr.read().decode(errors="replace").strip().partition("\n")[0]
            raise LeftOut(f"the history of {folder} cannot be read: {reason}")


def _files(lines: Any) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file that git's patches write."""
    name, content, inside = "", b"", False
    for line in lines:
        if line.startswith(b"diff --git "):
            if content:
                yield name, content
            name, content, inside = Path(line.decode(errors="replace").rstrip().rstrip('"')).name, b"", False
        elif line.startswith(b"@@"):
            inside = True
        elif inside and line[:1] in (b"+", b" "):
            content += line[1:]
    if content:
        yield name, content


def is_shallow() -> bool:
    """Whether the clone lacks the older part of the history."""
    command = ["git", "-C", str(repo.root()), "rev-parse", "--is-shallow-repository"]
    return subprocess.run(command, capture_output=True, check=False).stdout.strip() == b"true"
