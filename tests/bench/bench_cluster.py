"""Dev as running pods: seconds until it is ready and until a run logs its first event, and memory of each idle pod.

Needs the same programs as `make test-cluster`. Images are loaded before the measurement starts.
"""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path

from cluster.deployed import Deployed, environment, moment, proxied, wait_for
from cluster.kubectl import Kubectl
from cluster.node import node
from images.build import archives


def run() -> dict[str, object]:
    """Seconds and MiB, each with its reference value."""
    figures: dict[str, object] = {}
    images = archives()
    started = time.monotonic()
    with node("bench") as one, tempfile.TemporaryDirectory() as folder:
        figures["node up, s (goal 15)"] = _since(started)
        one.load(images)
        kubectl = Kubectl(one.kubeconfig)
        with proxied(kubectl) as url:
            dev = environment("dev", kubectl, Path(folder), url)
            started = time.monotonic()
            dev.apply()
            dev.wait_ready()
            figures["applied to all Ready, s (goal 120)"] = _since(started)
            figures |= {f"start to Ready, s: {name}": seconds for name, seconds in _starts(dev).items()}
            wait_for(dev.loaded, 60)
            figures |= _idle(dev)
            started = time.monotonic()
            worker = dev.worker(dev.launch(moment()))
            wait_for(lambda: dev.kubectl.run("logs", worker).stdout, 60, dev.why)
            figures["launched to the Job's first line, s (goal 15)"] = _since(started)
    return figures


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)


def _starts(one: Deployed) -> dict[str, int]:
    """Seconds from the start of a pod's containers until it is Ready. Init containers, which wait, do not count."""
    starts = {}
    for pod in one.pods():
        (container,) = pod["status"]["containerStatuses"]
        (ready,) = [each for each in pod["status"]["conditions"] if each["type"] == "Ready"]
        begin, end = container["state"]["running"]["startedAt"], ready["lastTransitionTime"]
        seconds = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
        starts[pod["metadata"]["name"]] = round(seconds.total_seconds())
    return starts


def _idle(one: Deployed) -> dict[str, object]:
    return {
        f"idle, MiB of {requested} requested: {name}": round(used)
        for name, (used, requested) in sorted(one.idle().items())
    }
