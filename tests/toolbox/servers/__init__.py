"""Builds the servers that tests run with Go, from the module in this folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from floe import process, repo
from floe.console import progress
from floe.errors import FloeError
from floe.tools.sources import COMPILED, LINKED, binary, go, go_env, install

SERVERS = Path(__file__).parent
"""The folder of the Go module."""
_BUILD_SECONDS = 7200  # enough for Kubernetes or Argo CD, including all downloads over a slow connection


@dataclass(frozen=True)
class GoServers:
    """Commands of one upstream project, built together from the Go module in this folder.

    The module requires every server that tests run, with one version of each library, so that Go compiles each library
    only once. It also repeats upstream's `replace` lines, because of which `go install` refuses these commands. Its
    go.sum pins every module, so that the checksum database is not needed, which does not have all of them.
    """

    module: str  # the required module whose version is the version of the build
    path: str  # path of the binary
    commands: tuple[str, ...]  # import paths of the commands that one build compiles
    stamp: str = ""  # linker flags that set the program's version; a format string for the numbers of the version

    def where(self) -> Path:
        pinned = b"".join((SERVERS / name).read_bytes() for name in ("go.mod", "go.sum"))
        name = f"{binary(self.commands[0])}-{required(self.module)}-{hashlib.sha256(pinned).hexdigest()[:12]}"
        return repo.cache_dir() / "tools" / name

    def get(self) -> None:
        install(self.where(), self._build)

    def _build(self, folder: Path) -> None:
        flags = f"{LINKED} {self.stamp.format(*required(self.module).split('.'))}"
        with progress(self.words()) as say:
            packages = 0
            for line in self._lines(go(), "list", "-deps", *self.commands):
                if line.startswith("go: "):  # downloading …
                    say(line)
                else:
                    packages += 1
            build = [go(), "build", "-v", *COMPILED, "-ldflags", flags, "-o", f"{folder}/", *self.commands]
            for count, _ in enumerate(self._lines(*build), 1):
                say(f"{self.words()}: {count} of at most {packages} packages compiled")

    def _lines(self, *command: str) -> Iterator[str]:
        """Run a command in the folder of the module and yield its output by lines. Raises FloeError if it fails."""
        for line in process.lines(command, seconds=_BUILD_SECONDS, folder=SERVERS, env=go_env(), both=True):
            yield line.decode(errors="replace").strip()

    def words(self) -> str:
        return f"go build of {self.module} v{required(self.module)}"


def required(module: str) -> str:
    """The version, without its v, of a module that go.mod requires. Raises FloeError if it is not required."""
    match = re.search(rf"^\s*{re.escape(module)} v(\S+)", (SERVERS / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise FloeError(f"{SERVERS / 'go.mod'} does not require {module}")
    return match[1]
