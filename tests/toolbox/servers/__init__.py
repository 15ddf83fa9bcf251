"""Servers that tests run, built by Go from the module in this folder."""

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
_BUILD_SECONDS = 7200  # Kubernetes or Argo CD, with every module to download on a slow line


@dataclass(frozen=True)
class GoServers:
    """Commands of one upstream project, built together from the Go module in this folder.

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
        """What a command prints, line by line, in the module's folder. Raises FloeError where it fails."""
        for line in process.lines(command, seconds=_BUILD_SECONDS, folder=SERVERS, env=go_env(), both=True):
            yield line.decode(errors="replace").strip()

    def words(self) -> str:
        return f"go build of {self.module} v{required(self.module)}"


def required(module: str) -> str:
    """The version, without its v, of a module that go.mod requires. Raises FloeError where it does not."""
    found = re.search(rf"^\s*{re.escape(module)} v(\S+)", (SERVERS / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise FloeError(f"{SERVERS / 'go.mod'} does not require {module}")
    return found[1]
