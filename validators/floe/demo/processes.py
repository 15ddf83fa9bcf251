"""Processes of the demo: each in a session of its own with a log file, and none left behind."""

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
        """Raise FloeError with the log's end where it has stopped by itself."""
        code = self.popen.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
            raise FloeError(
                f"{self.name} stopped with exit code {code}; the end of its log:\n{tail}", f"read {self.log}"
            )


@dataclass
class Supervisor:
    """Starts processes and stops them all, the last first."""

    logs: Path
    processes: list[Process] = field(default_factory=list)

    def start(self, name: str, command: list[str], env: dict[str, str], cwd: Path) -> Process:
        """Start a program; what it prints goes to `<logs>/<name>.log`, made anew. `stop` ends it.

        Raises FloeError where it cannot be started.
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
                    start_new_session=True,  # Ctrl-C reaches us alone, and its group holds its children
                )
            except OSError as error:
                raise programs.not_started(command, error) from None
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def check(self) -> None:
        """Raise FloeError where any process has stopped by itself."""
        for process in self.processes:
            process.check()

    def wait(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition while every process lives. Raises FloeError past the deadline."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise FloeError(f"{what} did not come up within {seconds:.0f} s", f"read the logs in {self.logs}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop everything: politely, then, for what is left of any group, by force."""
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
    """On Linux, the prefix that lets a program end with us even where we are killed and can stop nothing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _signal(process: Process, number: signal.Signals) -> None:
    # The group outlives its leader while a child of it runs, so the leader's end is no reason to leave it out.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.popen.pid, number)


@contextmanager
def supervisor(logs: Path) -> Iterator[Supervisor]:
    """A supervisor whose processes end with the block, however it ends: Ctrl-C, kill and a closed terminal too."""

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
    """Whether a URL answers at all, whatever it says."""
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 # http on loopback
            return bool(response.status)
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
