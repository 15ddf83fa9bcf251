"""The fast block reader returns the same values as the full loader, and leaves all errors to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from floe.yaml import YamlError, block, documents, full, reading
from fuzz import inputs

STREAM = """\
# a comment
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app.kubernetes.io/name: web, "a": 'b', m: 1}
  annotations:
    checksum/config: 0777
    "quoted": "on"
    'it': 'don''t'
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: web
        image: registry.example.com:5000/web:1.2.3
        args: ["--listen", '0.0.0.0:8080', -v, 12]
        env:
        - name: A
          value: "a\\nb \\"c\\" \\\\"
        - name: B
          value: |
            one
              two

            three
        - name: C
          value: |-
            # no comment

          # a comment
        resources: {}
      volumes: []
---
apiVersion: v1
kind: ConfigMap
data:
  empty:
  list:
  - a
  -   b: 1
      c: yes
  -
  - - nested
  -
    d: 1e3
  text: a b # c
  more:  "a # b"   # c
  none: # c
  flow: [a, b] # c]
  literal: | # c
    text
  url: http://x/#y
  date: 2001-01-01
--- # the third

- 1
- x: y
---
---
a: ~
"""
WORDS = (
    *(": ", ":", "- ", "-", "? ", "#", " #", "  # c", " ", "  ", "\n", "\n\n"),
    *("\n---\n", "\n---", "\n--- x\n", "\n...\n", "\n%A\n"),
    *("'", '"', "|", "|-", "|+", "|2", ">", "[", "]", "{", "}", ",", "&a ", "*a", "!!str ", "!", "<<: "),
    *("\t", "\r\n", "\r"),
    *("yes", "null", "~", "0x1F", "1_0", ".5", ".inf", "-1", "\\", "\x85", "\u2028", "\ufeff", "é", "\u3000"),
    *("@", "`", "%", "="),
    *("a: 1", "name: web", "[a, b]", "{a: b}", "{a: b, a: c}", "[]", "{}", "[-]", "[a b]", "[a,]", "{a:b}", '["a":1]'),
)  # fmt: skip
edits = st.lists(
    st.tuples(st.integers(0, len(STREAM)), st.integers(0, 9), st.sampled_from(WORDS) | st.text(max_size=3)),
    min_size=1,
    max_size=4,
)
PIECES = (
    "a",
    "b",
    ": ",
    ":",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    " ",
    "'",
    '"',
    "|",
    "#",
    "1",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "---\n",
)
made = st.lists(st.sampled_from((*PIECES, *WORDS)), max_size=14).map("".join)


def outcome(documents: Any) -> tuple[list[Any], bool]:
    """(number, line, repr of the value) of each document, and whether the reader raised an error."""
    read = []
    try:
        for document in documents():
            read.append((document.number, document.line, repr(document.value)))  # noqa: PERF401 # keep documents before an error
    except YamlError:
        return read, True
    return read, False


def compare(text: str) -> None:
    data = text.encode(errors="replace")
    try:
        readable = reading._checked_text(data, "x")
    except YamlError:
        return  # both readers refuse the bytes
    assert outcome(lambda: documents(data, "x")) == outcome(lambda: full.Stream(readable, "x").documents())


@settings(max_examples=inputs(1500), deadline=None)
@given(edits)
def test_edited_manifests(pieces: list[tuple[int, int, str]]) -> None:
    text = STREAM
    for place, length, word in pieces:
        text = text[:place] + word + text[place + length :]
    compare(text)


@settings(max_examples=inputs(1500), deadline=None)
@given(made)
@example("a: 'x\n---\nb: 1")
@example("- |\n x\n-\n")
@example("a: |\n\n  \n x\n")
@example("a: |\n  x\n    \n \n")
@example("a:\n- b\nc:\n- d\n -e")
@example("a: - b")
@example("a: b\n\n c")
@example("a: |\n x")
@example("---\n---\n---")
@example("a: [-]\nb: [--]\nc: [-, -]")
def test_random_text(text: str) -> None:
    compare(text)


def test_the_block_reader_reads_the_documents_of_manifests() -> None:
    parts = [reading._read_block(part, whole=True) for part in f"\n{STREAM}".split("\n---")]
    # Only the full loader reads a list in a list.
    assert [part is None for part in parts] == [False, True, False, False, False]
    compare(STREAM)


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "a:\n  b: 1\n  b: 2", "a: {b: 1, b: 2}", "a: *b", "a: &b 1", "y: 1", "a: !!int 1"]
)
def test_the_block_reader_leaves_other_text_to_the_full_loader(text: str) -> None:
    with pytest.raises(block.Other):
        block.read(text.split("\n"))
