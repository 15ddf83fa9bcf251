"""What every command says to a person, and how: colours only on a terminal, messages on stderr."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe.errors import FloeError

if TYPE_CHECKING:
    from rich.console import Console

HELP = {"help_option_names": ["-h", "--help"]}
"""Of every typer.Typer: subcommands have it from the app above them."""

TRACEBACK = "FLOE_TRACEBACK"
"""The variable that, set to anything, makes an unexpected error show its traceback."""
_ISSUES = "https://github.com/floe-runtime/floe-deploy/issues"
_LONGEST = 500  # characters of an unexpected error's message

_SILENCE_SECONDS = 30  # that a log may keep before it says how far a long step has come


def out() -> Console:
    """Console for results, on stdout."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Console for progress and errors, on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
Paint = Callable[[str, str], str]
"""(text, style) → the text in that style."""


def paint() -> Paint:
    """How to style what goes to stdout without rich, whose import costs more than a validation."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return lambda text, _style: text
    return lambda text, style: f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def markup(text: str, style: str) -> str:
    """A Paint for what rich prints."""
    from rich.markup import escape

    return f"[{style}]{escape(text)}[/]"


def fail(error: FloeError) -> int:
    """Print an error and its remedy; returns the exit code."""
    from rich.markup import escape

    console = err()
    console.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        console.print(f"  [dim]next:[/] {escape(error.hint)}")
    return error.exit_code


@contextmanager
def to_stderr() -> Iterator[None]:
    """Let what is printed while the block runs be a message, not a result."""
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on: a line on a terminal, and what is told anew every half minute elsewhere."""
    if sys.stderr.isatty():
        from rich.markup import escape

        with err().status(escape(what)) as status:
            yield lambda text: status.update(escape(text))
        return
    said = time.monotonic()

    def say(text: str) -> None:
        nonlocal said
        if time.monotonic() - said > _SILENCE_SECONDS:
            said = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    yield say


def write(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # another process may write the same file
    try:
        part.write_text(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def run(app: Callable[..., Any]) -> None:
    """Entry point of a console script: errors in words, Ctrl-C as 130, a closed pipe in silence.

    An error that nobody thought of exits with 2 as well, its traceback being shown where FLOE_TRACEBACK is set.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold what the terminal's encoding lacks
    try:
        app()
    except FloeError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) left: nothing to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(0)
    except SystemExit:
        raise
    except BaseException as error:  # what nobody thought of; a panic of a library in Rust is no Exception
        sys.exit(fail(_unexpected(error)))


def _unexpected(error: BaseException) -> FloeError:
    """An exception in words: what, where in floe, and what to do with it. Credentials in it are masked."""
    import traceback

    import floe_runtime
    from floe import credentials

    def plain(text: str) -> str:
        return credentials.masked(text, os.environ)

    ours = (Path(__file__).parent, Path(floe_runtime.__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    inside = [
        (Path(frame.filename).relative_to(folder.parent), frame.lineno)
        for frame in frames
        for folder in ours
        if Path(frame.filename).is_relative_to(folder)
    ]
    where = f" in {inside[-1][0]}, line {inside[-1][1]}" if inside else ""
    said = " ".join(plain(str(error)).split())
    if len(said) > _LONGEST:
        said = f"{said[:_LONGEST]} …"
    hint = f"report it at {_ISSUES}, with the traceback that {TRACEBACK}=1 shows"
    if os.environ.get(TRACEBACK):
        sys.stderr.write(plain("".join(traceback.format_exception(error))))
        hint = f"report it at {_ISSUES}, with the traceback above"
    return FloeError(f"floe did not expect {type(error).__name__}{where}: {said or 'it says nothing more'}", hint)
