"""The settings of a fork that are not part of any environment: floe.toml at the root of the checkout."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from floe.errors import FloeError
from floe_runtime.contract.model import Model, parse

SCHEMA = Path(__file__).with_name("settings.schema.json")
"""The JSON schema of floe.toml, for editors. `python -m floe.settings` writes it."""


@dataclass(frozen=True)
class _Form:
    """What a setting must look like."""

    pattern: str
    mistakes: tuple[tuple[str, str], ...]
    """(pattern, words) of what people write by mistake. The first that is found in a value is reported."""
    otherwise: str
    """What to say about any other value that does not match."""
    example: str

    def checked(self, value: str) -> str:
        """The value. Raises ValueError that says what is wrong with it, but does not repeat it."""
        if re.fullmatch(self.pattern, value):
            return value
        words = next((words for mistake, words in self.mistakes if re.search(mistake, value)), self.otherwise)
        raise ValueError(f"must {words}, as in {self.example}")


_REGISTRY = _Form(
    r"^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*$",
    (("://", "be without https://"), ("[A-Z]", "be in lower case"), ("/$", "be without the slash at its end")),
    "be a host, and a path if there is one",
    "ghcr.io/acme",
)
_REPOSITORY = _Form(
    r"^https://[a-zA-Z0-9.:-]+(/[\w.~-]+)+$",
    (
        ("^(?!https://)", "begin with https://"),
        ("@", "be without a user name"),
        ("/$", "be without the slash at its end"),
    ),
    "be https://, a host and a path",
    "https://github.com/acme/data-platform",
)
_DOMAIN = _Form(
    r"^(?!.{254})([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$",
    (
        ("://", "be without https://"),
        ("/", "be without a path"),
        ("[A-Z]", "be in lower case"),
        (r"\*", "be without *"),
        (r"^\.|\.$", "be without a dot at its beginning or end"),
        (r"^[^.]*$", "have a dot"),
        (r"\.[0-9]+$", "be a name instead of an address"),
        (r"[^.]{64}", "have at most 63 characters between two dots"),
    ),
    "consist of letters, digits and -, with dots between its parts",
    "data.acme.io",
)


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("must name each environment only once")
    return names


class Former(Model):
    """Values that settings had before. `floe fork` replaces them wherever a merge from upstream brings them again."""

    registry: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()


class Settings(Model):
    """The content of floe.toml. A setting that the file does not have keeps its default."""

    promotion: Annotated[tuple[str, ...], AfterValidator(_each_once)] = Field(
        default=("dev", "staging", "prod"),
        description="The promotion order: environments in the order in which a version reaches them. "
        "An environment that is not listed, such as demo, takes no part in promotion.",
    )
    registry: Annotated[str, AfterValidator(_REGISTRY.checked)] = Field(
        default="ghcr.io/floe-runtime",
        json_schema_extra={"pattern": _REGISTRY.pattern},
        description="The registry, and the path in it, under which the images of this repository are named.",
    )
    repository: Annotated[str, AfterValidator(_REPOSITORY.checked)] = Field(
        default="https://github.com/floe-runtime/floe-deploy",
        json_schema_extra={"pattern": _REPOSITORY.pattern},
        description="The web address of this repository. Messages about unexpected errors point to its issues.",
    )
    domain: Annotated[str, AfterValidator(_DOMAIN.checked)] = Field(
        default="example.com",
        json_schema_extra={"pattern": _DOMAIN.pattern},
        description="The web domain below which the environments have their hosts, as in dagster.staging.example.com.",
    )
    former: Former = Field(
        default=Former(),
        description="Values that registry, repository and domain had before. `floe fork` writes them, and replaces "
        "them by the current ones in what a merge from upstream brings.",
    )


def load(file: Path) -> Settings:
    """The settings in a file, or the defaults if it does not exist. Raises FloeError for a file that is not valid."""
    try:
        content = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not TOML
        raise FloeError(f"{file} cannot be read: {error}", "Fix the file; its format is TOML.") from None
    return parse(Settings, content, file)


def edited(text: str, values: Mapping[str, str | list[str]], wanted: Settings) -> str:
    """The text of a floe.toml with other values and every other byte as it was; new settings are added at the end.

    `values`: by setting, such as `registry` or `former.registry`. `wanted`: the settings that the text must give then.
    Raises FloeError if it does not, for instance because a setting is written in a table.
    """
    end = "\r\n" if "\r\n" in text else "\n"
    for key, value in values.items():
        written = json.dumps(value, ensure_ascii=False)
        line = re.compile(rf"^{re.escape(key)}[ \t]*=[ \t]*(\"[^\"\r\n]*\"|'[^'\r\n]*'|\[[^\]]*\])", re.MULTILINE)
        if found := line.search(text):
            text = text[: found.start(1)] + written + text[found.end(1) :]
        else:
            text += f"{'' if text.endswith(end) or not text else end}{key} = {written}{end}"
    try:
        if Settings.model_validate(tomllib.loads(text)) == wanted:
            return text
    except ValueError:
        pass  # not TOML: the setting was there in another form, and is there twice now
    raise FloeError(
        f"floe.toml does not have {', '.join(values)} where it can be edited",
        'Write each setting on a line of its own, as in registry = "ghcr.io/acme", without a [table].',
    )


def schema() -> str:
    """The JSON schema of floe.toml as text."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "floe.toml"}
    return json.dumps(head | {k: v for k, v in Settings.model_json_schema().items() if k != "title"}, indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema())
