"""A YAML file of a checkout as a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from floe.yaml import load_file
from floe.yaml.places import places
from floe_runtime.contract.model import M, parse


def load(model: type[M], path: Path) -> M:
    """The model that a YAML file holds. Raises FloeError that names file, field, line and what it may be."""
    return parse(model, load_file(path), path, lines_of(path))


def lines_of(path: Path) -> Callable[[str], str]:
    """The function that says of a field, such as `compute.host`, on which line it is: ` (line 4)`.

    For a field that the file lacks it is the line of the part that should contain it. The file is read only if the
    function is called.
    """

    def where(field: str) -> str:
        lines = {".".join(place.path): place.line for place in places(path.read_text())}
        while field and field not in lines:
            field = field.rpartition(".")[0]
        return f" (line {lines[field]})" if field else ""

    return where
