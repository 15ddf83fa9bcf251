"""The schemas of Kubernetes' built-in kinds, read offline from the package kubernetes-validate."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from floe.errors import FloeError

RELEASE = "1.34"
"""The Kubernetes release that objects are checked against by default."""


@cache
def _schemas_folder() -> Path:
    # find_spec does not import the package, which would take longer than a whole validation.
    spec = find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise FloeError("the package kubernetes-validate is not installed", "run make setup")
    return Path(spec.origin).parent / "kubernetes-json-schema"


def releases() -> list[str]:
    """The Kubernetes releases with schemas, such as 1.34, the oldest first."""
    names = (re.fullmatch(r"v(\d+)\.(\d+)\.0-local-strict", path.name) for path in _schemas_folder().iterdir())
    return [f"{major}.{minor}" for major, minor in sorted((int(name[1]), int(name[2])) for name in names if name)]


@cache
def definitions(kubernetes: str = RELEASE, *, strict: bool = True) -> dict[str, Any]:
    """The JSON schema of every type of a Kubernetes release, by the full name of the type.

    `strict`: the schemas forbid unknown properties. Raises FloeError for a release without schemas.
    """
    file = _schemas_folder() / f"v{kubernetes}.0-local{'-strict' if strict else ''}" / "_definitions.json"
    if not file.is_file():
        raise FloeError(f"no schemas of Kubernetes {kubernetes}", f"releases: {', '.join(releases())}")
    schemas: dict[str, Any] = json.loads(file.read_bytes())["$defs"]
    return schemas
