"""The base of every model of the contract, and how a file becomes one."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from floe import yamlio
from floe.errors import FloeError


class Model(BaseModel):
    """A part of the contract. A field it does not know is an error: a misspelt one would be ignored in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=Model)


def load(model: type[M], path: Path) -> M:
    """The model that a YAML file holds. Raises FloeError that names file, field and what it may be."""
    value = yamlio.load_file(path)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise FloeError(f"{path.name} is not valid ({path}):{problems(error)}", f"mend {path.name}") from None


def problems(error: ValidationError) -> str:
    """What is wrong, a line a field. The values stay out: one of them may be a secret in the wrong place."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        # Pydantic names the member of a union that it tried: noise for who wrote the file.
        field = ".".join(
            str(part) for part in item["loc"] if not str(part)[:1].isupper() and str(part) not in _UNION_TAGS
        )
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such field"
        lines.append(f"\n  {field or 'the file'}: {message}")
    return "".join(dict.fromkeys(lines))


_UNION_TAGS = frozenset({"str", "int", "bool"})
