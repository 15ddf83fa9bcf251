"""YAML as kubectl and kustomize read it: go-yaml's scalars, duplicate keys refused, positions kept.

go-yaml resolves plain scalars by YAML 1.1 with some of 1.2: `yes`, `on` are booleans and `0777`, `0o777`, `0b1`,
`1_000` integers, but `1:30` is a string (no base 60) and dates stay strings, since everything becomes JSON
(gopkg.in/yaml.v2 resolve.go, as used by sigs.k8s.io/yaml).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from floe.errors import FloeError


class YamlError(FloeError):
    """A document that does not parse: where, and why."""

    def __init__(self, source: str, document: int, line: int, problem: str) -> None:
        super().__init__(f"{source}: document {document}, line {line}: {problem}", "mend the YAML there")
        self.document, self.line = document, line


@dataclass(frozen=True)
class Document:
    """One document of a stream. `number` counts from 1 and empty documents too; `line` is that of its first key."""

    number: int
    line: int
    value: Any


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # the C parser where it is built
    """SafeLoader with go-yaml's implicit types."""


_BOOL = re.compile(r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$")
_INT = re.compile(r"^[-+]?(?:0[bB]_*[01][01_]*|0[oO]?_*[0-7][0-7_]*|0[xX]_*[0-9a-fA-F][0-9a-fA-F_]*|0_*|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_TRUE = frozenset({"y", "yes", "true", "on"})


def _bool(loader: Any, node: yaml.ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() in _TRUE


def _int(loader: Any, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    lower = digits.lower()
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if lower.startswith(prefix):
            return sign * int(lower[2:], base)
    return sign * int(lower, 8 if lower.startswith("0") and len(lower) > 1 else 10)


def _float(loader: Any, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    if text.endswith((".inf", ".nan")):
        raise yaml.constructor.ConstructorError(None, None, f"{text} has no form in JSON", node.start_mark)
    return float(text)


def _sequence(loader: Any, node: yaml.SequenceNode) -> list[Any]:
    # Deep, so that an alias to its own parent is refused here and nothing later recurses without end.
    sequence: list[Any] = loader.construct_sequence(node, deep=True)
    return sequence


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[str, Any]:
    """Keys become strings as in JSON; one that stands twice is an error, as in kubectl's strict mode."""
    loader.flatten_mapping(node)
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        name = loader.construct_object(key, deep=True)
        if name is None or isinstance(name, (list, dict)):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a string", key.start_mark)
        text = str(name).lower() if isinstance(name, bool) else str(name)
        if text in mapping:
            raise yaml.constructor.ConstructorError(None, None, f"the key {text} stands twice", key.start_mark)
        mapping[text] = loader.construct_object(value, deep=True)
    return mapping


Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", _BOOL, "yYnNtTfFoO"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
    ("null", _NULL, ["~", "n", "N", ""]),
    ("merge", re.compile(r"^<<$"), "<"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
for _tag, _construct in (("bool", _bool), ("int", _int), ("float", _float), ("seq", _sequence), ("map", _mapping)):
    Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)
Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_yaml_str)


def documents(text: str | bytes, source: str) -> Iterator[Document]:
    """The documents of a stream, the empty ones left out. Raises YamlError at the first that does not parse."""
    number = 0
    loader = None
    try:
        loader = Loader(text)
        while loader.check_node():
            number += 1
            node = loader.get_node()
            value = loader.construct_document(node)
            if value is not None:
                yield Document(number, node.start_mark.line + 1, value)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        inside = number if isinstance(error, yaml.constructor.ConstructorError) else number + 1
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(source, inside, mark.line + 1 if mark else 0, problem) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError(source, number + 1, 1, " ".join(str(error).split())) from error
    except RecursionError as error:
        raise YamlError(source, number + 1, 1, "nested too deeply") from error
    finally:
        if loader is not None:
            loader.dispose()


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
