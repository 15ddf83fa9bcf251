"""Settings that name where a value comes from instead of holding it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StrictInt, model_validator

from floe_runtime.contract.model import Model
from floe_runtime.errors import FloeError


class Ref(Model):
    """A value that a process finds in an environment variable; in a cluster a Secret's key may fill that variable."""

    env: Annotated[
        str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$", description="the environment variable that holds the value")
    ]
    secret: Annotated[str | None, Field(description="the Kubernetes Secret that fills the variable")] = None
    key: Annotated[
        str | None, Field(description="the key in that Secret; the variable's name where it is left out")
    ] = None
    default: Annotated[str | None, Field(description="the value without the variable; never for a secret")] = None

    @model_validator(mode="after")
    def _no_default_for_a_secret(self) -> Ref:
        if self.secret and self.default is not None:
            raise ValueError("a value that comes from a Secret has no default")
        return self


Setting = str | StrictInt | Ref
"""A value as it is, or where to find it."""


def _without_default(ref: Ref) -> Ref:
    if ref.default is not None:
        raise ValueError("a secret has no default: it would stand in this file")
    return ref


SecretRef = Annotated[Ref, AfterValidator(_without_default)]
"""Where to find what must not be written here."""


class Missing(FloeError):
    """A variable that a setting names is not in the environment."""

    def __init__(self, ref: Ref) -> None:
        """`ref`: the reference; the message names its variable and, if it has one, the Secret and key it comes from."""
        source = f", or take it from the Secret {ref.secret} (key {ref.key or ref.env})" if ref.secret else ""
        super().__init__(f"the environment variable {ref.env} is not set", f"export {ref.env}=…{source}")


def value(setting: Setting, env: Mapping[str, str] = os.environ) -> str:
    """The value of a setting. Raises Missing where its variable is not set or empty."""
    if not isinstance(setting, Ref):
        return str(setting)
    found = env.get(setting.env) or setting.default
    if found is None:
        raise Missing(setting)
    return found


def number(setting: Setting, env: Mapping[str, str] = os.environ) -> int:
    """The value of a setting that is a number. Raises FloeError where it is none."""
    text = value(setting, env)
    if not text.isdecimal():
        name = setting.env if isinstance(setting, Ref) else "the setting"
        raise FloeError(f"{name} is not a number", "give a whole number, such as 5432")
    return int(text)


def secret(ref: Ref, env: Mapping[str, str] = os.environ) -> SecretStr:
    """The value of a reference, wrapped so that it does not show in a log or a traceback."""
    return SecretStr(value(ref, env))
