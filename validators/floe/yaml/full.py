"""The full YAML loader, which supports all of YAML. It builds values from libyaml's events, document by document."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Never

import yaml
from yaml import events

from floe.yaml.document import Document, YamlError
from floe.yaml.scalars import DOUBTFUL, resolve

_TAG = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    f"{_TAG}bool": (bool,),
    f"{_TAG}int": (int,),
    f"{_TAG}float": (int, float),
    f"{_TAG}null": (type(None),),
}


def _tagged_value(tag: str, text: str) -> Any:
    """The value of a scalar with a tag. With a tag that has no counterpart in JSON, it is a string.

    Raises ValueError if the text is not valid for its tag.
    """
    if tag == f"{_TAG}binary":
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True).decode(errors="replace")
    if tag not in _TAGGED:
        return text
    value = resolve(text)
    if type(value) not in _TAGGED[tag]:
        raise ValueError(f"the value does not have the type of its tag !!{tag.removeprefix(_TAG)}")
    return float(value) if tag == f"{_TAG}float" else value


_NO_KEY, _MERGE = object(), object()
_MAX_DEPTH = 200  # the deepest manifests are JSON schemas in CustomResourceDefinitions, with about 50 levels


@dataclass(slots=True)
class _Anchor:
    value: Any
    nodes: int  # number of nodes in the value, with those that its aliases refer to; 0 while the value is incomplete


class Stream:
    """Builds values from the parser's events, without recursion, so that no input can exhaust the stack.

    `text`: a stream or a part of it. `source`: the name of the stream in messages. `document` and `line`: the number of
    the first document in the text and of its first line; both count from 1.
    """

    def __init__(self, text: str, source: str, document: int = 1, line: int = 1) -> None:
        self._source, self._first, self._lines_before = source, document, line - 1
        self.number = document - 1
        self._parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text.encode())  # C parser if available

    def documents(self) -> Iterator[Document]:
        """Yield the documents that are not empty. Raises YamlError at the first that cannot be parsed.

        Afterwards, the attribute `number` is the number of the last document, empty or not.
        """
        get = self._parser.get_event
        try:
            while not isinstance(event := get(), events.StreamEndEvent):
                if isinstance(event, events.DocumentStartEvent):
                    self.number += 1
                    line = self._line(self._parser.peek_event().start_mark)
                    value = self._value()
                    if value is not None:
                        yield Document(self.number, line, value)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(part for part in (error.context, error.problem) if part)
            raise YamlError(self._source, max(self.number, self._first), self._line(mark), problem) from None
        finally:
            self._parser.dispose()

    def _line(self, mark: yaml.Mark | None) -> int:
        return self._lines_before + (mark.line + 1 if mark else 1)

    def _refuse(self, event: Any, problem: str) -> Never:
        raise YamlError(self._source, self.number, self._line(event.start_mark), problem)

    def _value(self) -> Any:
        """The value of one document, from the event after its start up to its end."""
        get = self._parser.get_event
        anchors: dict[str, _Anchor] = {}
        merged: dict[int, set[str]] = {}  # by id() of a mapping: keys that << added, which other keys may replace
        nodes = from_aliases = 0
        root: list[Any] = []
        container: Any = root
        key: Any = _NO_KEY
        stack: list[tuple[Any, Any, _Anchor | None, int]] = []  # the state to return to when a container ends
        while True:
            event = get()
            kind = event.__class__
            nodes += 1
            if kind is events.ScalarEvent:
                value = event.value
                plain = event.implicit[0]
                try:
                    if event.tag is not None:
                        value = _tagged_value(event.tag, value)
                    elif plain and value[:1] in DOUBTFUL:
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
                    self._refuse(event, "no such anchor before this alias; quote a text that begins with *")
                if not target.nodes:
                    self._refuse(event, "an anchor contains itself")
                value = target.value
                nodes += target.nodes
                from_aliases += target.nodes
                if _too_many_aliases(nodes, from_aliases):
                    self._refuse(event, "the aliases expand to too many values")
            else:  # the end of the document
                return root[0]
            if container.__class__ is list:
                container.append(value)
            elif key is _NO_KEY:
                key = value if value.__class__ is str else self._key(event, value)
                if key in container:
                    if key not in merged.get(id(container), ()):
                        self._refuse(event, f"the key {key!r} appears twice")
                    merged[id(container)].remove(key)
            elif key is _MERGE:
                self._merge(event, container, value, merged.setdefault(id(container), set()))
                key = _NO_KEY
            else:
                container[key] = value
                key = _NO_KEY

    def _key(self, event: yaml.Event, value: Any) -> str:
        """The text of a key that is a whole number or a boolean, as in JSON: 12, true. Refuse any other."""
        if not isinstance(value, int):
            self._refuse(event, "a key must be a string: quote it")
        return str(value).lower()

    def _merge(self, event: yaml.Event, container: dict[str, Any], value: Any, merged: set[str]) -> None:
        sources: Iterable[Any] = reversed(value) if isinstance(value, list) else [value]
        for source in sources:  # in a list of mappings, the first one takes precedence, so it is merged last
            if not isinstance(source, dict):
                self._refuse(event, "<< takes a mapping or a list of mappings")
            for key in source:
                if key in container and key not in merged:
                    # go-yaml takes the value from << in this case, although the specification of YAML says otherwise.
                    self._refuse(event, f"the key {key!r} appears before a << that adds the same key")
            container.update(source)
            merged.update(source)


def _too_many_aliases(nodes: int, from_aliases: int) -> bool:
    """Whether too large a part of a document comes from aliases; the limits are those of go-yaml."""
    low, high = 400_000, 4_000_000
    share = min(max((nodes - low) / (high - low), 0), 1)
    return from_aliases > 100 and nodes > 1000 and from_aliases / nodes > 0.99 - 0.89 * share
