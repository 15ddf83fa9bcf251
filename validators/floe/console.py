"""Output for a person: results on stdout, messages and errors on stderr, colours only on a terminal."""

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
"""Context settings of every top-level typer.Typer; its subcommands inherit them."""

TRACEBACK = "FLOE_TRACEBACK"
"""The environment variable that makes an unexpected error show its traceback; any value enables it."""
_LONGEST = 500  # characters of an unexpected error's message

_SILENCE_SECONDS = 30  # between two lines of progress where stderr is not a terminal, such as a CI log


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
"""A function (text, style) → the text in that style."""


def paint() -> Paint:
    """The function that styles text for stdout. It does without rich, whose import takes longer than a validation."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return lambda text, _style: text
    return lambda text, style: f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def markup(text: str, style: str) -> str:
    """A Paint for text that rich prints."""
    from rich.markup import escape

    return f"[{style}]{escape(text)}[/]"


def fail(error: FloeError) -> int:
    """Print an error and its next step; returns the exit code."""
    from rich.markup import escape

    console = err()
    console.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        console.print(f"  [dim]next:[/] {escape(error.hint)}")
    return error.exit_code


@contextmanager
def to_stderr() -> Iterator[None]:
    """Redirect what the block prints from stdout to stderr: it is a message, not a result."""
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show the progress of a long step; call the yielded function to update the text.

    A terminal shows `what` and every update in a status line. Elsewhere an update is printed at most every 30 seconds.
    """
    if sys.stderr.isatty():
        from rich.markup import escape

        with err().status(escape(what)) as status:
            yield lambda text: status.update(escape(text))
        return
    printed_at = time.monotonic()

    def say(text: str) -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at > _SILENCE_SECONDS:
            printed_at = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    yield say


def read(path: Path) -> str:
    """The text of a file that is to be edited, with the line ends that it has."""
    return path.read_bytes().decode()


def write(path: Path, text: str) -> None:
    """Write a file atomically: a reader sees the old content or the new, never a part. Missing parents are created.

    The file gets the line ends that the text has.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # another process may write the same file
    try:
        part.write_bytes(text.encode())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def run(app: Callable[..., Any]) -> None:
    """Run a console script and exit: FloeError is printed, Ctrl-C exits with 130, a closed pipe with 0 and no message.

    Any other exception is a bug. It exits with 2, like a FloeError, and shows its traceback if FLOE_TRACEBACK is set.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a name may hold characters that the terminal's encoding lacks
    try:
        app()
    except FloeError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the pipe (head, less) has ended, so nobody would read a message.
        sys.stderr.close()
        sys.exit(0)
    except SystemExit:
        raise
    except BaseException as error:  # BaseException, since a panic in a Rust library is no Exception
        sys.exit(fail(_unexpected_error(error)))


def _unexpected_error(error: BaseException) -> FloeError:
    """Describe an unexpected exception: its type, where in floe it was raised, its message. Credentials are masked."""
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
    message = " ".join(plain(str(error)).split())
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]} …"
    hint = f"Run it again with {TRACEBACK}=1 and report the traceback{_where_to_report()}."
    if os.environ.get(TRACEBACK):
        sys.stderr.write(plain("".join(traceback.format_exception(error))))
        hint = f"Report it with the traceback above{_where_to_report()}."
    return FloeError(f"unexpected {type(error).__name__}{where}: {message or 'it has no message'}", hint)


def _where_to_report() -> str:
    """Where to report an error, as the end of a sentence; empty if floe.toml cannot tell."""
    try:
        from floe import repo

        return f" at {repo.current().settings.repository}/issues"
    except BaseException:  # the unexpected error may also prevent reading the settings
        return ""
