"""CompiledArtifacts: an environment's platform and the specification of each app that runs there, in one file.

It is committed per overlay, mounted into the code location, and read there and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from floe_runtime.contract.app import App
from floe_runtime.contract.model import Model, problems
from floe_runtime.contract.platform import Platform
from floe_runtime.errors import FloeError

VARIABLE = "FLOE_COMPILED_ARTIFACTS"
"""Names the file in a code location's environment."""


class Specification(Model):
    """One app's specification with its digest, which tells two environments' apart at a glance."""

    sha256: str
    app: App

    @classmethod
    def of(cls, app: App) -> Specification:
        """The specification of an app, with the digest that shows whether somebody edits it by hand later."""
        return cls(sha256=_digest(app.model_dump(mode="json", exclude_none=True)), app=app)

    @model_validator(mode="before")
    @classmethod
    def _digest_is_right(cls, data: Any) -> Any:
        # Over what the file holds, so that a field which a later release adds does not make an older file wrong.
        if isinstance(data, dict) and isinstance(data.get("app"), dict) and data.get("sha256") != _digest(data["app"]):
            raise ValueError("the digest is not that of the specification: the file was edited by hand")
        return data


class CompiledArtifacts(Model):
    """What a code location needs to know."""

    version: Literal[1] = 1
    environment: str
    platform: Platform
    apps: dict[str, Specification]

    def text(self) -> str:
        """The file's content: the same for the same inputs, to the byte."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def _digest(app: dict[str, Any]) -> str:
    canonical = json.dumps(app, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read(path: Path) -> CompiledArtifacts:
    """The artifacts a file holds. Raises FloeError where it is not there or not valid."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise FloeError(f"cannot read {path}: {error.strerror}", "floe compile writes it") from error
    except ValueError:
        raise FloeError(f"{path} is not JSON", "write it anew with floe compile") from None
    try:
        return CompiledArtifacts.model_validate(value)
    except ValidationError as error:
        raise FloeError(f"{path} is not valid:{problems(error, value)}", "write it anew with floe compile") from None


def mounted() -> CompiledArtifacts:
    """The artifacts of the environment this process runs in."""
    path = os.environ.get(VARIABLE)
    if not path:
        raise FloeError(f"the environment variable {VARIABLE} is not set", "name the file that floe compile wrote")
    return read(Path(path))
