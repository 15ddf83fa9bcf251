"""The base class of the contract's models, and the parsing of a file's content into a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from floe_runtime.errors import FloeError


class Model(BaseModel):
    """A part of the contract. An unknown field is an error, because a misspelt field would otherwise be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=Model)


def _nowhere(_field: str) -> str:
    return ""


def parse(model: type[M], value: Any, path: Path, where: Callable[[str], str] = _nowhere) -> M:
    """Parse the content of a file. Raises FloeError, which names the file, the fields and what they may be.

    `where`: the place of a field, such as `compute.host`, as the end of a sentence; empty if it is unknown.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(path, problems(error, value, where)) from None


def invalid(path: Path, reason: str) -> FloeError:
    """The error that a file is not valid; `reason` as `problems` returns it."""
    return FloeError(f"{path.name} is not valid ({path}):{reason}", f"Correct {path.name}.")


def problems(error: ValidationError, value: Any, where: Callable[[str], str] = _nowhere) -> str:
    """What is wrong with a file's content, one line for each field. Shows no values: one may be a secret by mistake."""
    by_field: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_input=False):
        field, node = _field(item["loc"], value)
        if item["loc"][-1:] in _PLAIN_MEMBERS and isinstance(node, dict):
            continue  # the content is a mapping, and a union also tried to parse it as plain text
        by_field.setdefault(field or "the file", []).append(_words(item))
    return "".join(
        f"\n  {field}: {' or '.join(dict.fromkeys(words))}{where(field)}" for field, words in by_field.items()
    )


def _field(location: tuple[int | str, ...], value: Any) -> tuple[str, Any]:
    """The field that pydantic's location means, and its value in the file.

    A location also contains the member of a union that pydantic tried. Such a step is not in the file and is left out.
    """
    steps = []
    for number, step in enumerate(location, 1):
        if (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            node: Any = value
            value = node[step]
            steps.append(str(step))
        elif isinstance(value, dict) and number == len(location) and isinstance(step, str) and _IS_FIELD.match(step):
            steps.append(step)  # a required field that the file lacks
    return ".".join(steps), value


_IS_FIELD = re.compile(r"[a-z]\w*$")
_PLAIN_MEMBERS = frozenset({("str",), ("int",)})


def _words(item: Any) -> str:
    kind = item["type"]
    if kind in ("model_type", "model_attributes_type"):
        if item.get("ctx", {}).get("class_name") == "Ref":
            return "must be a reference to the value, as in {env: VARIABLE, secret: NAME}"
        return "must be a mapping"
    if kind.startswith("union_tag"):
        context = item["ctx"]
        tags = context.get("expected_tags")
        field = context["discriminator"].strip("_()")  # the name of a field, or of a function that is named after it
        return f"{field} must be {f'one of {tags}' if tags else 'set'}"
    words: str = {
        "extra_forbidden": "there is no such field",
        "missing": "must be set",
        "string_type": "must be text",
        "int_type": "must be a whole number",
        "dict_type": "must be a mapping",
        "list_type": "must be a list",
        "tuple_type": "must be a list",
    }.get(kind, item["msg"].removeprefix("Value error, ").replace("Input should be", "must be"))
    return words
