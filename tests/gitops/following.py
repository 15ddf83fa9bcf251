"""A cluster that follows a fork: a node, the servers of its sources, and queries of its state for tests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from cluster.deployed import Deployed, environment, proxied, wait_for
from cluster.kubectl import Kubectl, Object
from cluster.node import Node, node
from floe import charts
from floe.demo.processes import Supervisor, supervisor
from forks import floe
from gitops import fork as forking
from gitops.forge import Forge
from gitops.fork import Fork
from images.build import REGISTRY, TAG, archives

NEXT = "0.1.1"
"""A second tag of the images on the node, as if it were a newer version."""
ABSENT = "9.9.9"
"""A tag that no registry serves."""


@dataclass(frozen=True)
class Following:
    """The cluster and the fork. The user of this object must start the controllers."""

    node: Node
    kubectl: Kubectl
    forge: Forge
    fork: Fork
    running: Supervisor
    folder: Path
    dev: Deployed

    def another(self, name: str) -> Deployed:
        """Another environment in the same cluster."""
        return environment(name, self.kubectl, self.folder / name, self.dev.url)

    def bootstrap(self, cluster: str, *options: str) -> None:
        """Apply clusters/CLUSTER of the fork, as a person does on the first day. `options`: flags of kubectl."""
        self.kubectl("apply", *options, "--kustomize", str(self.fork.folder / "clusters" / cluster))

    def wait(self, done: Callable[[], object], seconds: float) -> float:
        """Wait until `done` returns something true; returns the seconds that took.

        Raises AssertionError with the state of the cluster after the given seconds.
        """
        return wait_for(done, seconds, self.why)

    def why(self) -> str:
        """The state of the cluster and the problems of dev, as text."""
        self.running.check()
        return f"{self.status_text()}\n{self.dev.why()}"

    def status_text(self) -> str:
        """The output of `floe status --cluster`, whether it succeeds or not."""
        done = self._floe_status()
        return (done.stdout + done.stderr).decode()

    def status(self, name: str = "dev") -> dict[str, tuple[bool | None, str]]:
        """(ok, message) of each object of an environment by `floe status --cluster`; ok is None if it is not known."""
        done = self._floe_status("--json")
        assert done.returncode in (0, 1), done.stderr.decode()
        lines = json.loads(done.stdout)[name]["cluster"]["objects"]
        return {line["object"]: (line["ok"], line["message"]) for line in lines}

    def _floe_status(self, *options: str) -> subprocess.CompletedProcess[bytes]:
        return floe(self.fork.folder, "status", "--cluster", *options, KUBECONFIG=str(self.node.kubeconfig))

    def condition(self, kind: str, place: str, name: str, which: str = "Ready") -> Object:
        """A condition of an object with status, reason and message; empty if it does not exist yet."""
        done = self.kubectl.run("get", kind, name, f"--namespace={place}", "--output=json")
        conditions = json.loads(done.stdout or b"{}").get("status", {}).get("conditions", ())
        return next((one for one in conditions if one["type"] == which), {})

    def tag(self, deployment: str, one: Deployed | None = None) -> str:
        """The tag of the image in the spec of a Deployment; empty if the Deployment does not exist."""
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        done = (one or self.dev).kubectl.run("get", "deployment", deployment, f"--output={path}")
        return done.stdout.decode().rpartition(":")[2]

    def runs(self, tag: str, selector: str, one: Deployed | None = None) -> bool:
        """Whether all pods of a selector run that tag, and all workloads of the environment are ready."""
        where = one or self.dev
        pods = where.pods(selector)
        tags = {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}
        return tags == {tag} and not where.unready()

    def ready_pods(self, selector: str = "!job-name", one: Deployed | None = None) -> set[str]:
        """The ids of the pods that are ready and not being deleted."""
        return {pod["metadata"]["uid"] for pod in (one or self.dev).ready_pods(selector)}

    def serves(self) -> bool:
        """Whether Cube answers through its Service."""
        with suppress(URLError, OSError):
            url = f"{self.dev.url}/api/v1/namespaces/{self.dev.namespace}/services/cube:4000/proxy/readyz"
            with urlopen(url, timeout=10) as answer:  # noqa: S310 # kubectl's proxy on loopback
                return bool(answer.status == 200)
        return False


@contextmanager
def following(folder: Path) -> Iterator[Following]:
    """Start a node with images, a forge with the charts, and make a fork that is not committed yet."""
    made = archives()
    with node("gitops") as one, supervisor(folder / "log") as running:
        one.load(made)
        for name in ("dagster", "cube"):
            image = f"{REGISTRY}/floe-{name}"
            one.tag(f"{image}:{TAG}", f"{image}:{NEXT}")
        kubectl = Kubectl(one.kubeconfig)
        with proxied(kubectl) as url:
            forge = Forge(one, folder / "forge")
            forge.start(running)
            dev = environment("dev", kubectl, folder / "dev", url)
            fork = forking.make(folder / "fork", forge.repository, dev, os.environ.get(charts.MIRROR))
            for chart in fork.pulled():
                forge.offer(chart.path)
            yield Following(one, kubectl, forge, fork, running, folder, dev)


def secret(name: str, place: str, content: dict[str, str]) -> Object:
    """The manifest of a Secret."""
    metadata = {"name": name, "namespace": place}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content}
