"""The files of an environment that a person edits, and the lines on which a text stands in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from floe.repo import Checkout
from floe.yaml.places import Place, places

_MADE = ("charts", "compiled")
"""Folders of an overlay whose files floe writes."""


class Spot(NamedTuple):
    """A line of a file; the file's path is relative to the repository, and `line` counts from 1."""

    file: str
    line: int


class Written:
    """The YAML files in overlays/<env> and clusters/<env>, without those that floe writes.

    A file that cannot be read has no content here. Files are parsed only when the lines of a text in them are asked
    for, because most validations need none.
    """

    def __init__(self, checkout: Checkout, environment: str) -> None:
        self._checkout, self._environment = checkout, environment
        self._parsed: dict[str, list[Place]] = {}

    @cached_property
    def texts(self) -> dict[str, str]:
        """The text of each file by its path in the repository; platform.yaml is first."""
        root, environment = self._checkout.root, self._environment
        overlay, texts = root / "overlays" / environment, {}
        made = tuple(overlay / name for name in _MADE)
        files = [file for file in overlay.rglob("*.yaml") if not any(map(file.is_relative_to, made))]
        files += (root / "clusters" / environment).rglob("*.yaml")
        for file in sorted(files, key=lambda file: (file != overlay / "platform.yaml", file)):
            try:
                texts[self._checkout.relative(file)] = file.read_text()
            except (OSError, UnicodeDecodeError):
                continue
        return texts

    def places(self, file: str) -> list[Place]:
        """The nodes of a file, by its path in the repository; nothing if there is no such file."""
        if file not in self._parsed:
            self._parsed[file] = places(self.texts.get(file, ""))
        return self._parsed[file]

    @cached_property
    def by_text(self) -> dict[str, list[tuple[str, Place]]]:
        """(file, place) of each scalar of the files, by its text."""
        found: dict[str, list[tuple[str, Place]]] = {}
        for file in self.texts:
            for place in self.places(file):
                if place.text is not None:
                    found.setdefault(place.text, []).append((file, place))
        return found

    def lines_with(self, text: re.Pattern[str]) -> list[tuple[str, Spot]]:
        """Each match of a pattern in a value of a file, and where it is. Comments and keys are not searched."""
        return [
            (match[0], Spot(file, place.line_of(match.start())))
            for file, content in self.texts.items()
            if text.search(content)
            for place in self.places(file)
            if place.text
            for match in text.finditer(place.text)
        ]


def also(spots: Sequence[Spot]) -> str:
    """The places after the first one as the end of a message: `; also in FILE lines 3, 9, and OTHER line 4`."""
    by_file: dict[str, list[str]] = {}
    for file, line in list(dict.fromkeys(spots))[1:]:
        by_file.setdefault(file, []).append(str(line))
    words = [f"{file} line{'s' * (len(lines) > 1)} {', '.join(lines)}" for file, lines in by_file.items()]
    return f"; also in {', and '.join(words)}" if words else ""
