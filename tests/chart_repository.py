"""A chart repository on loopback, and helpers for tests of charts."""

from __future__ import annotations

import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import servers
from floe import charts, repo, tools
from floe.charts import lockfile
from floe.repo import Checkout

FLOE = Path(sys.executable).with_name("floe")
NAMES = ("cube", "cubestore", "dagster")


def run(*command: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return its result with its output. `env` adds environment variables."""
    return subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, timeout=120
    )


def helm(*words: str | Path, cwd: Path) -> None:
    """Run Helm, which must succeed."""
    done = run(tools.resolve("helm"), *words, cwd=cwd)
    assert done.returncode == 0, done.stderr


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Write no log."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on loopback; yields the URL."""
    with http.server.ThreadingHTTPServer((servers.HOST, 0), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://{servers.HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Upstream:
    """A chart repository from which the overlays of the checkout take their charts."""

    def __init__(self, folder: Path, url: str) -> None:
        """`folder` contains the archives, `url` is where they are served."""
        self.folder, self.url = folder, url
        self.index()

    def index(self) -> None:
        """Write the index of the archives that are in the folder now."""
        helm("repo", "index", self.folder, cwd=self.folder)

    def archive(self, name: str) -> Path:
        """The archive of a chart."""
        (archive,) = self.folder.glob(f"{name}-[0-9]*.tgz")
        return archive

    def change(self, name: str) -> None:
        """Serve another archive of the same version."""
        rewrite(self.archive(name), lambda files: files | {f"{name}/README.md": b"another"})
        self.index()


def point_at(checkout: Path, url: str) -> None:
    """Set the repository of every chart in a checkout to a URL."""
    for name in NAMES:
        file = checkout / "base" / "charts" / f"{name}.yaml"
        lines = [f"repo: {url}" if line.startswith("repo: ") else line for line in file.read_text().splitlines()]
        file.write_text("\n".join(lines) + "\n")


def rewrite(archive: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """Rewrite an archive. `change` gets the files (content by name) and returns the new ones."""
    with tarfile.open(archive) as tar:
        files = {member.name: read(tar, member) for member in tar if member.isfile()}
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in change(files).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The content of a file in an archive."""
    content = tar.extractfile(member)
    assert content
    return content.read()


def sources(checkout: Checkout | None = None, **options: Any) -> set[str]:
    """Pull all charts of dev, by default in the current checkout; returns the sources that they came from."""
    return {pulled.source for pulled in charts.pull(checkout or repo.current(), ["dev"], **options)}


def lock(**options: Any) -> dict[str, str]:
    """Lock all charts, as `floe charts lock` does; returns the status of each chart by its name."""
    return {outcome.chart.split()[0]: outcome.status for outcome in lockfile.lock(repo.current(), **options)}


def leftovers(checkout: Path) -> list[Path]:
    """The files and folders that a pull left in dev's folder of charts."""
    return list((checkout / "overlays" / "dev").glob("charts/*"))
