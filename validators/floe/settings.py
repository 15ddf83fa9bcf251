"""The settings of a fork that are not part of any environment: floe.toml at the root of the checkout."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from floe.errors import FloeError
from floe_runtime.contract.model import Model, parse

SCHEMA = Path(__file__).with_name("settings.schema.json")
"""The JSON schema of floe.toml, for editors. `python -m floe.settings` writes it."""


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
    registry: str = Field(
        default="ghcr.io/floe-runtime",
        pattern=r"^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*$",
        description="The registry, and the path in it, under which the images of this repository are named.",
    )
    repository: str = Field(
        default="https://github.com/floe-runtime/floe-deploy",
        pattern=r"^https://[^\s/]+/\S*[^\s/]$",
        description="The web address of this repository. Messages about unexpected errors point to its issues.",
    )
    domain: str = Field(
        default="example.com",
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$",
        max_length=253,
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


def schema() -> str:
    """The JSON schema of floe.toml as text."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "floe.toml"}
    return json.dumps(head | {k: v for k, v in Settings.model_json_schema().items() if k != "title"}, indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema())
