"""Run other programs: each with a deadline, without standard input, and with an error message if it fails.

A program never outlives the call or block that started it, not even after Ctrl-C: it gets SIGTERM, so that it can clean
up, and SIGKILL if it is still running a few seconds later.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from floe.errors import FloeError

_GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
_MOST = 1 << 16  # characters of stderr that are read, from its end
_LONGEST = 2000  # characters of a line that are shown: its end, which usually has the cause
_ADVICE = re.compile(r"Use --debug flag to render out invalid YAML")
"""A line that programs print below the cause, here Helm. It is not shown, because it says how to call the program."""
_SUBCOMMAND = re.compile(r"[a-z][a-z-]*")

Command = Sequence[str | Path]
Env = Mapping[str, str | None]
"""Variables to set in addition to this process's environment; None removes a variable."""


def run(
    command: Command,
    *,
    seconds: float,
    folder: Path | None = None,
    env: Env | None = None,
    own_session: bool = False,
    check: bool = True,
    what: str = "",
    hint: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program and wait for it; returns its exit code and output, with U+FFFD for bytes that are not UTF-8.

    `seconds`: the time limit. `folder`: its working directory. `own_session`: run it in a separate session, so that the
    processes that it starts end with it; it then has no terminal to ask for a passphrase. `what`: how the message of a
    failure begins, as in "Cube could not be installed". `hint`: the next step after a failure.
    Raises FloeError for a program that cannot be started, that does not end in time or, unless `check` is false, whose
    exit code is not 0.
    """
    with started(
        command, seconds=seconds, folder=folder, env=env, own_session=own_session, what=what, hint=hint
    ) as ended:
        raw = ended()
    out, err = (stream.decode(errors="replace") for stream in (raw.stdout, raw.stderr))
    done = subprocess.CompletedProcess(raw.args, raw.returncode, out, err)
    if check and done.returncode:
        raise _failure(command, done, what, hint)
    return done


@contextmanager
def started(
    command: Command,
    *,
    seconds: float,
    folder: Path | None = None,
    env: Env | None = None,
    own_session: bool = False,
    what: str = "",
    hint: str = "",
) -> Iterator[Callable[[], subprocess.CompletedProcess[bytes]]]:
    """Start a program in the background. The yielded function waits for its end and returns exit code and output.

    The parameters are those of `run`; `seconds` counts from the start. The output is bytes. Raises FloeError for a
    program that cannot be started; the yielded function raises it for one that does not end in time. An exit code other
    than 0 is not an error here.
    """
    import tempfile

    deadline = time.monotonic() + seconds
    # Files instead of pipes: nobody reads while the program runs, and a full pipe would block it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:

        def ended() -> subprocess.CompletedProcess[bytes]:
            in_time = _ends_in_time(program, deadline)
            for file in (out, err):
                file.seek(0)
            done = subprocess.CompletedProcess(program.args, program.returncode, out.read(), err.read())
            if not in_time:
                raise _timeout(command, done, seconds, what, hint)
            return done

        with _running_program(command, folder, env, own_session, what, stdout=out, stderr=err) as program:
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
    """Yield the lines that a program prints, each as soon as it is printed. The program ends with the generator.

    The parameters are those of `run`; `seconds` includes the time that the caller spends between lines. `both`: also
    yield the lines of stderr. Raises FloeError in the same cases as `run`.
    """
    import tempfile

    deadline = time.monotonic() + seconds
    with (
        tempfile.TemporaryFile() as err,
        _running_program(
            command, folder, env, False, what, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if both else err
        ) as program,
    ):
        assert program.stdout
        descriptor = program.stdout.fileno()
        last = rest = b""
        while in_time := _wait_for_data(descriptor, deadline):
            if not (chunk := os.read(descriptor, 1 << 16)):
                break
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                last = line.strip() or last
                yield line + b"\n"
        if rest and in_time:
            last = rest
            yield rest
        in_time = in_time and _ends_in_time(program, deadline)
        err.seek(0)
        done = subprocess.CompletedProcess(program.args, program.returncode, b"", last if both else err.read())
        if not in_time:
            raise _timeout(command, done, seconds, what, hint)
    if done.returncode:
        raise _failure(command, done, what, hint)


def complaint(done: subprocess.CompletedProcess[Any], most: int = 1) -> str:
    """The last lines of a program's stderr, at most `most` of them, with *** in place of credentials."""
    from floe import credentials

    output = done.stderr if isinstance(done.stderr, str) else done.stderr.decode(errors="replace")
    plain = credentials.masked(output[-_MOST:], os.environ)
    printable = ("".join(sign if sign.isprintable() else " " for sign in line) for line in plain.splitlines())
    last_lines = [line.rstrip() for line in printable if line.strip() and not _ADVICE.match(line)][-most:]
    return (
        "\n".join(line if len(line) <= _LONGEST else f"… {line[-_LONGEST:]}" for line in last_lines)
        or "it gave no reason"
    )


def not_started(command: Command, error: OSError, what: str = "") -> FloeError:
    """The FloeError to raise for a program that the operating system could not start."""
    program = str(command[0])
    if isinstance(error, FileNotFoundError) and "/" not in program:
        return FloeError(f"{_prefix(what)}{program} is not on PATH", f"Install {program}.")
    where = error.filename or program
    return FloeError(
        f"{_prefix(what)}{_program_name(command)} cannot be started: {where}: {error.strerror}",
        f"Check {where}: it must exist and be executable.",
    )


@contextmanager
def _running_program(
    command: Command, folder: Path | None, env: Env | None, own_session: bool, what: str, **streams: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program that ends with the block. The caller enforces the deadline within the block."""
    words = [*map(str, command)]
    changed = os.environ | (env or {})
    whole = {name: value for name, value in changed.items() if value is not None}
    try:
        with _interrupt_held() as interrupted:
            program = subprocess.Popen(
                words, cwd=folder, env=whole, stdin=subprocess.DEVNULL, start_new_session=own_session, **streams
            )
    except OSError as error:
        raise not_started(command, error, what) from None
    except ValueError:
        reason = "an argument or environment variable contains a NUL character"
        raise FloeError(
            f"{_prefix(what)}{_program_name(command)} cannot be started: {reason}", "Remove the NUL character."
        ) from None
    try:
        if interrupted:
            raise KeyboardInterrupt
        yield program
    finally:
        if program.poll() is None:
            _signal(program, signal.SIGTERM, own_session)
            try:
                with suppress(subprocess.TimeoutExpired):
                    program.wait(_GRACE_SECONDS)
            finally:  # also after a second Ctrl-C
                _signal(program, signal.SIGKILL, own_session)
                program.wait()
        if program.stdout:
            program.stdout.close()


@contextmanager
def _interrupt_held() -> Iterator[list[int]]:
    """Hold back Ctrl-C during the block; the yielded list then has an element if it was pressed.

    An interrupt within Popen, after the program has started, would leave the program running.
    """
    pressed: list[int] = []
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield pressed  # an interrupt raises nothing here
        return
    signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _signal(program: subprocess.Popen[bytes], number: signal.Signals, own_session: bool) -> None:
    if not own_session:
        program.send_signal(number)
        return
    with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for a group that has ended
        os.killpg(program.pid, number)


def _ends_in_time(program: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait for a program; returns whether it ends before `deadline`, a time of the monotonic clock."""
    if sys.platform == "linux" and program.poll() is None:
        # Python's own wait polls every 50 ms, a tenth of the time that a rendering takes.
        with suppress(OSError):  # kernels before 5.3 and some sandboxes have no pidfd
            descriptor = os.pidfd_open(program.pid)
            try:
                _wait_for_data(descriptor, deadline)
            finally:
                os.close(descriptor)
    try:
        program.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return False
    return True


def _wait_for_data(descriptor: int, deadline: float) -> bool:
    """Wait until a descriptor has data or its end is reached; returns whether that happens before `deadline`."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(deadline - time.monotonic(), 0) * 1000))


def _program_name(command: Command) -> str:
    """A program and its subcommand, for messages. Further arguments are left out: they may hold credentials."""
    name, first = Path(command[0]).name, str(command[1]) if len(command) > 1 else ""
    return f"{name} {first}" if _SUBCOMMAND.fullmatch(first) else name


def _prefix(what: str) -> str:
    return f"{what}: " if what else ""


def _failure(command: Command, done: subprocess.CompletedProcess[Any], what: str, hint: str) -> FloeError:
    code = done.returncode
    how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    name = _program_name(command)
    return FloeError(f"{_prefix(what)}{name} failed ({how}): {complaint(done)}", hint or f"Run {name} by hand.")


def _timeout(
    command: Command, done: subprocess.CompletedProcess[Any], seconds: float, what: str, hint: str
) -> FloeError:
    name = _program_name(command)
    reason = f": {complaint(done)}" if done.stderr.strip() else ""
    return FloeError(
        f"{_prefix(what)}{name} did not end within {seconds:g} s{reason}",
        hint or f"Run {name} by hand to see what it waits for.",
    )
