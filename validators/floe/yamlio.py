"""YAML as kubectl reads it, position kept; what kubectl would change in silence is refused.

kubectl turns YAML into JSON with sigs.k8s.io/yaml, which resolves plain scalars by YAML 1.1 with some of 1.2: `yes` and
`on` are booleans, `0777`, `0o777`, `0b1` and `1_000` integers, but `1:30` is a string (no base 60) and so is a date.
Refused, though kubectl takes it: a key that stands twice (it keeps the last), a key that is a number with a fraction or
an exponent (it rewrites `1.10` as `1.1`), nesting beyond any manifest.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Never

import yaml
from yaml import events

from floe.errors import FloeError


class YamlError(FloeError):
    """A document that does not parse: where, and why; never what stands there, since it may be a secret."""

    def __init__(self, source: str, document: int, line: int, problem: str) -> None:
        super().__init__(f"{source}: document {document}, line {line}: {problem}", "mend the YAML there")
        self.document, self.line = document, line


@dataclass(frozen=True)
class Document:
    """One document of a stream. `number` counts from 1 and empty documents too; `line` is that of its first key."""

    number: int
    line: int
    value: Any


def documents(text: str | bytes, source: str) -> Iterator[Document]:
    """The documents of a stream, the empty ones left out. Raises YamlError at the first that does not parse."""
    return _Stream(text.encode() if isinstance(text, str) else text, source).documents()


def load_file(path: Path) -> dict[str, Any]:
    """The one mapping that a file holds. Raises FloeError (YamlError for syntax)."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FloeError(f"cannot read {path}: {error.strerror}", "check the path") from error
    found = list(documents(text, str(path)))
    if len(found) != 1 or not isinstance(found[0].value, dict):
        raise FloeError(f"{path} must hold exactly one YAML mapping", "one object a file")
    value: dict[str, Any] = found[0].value
    return value


_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_DOUBTFUL = frozenset(["", *"-+.0123456789~yYnNtTfFoO"])
"""First characters of the plain scalars that may be something else than a string."""
_INTEGER = re.compile(
    r"([-+]?)(?:0[bB](?P<b2>[01]+)|0[xX](?P<b16>[0-9a-fA-F]+)|0[oO]?(?P<b8>[0-7]+)|(?P<b10>0|[1-9][0-9]{0,19}))"
    r"|0b(?P<s2>[-+][01]+)"  # Go reads a sign there too
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_UNDERSCORE = re.compile("(?<=[0-9])_(?=[0-9])")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@lru_cache(maxsize=1 << 14)
def resolve(text: str) -> Any:
    """What a plain scalar is: go-yaml's `resolve`. Raises ValueError for what JSON has no form of."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _DOUBTFUL:
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("infinity and not-a-number have no form in JSON")
    plain = _UNDERSCORE.sub("", text) if text[0] == "." else text.replace("_", "")
    if match := _INTEGER.fullmatch(plain):
        number = int(f"{match[1] or ''}{match[match.lastgroup or 0]}", int((match.lastgroup or "b10")[1:]))
        if -(1 << 63) <= number < 1 << (63 if match[1] else 64):
            return number
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return value if abs(value) != float("inf") else text
    return text


_TAG = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    f"{_TAG}bool": (bool,),
    f"{_TAG}int": (int,),
    f"{_TAG}float": (int, float),
    f"{_TAG}null": (type(None),),
}


def _tagged(tag: str, text: str) -> Any:
    """The value of a scalar with a tag; one that JSON does not know leaves a string. Raises ValueError."""
    if tag == f"{_TAG}binary":
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True).decode(errors="replace")
    if tag not in _TAGGED:
        return text
    value = resolve(text)
    if type(value) not in _TAGGED[tag]:
        raise ValueError(f"the value is not what its tag !!{tag.removeprefix(_TAG)} says")
    return float(value) if tag == f"{_TAG}float" else value


_NO_KEY, _MERGE = object(), object()
_MAX_DEPTH = 200  # of a manifest; JSON schemas in CustomResourceDefinitions go deepest, to about 50
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class _Anchor:
    value: Any
    nodes: int  # with everything that aliases in it stand for; 0 while it is open


class _Stream:
    """Builds values from the parser's events: no recursion, so that no input exhausts the stack."""

    def __init__(self, data: bytes, source: str) -> None:
        self._source, self._number = source, 0
        self._refuse_unreadable(data)
        self._parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)  # the C parser where it is built

    def documents(self) -> Iterator[Document]:
        get = self._parser.get_event
        try:
            while not isinstance(event := get(), events.StreamEndEvent):
                if isinstance(event, events.DocumentStartEvent):
                    self._number += 1
                    line = self._parser.peek_event().start_mark.line + 1
                    value = self._value()
                    if value is not None:
                        yield Document(self._number, line, value)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(part for part in (error.context, error.problem) if part)
            raise YamlError(self._source, max(self._number, 1), mark.line + 1 if mark else 1, problem) from None
        finally:
            self._parser.dispose()

    def _refuse_unreadable(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            before, problem = data[: error.start].decode(), "this is not UTF-8"
        else:
            found = _UNREADABLE.search(text, 1 if text.startswith("\ufeff") else 0)
            if found is None:
                return
            before, problem = text[: found.start()], f"the character U+{ord(found[0]):04X} is not allowed in YAML"
        self._number = 1 + len(re.findall(r"\n---(?=\s)", before.lstrip()))
        raise YamlError(self._source, self._number, before.count("\n") + 1, problem)

    def _refuse(self, event: Any, problem: str) -> Never:
        raise YamlError(self._source, self._number, event.start_mark.line + 1, problem)

    def _value(self) -> Any:
        """The value of one document, from the event after its start up to its end."""
        get = self._parser.get_event
        anchors: dict[str, _Anchor] = {}
        merged: dict[int, set[str]] = {}  # by id of a mapping: the keys that << brought, which others may replace
        nodes = from_aliases = 0
        root: list[Any] = []
        container: Any = root
        key: Any = _NO_KEY
        stack: list[tuple[Any, Any, _Anchor | None, int]] = []  # what a container goes back to when it ends
        while True:
            event = get()
            kind = event.__class__
            nodes += 1
            if kind is events.ScalarEvent:
                value = event.value
                plain = event.implicit[0]
                try:
                    if event.tag is not None:
                        value = _tagged(event.tag, value)
                    elif plain and value[:1] in _DOUBTFUL:
                        value = resolve(value)
                except ValueError as error:
                    self._refuse(event, str(error))
                if event.anchor is not None:
                    anchors[event.anchor] = _Anchor(value, 1)
                if value == "<<" and plain and key is _NO_KEY and container.__class__ is dict:
                    key = _MERGE
                    continue
            elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
                if len(stack) == _MAX_DEPTH:
                    self._refuse(event, f"nested more than {_MAX_DEPTH} levels deep")
                opened: Any = {} if kind is events.MappingStartEvent else []
                anchor = None
                if event.anchor is not None:
                    anchor = anchors[event.anchor] = _Anchor(opened, 0)
                stack.append((container, key, anchor, nodes - 1))
                container, key = opened, _NO_KEY
                continue
            elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
                nodes -= 1
                value = container
                container, key, anchor, before = stack.pop()
                if anchor is not None:
                    anchor.nodes = nodes - before
                merged.pop(id(value), None)
            elif kind is events.AliasEvent:
                target = anchors.get(event.anchor)
                if target is None:
                    self._refuse(event, "no such anchor before this alias; text that begins with * needs quotes")
                if not target.nodes:
                    self._refuse(event, "an anchor contains itself")
                value = target.value
                nodes += target.nodes
                from_aliases += target.nodes
                if _excessive(nodes, from_aliases):
                    self._refuse(event, "the aliases stand for too much")
            else:  # the end of the document
                return root[0]
            if container.__class__ is list:
                container.append(value)
            elif key is _NO_KEY:
                key = value if value.__class__ is str else self._key(event, value)
                if key in container:
                    if key not in merged.get(id(container), ()):
                        self._refuse(event, f"the key {key!r} stands twice")
                    merged[id(container)].remove(key)
            elif key is _MERGE:
                self._merge(event, container, value, merged.setdefault(id(container), set()))
                key = _NO_KEY
            else:
                container[key] = value
                key = _NO_KEY

    def _key(self, event: yaml.Event, value: Any) -> str:
        """A key that is no string, as JSON has it: 12, true."""
        if not isinstance(value, int):
            self._refuse(event, "a key must be a string: quote it")
        return str(value).lower()

    def _merge(self, event: yaml.Event, container: dict[str, Any], value: Any, merged: set[str]) -> None:
        sources: Iterable[Any] = reversed(value) if isinstance(value, list) else [value]
        for source in sources:  # of several the first has the last word
            if not isinstance(source, dict):
                self._refuse(event, "<< takes a mapping or a list of mappings")
            for key in source:
                if key in container and key not in merged:
                    # go-yaml lets << win there, which YAML says it does not.
                    self._refuse(event, f"the key {key!r} stands before the << that brings it too")
            container.update(source)
            merged.update(source)


def _excessive(nodes: int, from_aliases: int) -> bool:
    """Whether aliases stand for too large a part of a document: go-yaml's limits."""
    low, high = 400_000, 4_000_000
    share = min(max((nodes - low) / (high - low), 0), 1)
    return from_aliases > 100 and nodes > 1000 and from_aliases / nodes > 0.99 - 0.89 * share
