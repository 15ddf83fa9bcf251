"""The chart versions and images that an overlay pins, now and in earlier commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

from floe import git
from floe.errors import FloeError
from floe.kubernetes.objects import mapping
from floe.repo import Checkout
from floe.validate.stream import LeftOut
from floe.yaml import documents

Pins = dict[str, str]
"""Pinned values by their path in a values file, such as `version` or `valuesInline.image.tag`."""

_IMAGE_KEYS = frozenset({"repository", "tag", "digest"})


def current(checkout: Checkout, environment: str) -> dict[str, Pins]:
    """The pins of each values file of an overlay, by file name. Raises FloeError if a file is not valid YAML."""
    return {
        file.name: pins
        for file in sorted((checkout.overlay(environment) / "values").glob("*.yaml"))
        if (pins := _pins_in(file.read_bytes(), checkout.relative(file)))
    }


def _pins_in(content: bytes, name: str) -> Pins:
    contents = [document.value for document in documents(content, name)]
    patch = mapping(contents[0]) if len(contents) == 1 else {}
    if patch.get("kind") != "HelmChartInflationGenerator":
        return {}
    pins = {f"valuesInline{path}": value for path, value in _image_pins(patch.get("valuesInline"), "")}
    return ({"version": str(patch["version"])} if "version" in patch else {}) | pins


def _image_pins(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _IMAGE_KEYS and isinstance(value, (str, int, float)):
                yield f"{path}.{key}", str(value)
            else:
                yield from _image_pins(value, f"{path}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _image_pins(value, f"{path}[{mapping(value).get('name', number)}]")


def history(checkout: Checkout, environment: str, until: str = "HEAD") -> Iterator[tuple[str, Pins]]:
    """Yield the file name and the pins of each committed version of an overlay's values files, the newest first.

    `until`: the last commit of the history. Raises LeftOut outside of a Git repository, and if git fails or does not
    end in time.
    """
    try:
        with closing(git.history(checkout.root, _values(environment), checkout.git, until)) as versions:
            for name, content in versions:
                with suppress(FloeError):  # a version that is not valid YAML pinned nothing
                    yield name, _pins_in(content, name)
    except FloeError as error:
        raise LeftOut(error.message) from None


def before_promotion(checkout: Checkout, before: str, environment: str) -> Iterator[tuple[str, Pins]]:
    """Yield what `history` does for what an environment may run: the versions of the environment before it.

    These are followed by what the environment itself ran before that one existed, which it had no way to pass through.
    """
    yield from history(checkout, before)
    try:
        first = git.first_commit(checkout.root, _values(before), checkout.git)
    except FloeError as error:
        raise LeftOut(error.message) from None
    if first is None:
        yield from history(checkout, environment)
    else:
        with suppress(LeftOut):  # there may be no commit before the first one
            yield from history(checkout, environment, f"{first}^")


def _values(environment: str) -> str:
    return f"overlays/{environment}/values"
