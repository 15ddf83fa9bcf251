"""The programs that floe runs: each with a deadline, without standard input, and with words for what goes wrong.

A program ends with the call or the block that started it, also at Ctrl-C: it is asked to end, so that it can put away
what it has begun, and is killed where it does not.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from floe.errors import FloeError

_GRACE_SECONDS = 5.0  # between asking a program to end and killing it
_MOST = 1 << 16  # characters of stderr that are looked at: its end
_LONGEST = 2000  # characters of a line that are shown: its end, where the cause stands
_SUBCOMMAND = re.compile(r"[a-z][a-z-]*")

Command = Sequence[str | Path]
Env = Mapping[str, str | None]
"""Variables on top of our own environment; None takes one out."""


def run(
    command: Command,
    *,
    seconds: float,
    folder: Path | None = None,
    env: Env | None = None,
    apart: bool = False,
    check: bool = True,
    what: str = "",
    hint: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; returns its exit code and what it printed, with U+FFFD for what is not UTF-8.

    `seconds`: the longest that it may take. `folder`: its working directory. `apart`: in a session of its own, so that
    whatever it starts ends with it; there is no terminal then on which it could ask for a passphrase. `what`: how the
    message of a failure begins, as in "Cube could not be installed". `hint`: the next step after a failure.
    Raises FloeError for a program that cannot be started, that does not end in time or, unless `check` is false, that
    ends with another exit code than 0.
    """
    with started(command, seconds=seconds, folder=folder, env=env, apart=apart, what=what, hint=hint) as ended:
        raw = ended()
    out, err = (stream.decode(errors="replace") for stream in (raw.stdout, raw.stderr))
    done = subprocess.CompletedProcess(raw.args, raw.returncode, out, err)
    if check and done.returncode:
        raise _failed(command, done, what, hint)
    return done


@contextmanager
def started(
    command: Command,
    *,
    seconds: float,
    folder: Path | None = None,
    env: Env | None = None,
    apart: bool = False,
    what: str = "",
    hint: str = "",
) -> Iterator[Callable[[], subprocess.CompletedProcess[bytes]]]:
    """A program that runs beside us; what is yielded waits for its end and is its exit code and output, as bytes.

    The parameters are those of `run`; the seconds count from the start. Raises FloeError for a program that cannot be
    started; the yielded function, for one that does not end in time. No exit code is an error here.
    """
    import tempfile

    deadline = time.monotonic() + seconds
    # Files, not pipes: nobody reads while it runs, and a full pipe would stop it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:

        def ended() -> subprocess.CompletedProcess[bytes]:
            in_time = _ends(program, deadline)
            for file in (out, err):
                file.seek(0)
            done = subprocess.CompletedProcess(program.args, program.returncode, out.read(), err.read())
            if not in_time:
                raise _late(command, done, seconds, what, hint)
            return done

        with _program(command, folder, env, apart, what, stdout=out, stderr=err) as program:
            yield ended


def lines(
    command: Command,
    *,
    seconds: float,
    folder: Path | None = None,
    env: Env | None = None,
    both: bool = False,
    what: str = "",
    hint: str = "",
) -> Generator[bytes, None, None]:
    """The lines that a program prints, each as soon as it is there. The program ends with the generator.

    The parameters are those of `run`; the time that the reader takes counts too. `both`: what it says on stderr comes
    among the lines. Raises FloeError where `run` does.
    """
    import tempfile

    deadline = time.monotonic() + seconds
    with (
        tempfile.TemporaryFile() as err,
        _program(
            command, folder, env, False, what, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if both else err
        ) as program,
    ):
        assert program.stdout
        descriptor = program.stdout.fileno()
        last = rest = b""
        while in_time := _readable(descriptor, deadline):
            if not (chunk := os.read(descriptor, 1 << 16)):
                break
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                last = line.strip() or last
                yield line + b"\n"
        if rest and in_time:
            last = rest
            yield rest
        in_time = in_time and _ends(program, deadline)
        err.seek(0)
        done = subprocess.CompletedProcess(program.args, program.returncode, b"", last if both else err.read())
        if not in_time:
            raise _late(command, done, seconds, what, hint)
    if done.returncode:
        raise _failed(command, done, what, hint)


def complaint(done: subprocess.CompletedProcess[Any], most: int = 1) -> str:
    """The last lines, at most `most`, of what a program said on stderr, with *** in place of credentials."""
    from floe import credentials

    said = done.stderr if isinstance(done.stderr, str) else done.stderr.decode(errors="replace")
    plain = credentials.masked(said[-_MOST:], os.environ)
    printable = ("".join(sign if sign.isprintable() else " " for sign in line) for line in plain.splitlines())
    found = [line.rstrip() for line in printable if line.strip()][-most:]
    return (
        "\n".join(line if len(line) <= _LONGEST else f"… {line[-_LONGEST:]}" for line in found) or "it gave no reason"
    )


def not_started(command: Command, error: OSError, what: str = "") -> FloeError:
    """What to raise for a program that the operating system does not start."""
    program = str(command[0])
    if isinstance(error, FileNotFoundError) and "/" not in program:
        return FloeError(f"{_of(what)}{program} is not on PATH", f"install {program}")
    where = error.filename or program
    return FloeError(
        f"{_of(what)}{_name(command)} cannot be started: {where}: {error.strerror}", f"see what {where} is, and mend it"
    )


@contextmanager
def _program(
    command: Command, folder: Path | None, env: Env | None, apart: bool, what: str, **streams: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, which ends with the block; the deadline is kept in it."""
    words = [*map(str, command)]
    changed = os.environ | (env or {})
    whole = {name: value for name, value in changed.items() if value is not None}
    try:
        program = subprocess.Popen(
            words, cwd=folder, env=whole, stdin=subprocess.DEVNULL, start_new_session=apart, **streams
        )
    except OSError as error:
        raise not_started(command, error, what) from None
    except ValueError:
        reason = "an argument or a variable of it holds a NUL"
        raise FloeError(
            f"{_of(what)}{_name(command)} cannot be started: {reason}", "see where that comes from"
        ) from None
    try:
        yield program
    finally:
        if program.poll() is None:
            _signal(program, signal.SIGTERM, apart)
            try:
                with suppress(subprocess.TimeoutExpired):
                    program.wait(_GRACE_SECONDS)
            finally:  # after a second Ctrl-C as well
                _signal(program, signal.SIGKILL, apart)
                program.wait()
        if program.stdout:
            program.stdout.close()


def _signal(program: subprocess.Popen[bytes], number: signal.Signals, apart: bool) -> None:
    if not apart:
        program.send_signal(number)
        return
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that has ended
        os.killpg(program.pid, number)


def _ends(program: subprocess.Popen[bytes], deadline: float) -> bool:
    """Whether a program ends before a time of the monotonic clock."""
    if sys.platform == "linux" and program.poll() is None:
        # Python's own wait looks only every 50 ms, which is a tenth of a rendering.
        with suppress(OSError):  # a kernel before 5.3, or a sandbox
            descriptor = os.pidfd_open(program.pid)
            try:
                _readable(descriptor, deadline)
            finally:
                os.close(descriptor)
    try:
        program.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return False
    return True


def _readable(descriptor: int, deadline: float) -> bool:
    """Whether there is something to read, or the end, before a time of the monotonic clock."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(deadline - time.monotonic(), 0) * 1000))


def _name(command: Command) -> str:
    """A program and its subcommand. Other arguments may hold credentials."""
    name, first = Path(command[0]).name, str(command[1]) if len(command) > 1 else ""
    return f"{name} {first}" if _SUBCOMMAND.fullmatch(first) else name


def _of(what: str) -> str:
    return f"{what}: " if what else ""


def _failed(command: Command, done: subprocess.CompletedProcess[Any], what: str, hint: str) -> FloeError:
    code = done.returncode
    how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    name = _name(command)
    return FloeError(f"{_of(what)}{name} failed ({how}): {complaint(done)}", hint or f"try {name} by hand")


def _late(command: Command, done: subprocess.CompletedProcess[Any], seconds: float, what: str, hint: str) -> FloeError:
    name = _name(command)
    said = f": {complaint(done)}" if done.stderr.strip() else ""
    return FloeError(
        f"{_of(what)}{name} did not end within {seconds:g} s{said}",
        hint or f"try {name} by hand, to see what it waits for",
    )
