"""CompiledArtifacts: one file with an environment's platform and the specification of each app that runs in it.

`floe compile` writes the file into each overlay. It is committed there and mounted into the pods of the code locations.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from floe_runtime.contract.app import App, Schedule, Synthetic
from floe_runtime.contract.model import M, Model, problems
from floe_runtime.contract.platform import Platform
from floe_runtime.errors import FloeError

VARIABLE = "FLOE_COMPILED_ARTIFACTS"
"""The environment variable that holds the path of the file."""


class Specified(Model):
    """Parts of an app's specification in whose place its environment has others."""

    schedule: Schedule | None = None
    synthetic: Synthetic | None = None


class Specification(Model):
    """The specification of an app, as an environment runs it.

    `sha256`: the digest of the specification without what the environment's platform.yaml sets for the app, from which
    it shows whether a specification is the same as before. `specified`: the parts that platform.yaml changes, without
    its changes.
    """

    sha256: str
    app: App
    specified: Specified | None = None

    @classmethod
    def of(cls, app: App, changed: App | None = None) -> Specification:
        """The specification of an app with its digest, which also reveals a later edit by hand.

        `changed`: the app as the environment runs it, if its platform.yaml sets another schedule or synthetic part.
        """
        digest = _digest(app.model_dump(mode="json", exclude_none=True))
        if changed is None or changed == app:
            return cls(sha256=digest, app=app)
        schedule, synthetic = app.pipeline.schedule, app.synthetic
        specified = Specified(
            schedule=schedule if schedule != changed.pipeline.schedule else None,
            synthetic=synthetic if synthetic != changed.synthetic else None,
        )
        return cls(sha256=digest, app=changed, specified=specified)

    def unchanged(self) -> App:
        """The app without what the environment's platform.yaml sets for it."""
        return App.model_validate(_unchanged(self.model_dump()))

    @model_validator(mode="before")
    @classmethod
    def _digest_is_right(cls, data: Any) -> Any:
        # Compare with the content of the file, not with the parsed model, to which a later release may add defaults.
        if (
            isinstance(data, dict)
            and isinstance(data.get("app"), dict)
            and data.get("sha256") != _digest(_unchanged(data))
        ):
            raise ValueError("sha256 is not the digest of the app's specification: the file was edited by hand")
        return data


def _unchanged(specification: dict[str, Any]) -> dict[str, Any]:
    """The app in the content of a specification, without what the environment's platform.yaml sets for it."""
    app: dict[str, Any] = specification["app"]
    specified = specification.get("specified")
    if not isinstance(specified, dict):
        return app
    parts = {name: part for name, part in specified.items() if part is not None}
    if "schedule" in parts and isinstance(app.get("pipeline"), dict):
        app = app | {"pipeline": app["pipeline"] | {"schedule": parts.pop("schedule")}}
    return app | parts


class CompiledArtifacts(Model):
    """The configuration of a code location."""

    version: Literal[1] = 1
    environment: str
    platform: Platform
    apps: dict[str, Specification]

    def text(self) -> str:
        """The file's content. The same inputs give the same bytes."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def _digest(app: dict[str, Any]) -> str:
    canonical = json.dumps(app, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read(path: Path) -> CompiledArtifacts:
    """Read artifacts from a file. Raises FloeError if the file cannot be read or is not valid."""
    return _validated(CompiledArtifacts, _content(path), path)


def specifications(path: Path) -> dict[str, Specification]:
    """The specifications of the apps in a file, whose platform may be one that an earlier release wrote.

    Raises FloeError as `read` does.
    """
    content = _content(path)
    apps = content.get("apps") if isinstance(content, dict) else None
    return _validated(_Apps, {"apps": apps}, path).apps


def has_synthetic(path: Path) -> bool:
    """Whether a file was compiled with the synthetic parts of the apps. Raises FloeError if it cannot be read."""
    content = _content(path)
    platform = content.get("platform") if isinstance(content, dict) else None
    return isinstance(platform, dict) and platform.get("synthetic") is True


class _Apps(Model):
    apps: dict[str, Specification]


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise FloeError(f"cannot read {path}: {error.strerror}", "Write it with `floe compile`.") from error
    except ValueError:
        raise FloeError(f"{path} is not JSON", "Write it again with `floe compile`.") from None


def _validated(model: type[M], value: Any, path: Path) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        reason = problems(error, value)
        raise FloeError(f"{path} is not valid:{reason}", "Write it again with `floe compile`.") from None


def mounted() -> CompiledArtifacts:
    """Read the file that FLOE_COMPILED_ARTIFACTS names. Raises FloeError if there is none or it is not valid."""
    path = os.environ.get(VARIABLE)
    if not path:
        hint = "Set it to the path of the file that `floe compile` wrote."
        raise FloeError(f"the environment variable {VARIABLE} is not set", hint)
    return read(Path(path))
