"""Options that every command of `floe` has."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from floe import cli


@pytest.mark.parametrize("group", [[], ["charts"]])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_has_examples(group: list[str], option: str) -> None:
    done = CliRunner().invoke(cli.app, [*group, option])
    assert done.exit_code == 0
    assert "Examples:" in done.output


@pytest.mark.parametrize("command", [["secrets"], ["secrets", "init"], ["render"], ["promote"], ["charts", "pull"]])
def test_subcommands_have_the_short_help_option(command: list[str]) -> None:
    runner = CliRunner()
    assert runner.invoke(cli.app, [*command, "-h"]).output == runner.invoke(cli.app, [*command, "--help"]).output != ""


def test_version() -> None:
    assert CliRunner().invoke(cli.app, ["--version"]).output == "floe 0.1.0\n"
