"""The node itself: it starts quickly, its network is isolated, and it leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

import debian
from cluster import inside, node
from cluster.deployed import Deployed, wait_for
from cluster.kubectl import Kubectl
from floe.errors import FloeError
from images.build import archives
from servers import HOST

SPARE = node.Node("spare")
_HOLD = """
import time
from cluster.node import node
with node("spare"):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _here(request: pytest.FixtureRequest) -> Iterator[None]:
    if reason := node.missing():
        pytest.skip(f"no node: {reason}")
    yield
    if "cluster" not in request.fixturenames:
        SPARE.stop()


def traces() -> list[str]:
    """The processes, mounts and control groups of the spare node that exist now."""
    processes = [
        f"process {one.pid}: {' '.join(one.info['cmdline'])}"
        for one in psutil.process_iter(["cmdline"])
        if str(SPARE.folder) in " ".join(one.info["cmdline"] or ())
    ]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(SPARE.folder) in line]
    return [*processes, *mounts, *map(str, SPARE.cgroups())]


def test_an_image_that_was_lost_on_a_full_disk_is_loaded_again() -> None:
    if debian.absent(debian.BUILDER):
        pytest.skip(f"no images: {debian.remedy(debian.BUILDER)}")
    made = archives(["busybox"])
    name = "docker.io/library/busybox:1.28"
    with node.node("spare") as one:
        for _ in range(2):
            one.load(made)
            assert name in inside.ctr(one.folder, "images", "list", "--quiet").stdout.split()
            assert inside.ctr(one.folder, "images", "remove", "--sync", name).returncode == 0


@pytest.mark.parametrize("whom", ["harness", "keeper"])
def test_a_kill_leaves_no_process_and_the_node_starts_again(whom: str) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", _HOLD], env=env, stdout=subprocess.PIPE) as harness:
        assert harness.stdout
        assert harness.stdout.readline() == b"up\n"
        keeper = SPARE.keeper()
        assert keeper
        assert traces()
        if whom == "harness":
            harness.kill()
            wait_for(lambda: not traces(), 20, lambda: "\n".join(traces()))
        else:  # without the keeper, the kernel ends every process, and only the next start removes the rest
            os.kill(keeper, signal.SIGKILL)
            wait_for(
                lambda: not [one for one in traces() if not one.startswith("/sys")], 20, lambda: "\n".join(traces())
            )
            harness.kill()
    started = time.monotonic()
    with node.node("spare") as one:
        assert time.monotonic() - started < 60
        assert b"Ready" in Kubectl(one.kubeconfig).run("get", "nodes").stdout
        with pytest.raises(FloeError, match="runs already"):
            one.start(0, tied=True)
    assert traces() == []
    assert not SPARE.kubeconfig.exists()


def test_an_occupied_port_is_reported_with_its_process() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FloeError, match=rf"port {port} .*process {os.getpid()} "):
            SPARE.start(port, tied=True)
    assert traces() == []


@pytest.mark.usefixtures("cluster")
def test_the_network_of_the_node_is_isolated() -> None:
    keeper = node.Node("test").keeper()
    if keeper is None:
        pytest.skip("no node: a cluster was given")
    inside = next(one for one in psutil.Process(keeper).children(recursive=True) if "cluster.inside" in one.cmdline())
    enter = ["nsenter", f"--target={inside.children()[0].pid}", "--net"]
    listed = subprocess.run([*enter, "ip", "-json", "-details", "link"], check=True, capture_output=True).stdout
    links = json.loads(listed)
    assert {link.get("linkinfo", {}).get("info_kind", link["link_type"]) for link in links} <= {
        "loopback",
        "bridge",
        "veth",
    }
    connect = "import socket; socket.create_connection(('192.0.2.1', 443), 10)"
    done = subprocess.run([*enter, sys.executable, "-c", connect], check=False, capture_output=True)
    assert b"No route to host" in done.stderr


def test_the_reasons_why_pods_do_not_run_are_reported(cluster: Kubectl, tmp_path: Path) -> None:
    broken = Kubectl(cluster.kubeconfig, cluster.context, "broken")
    cluster("create", "namespace", "broken")
    try:
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "small"},
            "spec": {"hard": {"pods": "3"}},
        }
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Pi"}}}
        objects = [
            {**quota, "spec": {"hard": {"pods": "3"}}},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "huge"}, "spec": claim},
            _deployment("imageless"),
            _deployment("secretless", imagePullSecrets=[{"name": "not-there"}]),
            _deployment("unbound", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "huge"}}]),
        ]
        broken("apply", "-f", "-", stdin=_list(objects))
        one = Deployed("dev", broken, tmp_path)
        wait_for(lambda: len(one.pods()) == 3, 30)
        broken("apply", "-f", "-", stdin=_list([_deployment("fourth")]))
        with pytest.raises(AssertionError) as error:
            one.wait_ready(15)
    finally:
        cluster("delete", "namespace", "broken", "--wait=false")
    words = str(error.value)
    assert "'fourth', 'imageless', 'secretless', 'unbound'" in words
    assert 'ErrImagePull: failed to pull and unpack image "registry.invalid/absent:1"' in words
    assert "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (not-there)" in words
    assert "unbound" in words
    assert "persistent volumes to bind" in words
    assert "exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3" in words


def _deployment(name: str, **spec: object) -> dict[str, object]:
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "registry.invalid/absent:1"}], **spec}
    template = {"metadata": {"labels": labels}, "spec": pod}
    wanted = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": wanted}


def _list(items: Sequence[object]) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()
