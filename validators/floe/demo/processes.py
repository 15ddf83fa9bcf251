"""The processes of the demo. Each has a separate session and a log file, and all end with the demo."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from floe import process as programs
from floe.errors import FloeError

_STOP_SECONDS = 15  # Dagster's daemon ends its threads within ten
_TAIL_LINES = 15


@dataclass
class Process:
    """A running program."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise FloeError with the end of the log if the process has stopped by itself."""
        code = self.popen.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
            raise FloeError(
                f"{self.name} stopped with exit code {code}; the end of its log:\n{tail}", f"Read {self.log}"
            )


@dataclass
class Supervisor:
    """Starts processes, and stops them all in reverse order. `logs`: the folder of their log files."""

    logs: Path
    processes: list[Process] = field(default_factory=list)

    def start(self, name: str, command: list[str], env: dict[str, str], cwd: Path) -> Process:
        """Start a program, which runs until `stop`. Its output replaces the content of `<logs>/<name>.log`.

        Raises FloeError if it cannot be started.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            try:
                popen = subprocess.Popen(  # without a deadline: it runs until `stop`
                    [*tied_to_us(), *command],
                    env=env,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that Ctrl-C reaches only floe, and the group contains its children
                )
            except OSError as error:
                raise programs.not_started(command, error) from None
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def check(self) -> None:
        """Raise FloeError if any process has stopped by itself."""
        for process in self.processes:
            process.check()

    def wait(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait until `ready` returns true. Raises FloeError after `seconds`, or if a process stops.

        `what`: what is waited for, for the message.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise FloeError(f"{what} did not start within {seconds:.0f} s", f"Read the logs in {self.logs}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop all processes: SIGTERM first, then SIGKILL for every process group that is left."""
        for process in reversed(self.processes):
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in reversed(self.processes):
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(max(deadline - time.monotonic(), 0.1))
            _signal(process, signal.SIGKILL)
            process.popen.wait()
        self.processes.clear()


@cache
def tied_to_us() -> list[str]:
    """On Linux, the command prefix that ends a program with this process, even if this process is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _signal(process: Process, number: signal.Signals) -> None:
    # A group exists as long as one of its processes runs, so it gets the signal even if its leader has ended.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.popen.pid, number)


@contextmanager
def supervisor(logs: Path) -> Iterator[Supervisor]:
    """A supervisor whose processes end with the block, also after Ctrl-C, SIGTERM and a closed terminal."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    running = Supervisor(logs)
    try:
        yield running
    finally:
        # A second Ctrl-C must not leave anything running.
        for number in (signal.SIGINT, *kept):
            signal.signal(number, signal.SIG_IGN)
        running.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, handler in kept.items():
            signal.signal(number, handler)


def answers(url: str) -> bool:
    """Whether a URL answers, with any HTTP status."""
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 # http on loopback
            return bool(response.status)
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
