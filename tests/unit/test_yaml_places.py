"""The lines of the values in a YAML file."""

from __future__ import annotations

import re

from floe.yaml.places import places

TEXT = """\
a: one # a comment
b:
  - name: two
    c: |
      first
      second
  - &x {d: three}
e: *x
---
f: "four"
"""


def test_each_value_has_its_path_and_line() -> None:
    scalars = {".".join(place.path): (place.text, place.line) for place in places(TEXT) if place.text is not None}
    assert scalars == {
        "a": ("one", 1),
        "b.0.name": ("two", 3),
        "b.0.c": ("first\nsecond\n", 4),
        "b.1.d": ("three", 7),
        "f": ("four", 10),
    }
    assert {".".join(place.path): place.line for place in places(TEXT) if place.text is None} == {
        "b": 2,
        "b.0": 3,
        "b.1": 7,
        "e": 8,
    }


def test_a_line_within_a_block_is_found() -> None:
    (block,) = (place for place in places(TEXT) if place.path[-1] == "c")
    match = re.search("second", block.text or "")
    assert match
    assert block.line_of(match.start()) == 6


def test_what_is_not_yaml_has_no_places() -> None:
    assert places("a: [") == places("\x00") == places("[" * 5000) == places("") == []
    assert [place.path for place in places("a: &a [*a]")] == [("a",), ("a", "0")]
    many = "a: &a [x]\n" + "".join(
        f"b{n}: &b{n} [{', '.join(['*a' if not n else f'*b{n - 1}'] * 9)}]\n" for n in range(30)
    )
    assert len(places(many)) == 2 + 30 * 10
