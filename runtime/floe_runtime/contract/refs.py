"""Settings: plain values, or references to environment variables that hold the values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StrictInt, model_validator

from floe_runtime.contract.model import Model
from floe_runtime.errors import FloeError


class Ref(Model):
    """A reference to an environment variable that holds a value. In a cluster, a Secret may provide the variable."""

    env: Annotated[
        str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$", description="the environment variable that holds the value")
    ]
    secret: Annotated[str | None, Field(description="the Kubernetes Secret that provides the variable")] = None
    key: Annotated[str | None, Field(description="the key in that Secret; by default, the name of the variable")] = None
    default: Annotated[str | None, Field(description="the value if the variable is not set; never for a secret")] = None

    @model_validator(mode="after")
    def _no_default_for_a_secret(self) -> Ref:
        if self.secret and self.default is not None:
            raise ValueError("a value from a Secret must not have a default")
        return self


Setting = str | StrictInt | Ref
"""A plain value, or a reference to it."""


def _url(setting: Setting) -> Setting:
    if isinstance(setting, int) or (isinstance(setting, str) and not re.match(r"https?://[^/\s:]", setting)):
        raise ValueError("must be a URL that begins with http:// or https:// and names a host")
    return setting


def _host(setting: Setting) -> Setting:
    if isinstance(setting, int) or (isinstance(setting, str) and not _HOST.fullmatch(setting)):
        raise ValueError("must be the name or address of a host alone, without scheme, port and path")
    return setting


def _port(setting: Setting) -> Setting:
    number = int(setting) if isinstance(setting, str) and setting.isdecimal() else setting
    if not isinstance(setting, Ref) and not (isinstance(number, int) and 0 < number < 65536):
        raise ValueError("must be a number from 1 to 65535")
    return setting


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")

Url = Annotated[Setting, AfterValidator(_url)]
Host = Annotated[Setting, AfterValidator(_host)]
Port = Annotated[Setting, AfterValidator(_port)]
"""Settings whose form is checked if the file has the value itself."""


def _without_default(ref: Ref) -> Ref:
    if ref.default is not None:
        raise ValueError("a secret must not have a default, because this file would then contain it")
    return ref


SecretRef = Annotated[Ref, AfterValidator(_without_default)]
"""A reference to a value that must not be written into the file."""


class Missing(FloeError):
    """The environment variable that a setting refers to is not set."""

    def __init__(self, ref: Ref) -> None:
        """`ref`: the reference. The hint names its variable and, if there is one, the Secret that provides it."""
        source = f" to the value in the Secret {ref.secret} (key {ref.key or ref.env})" if ref.secret else ""
        super().__init__(f"the environment variable {ref.env} is not set", f"Set {ref.env}{source}.")


def value(setting: Setting, env: Mapping[str, str] = os.environ) -> str:
    """The value of a setting. Raises Missing if its variable is not set or empty."""
    if not isinstance(setting, Ref):
        return str(setting)
    text = env.get(setting.env) or setting.default
    if text is None:
        raise Missing(setting)
    return text


def number(setting: Setting, env: Mapping[str, str] = os.environ) -> int:
    """The value of a setting as a whole number. Raises FloeError if it is not one."""
    text = value(setting, env)
    if not text.isdecimal():
        name = setting.env if isinstance(setting, Ref) else "the setting"
        raise FloeError(f"{name} is not a whole number", "Set it to a whole number, such as 5432.")
    return int(text)


def secret(ref: Ref, env: Mapping[str, str] = os.environ) -> SecretStr:
    """The value of a reference, wrapped so that no log or traceback shows it. Raises Missing as `value` does."""
    return SecretStr(value(ref, env))


def renew(*refs: Ref) -> str:
    """What to do if a service refuses the values of these references: a sentence with their variables and Secrets."""
    names = " and ".join(ref.env for ref in refs)
    places = " and ".join(dict.fromkeys(f"the Secret {ref.secret}" for ref in refs if ref.secret))
    return f"Renew the credentials in {names}" + (f", which come from {places}." if places else ".")
