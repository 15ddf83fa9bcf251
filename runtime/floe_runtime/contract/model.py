"""The base of every model of the contract, and how what a file holds becomes one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from floe_runtime.errors import FloeError


class Model(BaseModel):
    """A part of the contract. A field it does not know is an error: a misspelt one would be ignored in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=Model)


def parse(model: type[M], value: Any, path: Path) -> M:
    """The model of what a file holds. Raises FloeError that names file, field and what it may be."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise FloeError(f"{path.name} is not valid ({path}):{problems(error, value)}", f"mend {path.name}") from None


def problems(error: ValidationError, value: Any) -> str:
    """What is wrong with what a file holds, a line a field. Values stay out: one may be a secret in the wrong place."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_input=False):
        field, node = _field(item["loc"], value)
        if item["loc"][-1:] in _PLAIN_MEMBERS and isinstance(node, dict):
            continue  # a mapping that a union tried as text too
        found.setdefault(field or "the file", []).append(_words(item))
    return "".join(f"\n  {field}: {' or '.join(dict.fromkeys(words))}" for field, words in found.items())


def _field(location: tuple[int | str, ...], value: Any) -> tuple[str, Any]:
    """The steps of a location that the file has, and where they lead: pydantic also names a union's member it tried."""
    steps = []
    for number, step in enumerate(location, 1):
        if (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            node: Any = value
            value = node[step]
            steps.append(str(step))
        elif isinstance(value, dict) and number == len(location) and isinstance(step, str) and _IS_FIELD.match(step):
            steps.append(step)  # what is not there, but must be
    return ".".join(steps), value


_IS_FIELD = re.compile(r"[a-z]\w*$")
_PLAIN_MEMBERS = frozenset({("str",), ("int",)})


def _words(item: Any) -> str:
    kind = item["type"]
    if kind in ("model_type", "model_attributes_type"):
        if item.get("ctx", {}).get("class_name") == "Ref":
            return "must name where the value is, as in {env: VARIABLE, secret: NAME}"
        return "must be a mapping"
    if kind.startswith("union_tag"):
        context = item["ctx"]
        tags = context.get("expected_tags")
        return f"{context['discriminator']} must be {f'one of {tags}' if tags else 'set'}"
    words: str = {
        "extra_forbidden": "there is no such field",
        "missing": "must be set",
        "string_type": "must be text",
        "int_type": "must be a whole number",
        "list_type": "must be a list",
        "tuple_type": "must be a list",
    }.get(kind, item["msg"].removeprefix("Value error, ").replace("Input should be", "must be"))
    return words
