"""A Git server, a Helm repository and an OCI registry in a node's network, from which a cluster gets everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cluster.inside import ADDRESS
from cluster.node import Node
from floe.demo.processes import Supervisor
from floe.errors import FloeError
from forks import git
from toolbox import resolve

PORT, REGISTRY_PORT = 8100, 8101
GIT = f"http://{ADDRESS}:{PORT}/git/deployment.git"
CHARTS = f"http://{ADDRESS}:{PORT}/charts"
"""The Helm repository of the upstream charts."""
OWN_CHARTS = f"oci://{ADDRESS}:{REGISTRY_PORT}/charts"
"""The place in the registry to which floe's own chart is pushed."""
_SERVER = Path(__file__).with_name("server.py")


@dataclass(frozen=True)
class Forge:
    """The servers, with their data in `folder`."""

    node: Node
    folder: Path

    @property
    def repository(self) -> Path:
        """The bare repository that the Git server serves. Tests push to this path, which needs no network."""
        return self.folder / "git" / "deployment.git"

    def start(self, running: Supervisor) -> None:
        """Start the servers, with an empty repository and without charts."""
        self.repository.mkdir(parents=True)
        git(self.repository, "init", "--quiet", "--bare", "--initial-branch", "main")
        (self.folder / "charts").mkdir()
        self._start(running, "git-and-charts", sys.executable, str(_SERVER), str(self.folder), ADDRESS, str(PORT))
        config = self.folder / "registry.json"  # JSON is valid YAML, which the registry expects
        storage = {"filesystem": {"rootdirectory": str(self.folder / "registry")}}
        http = {"addr": f"{ADDRESS}:{REGISTRY_PORT}"}
        config.write_text(json.dumps({"version": "0.1", "storage": storage, "http": http}))
        self._start(running, "registry", str(resolve("registry")), "serve", str(config))
        running.wait(lambda: self._listens(PORT), "the Git server", 30)
        running.wait(lambda: self._listens(REGISTRY_PORT), "the registry", 30)

    def offer(self, chart: Path) -> None:
        """Package the chart in a folder and add it to the Helm repository."""
        charts = self.folder / "charts"
        _helm("package", str(chart), f"--destination={charts}")
        _helm("repo", "index", str(charts), f"--url={CHARTS}")

    def push(self, chart: Path, version: str) -> None:
        """Package the chart in a folder with that version and push it to the registry."""
        _helm("package", str(chart), f"--version={version}", f"--destination={self.folder}")
        archive = self.folder / f"{chart.name}-{version}.tgz"
        _call([*self.node.enter(), str(resolve("helm")), "push", "--plain-http", str(archive), OWN_CHARTS])

    def _start(self, running: Supervisor, name: str, *command: str) -> None:
        running.start(name, [*self.node.enter(), *command], os.environ.copy(), self.folder)

    def _listens(self, port: int) -> bool:
        probe = f"import socket; socket.create_connection(('{ADDRESS}', {port}), 2)"
        command = [*self.node.enter(), sys.executable, "-c", probe]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _helm(*arguments: str) -> None:
    _call([str(resolve("helm")), *arguments])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise FloeError(f"{' '.join(command)}: {done.stderr.strip()}")
