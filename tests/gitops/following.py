"""A cluster that follows a fork: a node, what feeds it, and what tests ask of it while they wait."""

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
from floe import charts, images
from floe.demo.processes import Supervisor, supervisor
from forks import floe
from gitops import fork as forking
from gitops.forge import Forge
from gitops.fork import Fork
from images.build import TAG, archives

NEXT = "0.1.1"
"""A tag under which the node has the same images once more, as if they were newer."""
ABSENT = "9.9.9"
"""One that no registry serves."""


@dataclass(frozen=True)
class Following:
    """The cluster and the fork. Controllers are started by whoever asks for this."""

    node: Node
    kubectl: Kubectl
    forge: Forge
    fork: Fork
    running: Supervisor
    folder: Path
    dev: Deployed

    def another(self, name: str) -> Deployed:
        """Another environment of the same cluster."""
        return environment(name, self.kubectl, self.folder / name, self.dev.url)

    def bootstrap(self, cluster: str, *options: str) -> None:
        """What a person does on the first day."""
        self.kubectl("apply", *options, "--kustomize", str(self.fork.folder / "clusters" / cluster))

    def wait(self, done: Callable[[], object], seconds: float) -> float:
        """Wait until something holds; returns seconds. Raises AssertionError with what the cluster says of itself."""
        return wait_for(done, seconds, self.why)

    def why(self) -> str:
        """What does not go as it should, in the words that a person reads."""
        self.running.check()
        return f"{self.status_text()}\n{self.dev.why()}"

    def status_text(self) -> str:
        """What `floe status --cluster` prints, whatever comes of it."""
        done = self._floe_status()
        return (done.stdout + done.stderr).decode()

    def status(self, name: str = "dev") -> dict[str, tuple[bool | None, str]]:
        """The same of one environment: by object, whether it is well, and what it says."""
        done = self._floe_status("--json")
        assert done.returncode in (0, 1), done.stderr.decode()
        lines = json.loads(done.stdout)[name]["cluster"]["objects"]
        return {line["object"]: (line["ok"], line["message"]) for line in lines}

    def _floe_status(self, *options: str) -> subprocess.CompletedProcess[bytes]:
        return floe(self.fork.folder, "status", "--cluster", *options, KUBECONFIG=str(self.node.kubeconfig))

    def condition(self, kind: str, place: str, name: str, which: str = "Ready") -> Object:
        """A condition of an object: status, reason, message; empty where it has none yet."""
        done = self.kubectl.run("get", kind, name, f"--namespace={place}", "--output=json")
        found = json.loads(done.stdout or b"{}").get("status", {}).get("conditions", ())
        return next((one for one in found if one["type"] == which), {})

    def tag(self, deployment: str, one: Deployed | None = None) -> str:
        """The tag of the image that a Deployment is to run; empty where it is not there."""
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        done = (one or self.dev).kubectl.run("get", "deployment", deployment, f"--output={path}")
        return done.stdout.decode().rpartition(":")[2]

    def runs(self, tag: str, selector: str, one: Deployed | None = None) -> bool:
        """Whether all pods of a selector run that tag, each ready, and every workload is as it should be."""
        where = one or self.dev
        pods = where.pods(selector)
        tags = {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}
        return tags == {tag} and not where.unready()

    def ready_pods(self, selector: str = "!job-name", one: Deployed | None = None) -> set[str]:
        """Ids of the pods that are ready and not about to go."""
        return {
            pod["metadata"]["uid"]
            for pod in (one or self.dev).pods(selector)
            if not pod["metadata"].get("deletionTimestamp")
            and any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())
            )
        }

    def serves(self) -> bool:
        """Whether Cube's Service answers."""
        with suppress(URLError, OSError):
            url = f"{self.dev.url}/api/v1/namespaces/{self.dev.namespace}/services/cube:4000/proxy/readyz"
            with urlopen(url, timeout=10) as answer:  # noqa: S310 # kubectl's proxy on loopback
                return bool(answer.status == 200)
        return False


@contextmanager
def following(folder: Path) -> Iterator[Following]:
    """A node with images, a forge with the upstream charts, and a fork that is not committed yet."""
    made = archives()
    with node("gitops") as one, supervisor(folder / "log") as running:
        one.load(made)
        for name in ("dagster", "cube"):
            image = f"{images.REGISTRY}/floe-{name}"
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
    """A Secret as an object."""
    metadata = {"name": name, "namespace": place}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content}
