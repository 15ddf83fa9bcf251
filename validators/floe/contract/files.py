"""A YAML file of a checkout as a model."""

from __future__ import annotations

from pathlib import Path

from floe.yaml import load_file
from floe_runtime.contract.model import M, parse


def load(model: type[M], path: Path) -> M:
    """The model that a YAML file holds. Raises FloeError that names file, field and what it may be."""
    return parse(model, load_file(path), path)
