"""The message for an unexpected error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from floe import cli, console, repo
from floe.validate import cli as validate

SECRET = "correct-horse-battery-staple"
Failing = Callable[[BaseException], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Make every command that looks for the repository raise an exception."""

    def let(error: BaseException) -> None:
        def root() -> None:
            raise error

        monkeypatch.setattr(repo, "root", root)

    monkeypatch.delenv(console.TRACEBACK, raising=False)
    return let


def error_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", [*arguments])
    with pytest.raises(SystemExit) as ended:
        console.run(validate.app if arguments[0] == "floe-validate" else cli.app)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert not captured.out
    return captured.err


class PanicException(BaseException):
    """The exception that a panic in a Rust library raises."""


@pytest.mark.parametrize("arguments", [("floe", "render", "dev"), ("floe-validate", "dev")])
def test_an_unexpected_error_is_reported_without_a_traceback(
    failing: Failing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    failing(KeyError("Sum"))
    text = error_output(capsys, monkeypatch, *arguments)
    assert text.startswith("error: unexpected KeyError in floe/repo.py, line ")
    assert text.splitlines()[0].endswith(": 'Sum'")
    assert "and report the traceback." in text
    assert "FLOE_TRACEBACK=1" in text
    assert "Traceback" not in text


def test_an_unexpected_error_is_reported_where_floe_toml_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, checkout: Path
) -> None:
    (checkout / "floe.toml").write_text('repository = "https://git.example.com/data/platform"\n')

    def fail(*_: object) -> None:
        raise KeyError("Sum")

    monkeypatch.setattr("floe.render.print_manifests", fail)
    text = error_output(capsys, monkeypatch, "floe", "render", "dev")
    assert "report the traceback at https://git.example.com/data/platform/issues." in text


def test_an_unexpected_error_is_reported_with_a_traceback_on_request(
    failing: Failing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(console.TRACEBACK, "1")
    failing(RuntimeError("[bold]no markup[/]"))
    text = error_output(capsys, monkeypatch, "floe", "render", "dev")
    assert text.startswith("Traceback (most recent call last):\n")
    assert "\nerror: unexpected RuntimeError" in text
    assert "[bold]no markup[/]" in text
    assert "the traceback above" in text


@pytest.mark.parametrize("traceback", ["", "1"])
def test_no_credential_is_shown(
    failing: Failing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, traceback: str
) -> None:
    monkeypatch.setenv(console.TRACEBACK, traceback)
    monkeypatch.setenv("FLOE_CUBE_PASSWORD", SECRET)
    failing(ValueError(f"cannot parse {SECRET}, nor postgres://floe:{SECRET[:9]}@db/floe"))
    text = error_output(capsys, monkeypatch, "floe", "render", "dev")
    assert "cannot parse ***, nor postgres://***@db/floe" in text
    assert SECRET[:9] not in text


def test_long_and_empty_messages(
    failing: Failing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(ValueError("x" * 9000))
    assert len(error_output(capsys, monkeypatch, "floe", "render", "dev")) < 1000
    failing(PanicException())
    assert "unexpected PanicException" in error_output(capsys, monkeypatch, "floe", "render", "dev")
