"""Evaluates x-kubernetes-validations: rules of custom kinds, written in the Common Expression Language (CEL)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from typing import Any

from floe.kubernetes.schemas.custom import RULES

_DEFAULT = "default"


def has_rules(schema: str) -> bool:
    """Whether a schema, given as JSON text, contains any rule."""
    return f'"{RULES}"' in schema


def problems(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Yield a message for each rule that a value breaks; `path` is the place of the value in its object.

    The value must be valid against the schema. As on the server, a rule sees the defaults that the schema adds. A rule
    that our engine cannot evaluate, for example because it calls a function of Kubernetes, is skipped.
    """
    yield from _broken_rules(schema, _with_defaults(schema, value), path)


def _broken_rules(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    for rule in schema.get(RULES, ()):
        if _evaluated(rule["rule"], value) is False:
            yield f"{path or 'the object'} breaks the rule {rule['rule']}"
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, child in value.items():
            below = properties.get(name, others)
            if isinstance(below, dict):
                yield from _broken_rules(below, child, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for number, child in enumerate(value):
            yield from _broken_rules(schema["items"], child, f"{path}[{number}]")


def _with_defaults(schema: dict[str, Any], value: Any) -> Any:
    """The value with the schema's defaults added, and without fields that are null, since null means not set."""
    if isinstance(value, list):
        return [_with_defaults(schema.get("items", {}), child) for child in value]
    if not isinstance(value, dict):
        return value
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    defaults = {name: child[_DEFAULT] for name, child in properties.items() if _DEFAULT in child}
    fields = defaults | {name: child for name, child in value.items() if child is not None}
    below = {name: properties.get(name, others) for name in fields}
    return {name: _with_defaults(below[name] if isinstance(below[name], dict) else {}, fields[name]) for name in fields}


def _evaluated(rule: str, value: Any) -> Any:
    """The result of the rule for the value; None if the rule cannot be evaluated."""
    program = _compiled(rule)
    if program is None:
        return None
    try:
        return program.execute({"self": value})
    except (RuntimeError, TypeError, ValueError):
        return None


@cache
def _compiled(rule: str) -> Any:
    try:
        return _engine().compile(rule)
    except (RuntimeError, TypeError, ValueError):
        return None


@cache
def _engine() -> Any:
    """Import the extension module of the package cel without the package itself.

    The package also imports an interactive shell, which takes three times as long as a whole validation.
    """
    package = importlib.util.find_spec("cel")
    assert package is not None
    spec = PathFinder.find_spec("cel", list(package.submodule_search_locations or ()))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
