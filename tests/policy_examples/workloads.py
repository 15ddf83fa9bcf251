"""Examples for policies on resources, probes and mounts."""

from __future__ import annotations

from typing import Any

from policy_examples.builders import (
    RESOURCES,
    RUN,
    Example,
    Json,
    bad,
    container,
    good,
    instance,
    of,
    pod,
    service,
    template,
    workload,
)

PROBE = {"tcpSocket": {"port": 80}}
PORTS = [{"containerPort": 80}]
MOUNT = {"name": "v", "mountPath": "/v"}


def server(**fields: Any) -> Json:
    return workload("Deployment", {"containers": [container(**fields)]})


EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE012": {
        "all": good(pod(container())),
        "limits-are-requests": good(pod(container(resources={"limits": {"cpu": 1, "memory": "1Gi"}}))),
        "none": bad(
            pod(container(resources={})), says="container main: no requests.cpu, requests.memory, limits.memory"
        ),
        "absent": bad(
            pod({"name": "main", "image": "app:1.0"}), says="no requests.cpu, requests.memory, limits.memory"
        ),
        "no-limit": bad(pod(container(resources={"requests": {"cpu": 1, "memory": "1Gi"}})), says="no limits.memory"),
        "no-cpu": bad(pod(container(resources={"limits": {"memory": "1Gi"}})), says="no requests.cpu"),
        "null": bad(
            pod(container(resources={"requests": {"cpu": None}, "limits": {"memory": "1Gi"}})), says="no requests.cpu"
        ),
        "init": bad(pod(initContainers=[container(name="wait", resources={})]), says="container wait: no requests.cpu"),
        "null-limit": bad(pod(container(resources=RESOURCES | {"limits": {"memory": None}})), says="no limits.memory"),
        "each": bad(
            pod(container(name="a", resources={}), container(name="b", resources={})),
            says=("container a", "container b"),
        ),
        "CronJob": bad(workload("CronJob", {"containers": [container(resources={})]}), says="no requests.cpu"),
    },
    "FLOE014": {
        "asked-and-ready": good(server(readinessProbe=PROBE), service(app="x")),
        "asked-and-not-ready": bad(server(), service(app="x"), says="no readinessProbe, although a Service"),
        "asked-and-only-alive": bad(server(livenessProbe=PROBE), service(app="x"), says="no readinessProbe"),
        "not-asked-and-alive": good(server(livenessProbe=PROBE), service(app="y")),
        "not-asked-and-silent": bad(server(), says="no probe at all"),
        "helper-without-a-port": good(
            workload(
                "Deployment", {"containers": [container(ports=PORTS, readinessProbe=PROBE), container(name="helper")]}
            ),
            service(app="x"),
        ),
        "init-needs-none": good(
            workload("StatefulSet", {"containers": [container(livenessProbe=PROBE)], "initContainers": [container()]})
        ),
        "Job-needs-none": good(workload("Job", {"containers": [container()]}), pod()),
    },
    "FLOE019": {
        "declared": good(pod(container(volumeMounts=[MOUNT]), volumes=[{"name": "v", "emptyDir": {}}])),
        "undeclared": bad(pod(container(volumeMounts=[MOUNT])), says="container main: mounts the volume v"),
        "misspelt": bad(
            pod(container(volumeMounts=[MOUNT]), volumes=[{"name": "w", "emptyDir": {}}]), says="the volume v"
        ),
        "init": bad(pod(initContainers=[container(name="wait", volumeMounts=[MOUNT])]), says="container wait"),
        "device": bad(pod(container(volumeDevices=[{"name": "v", "devicePath": "/dev/v"}])), says="the volume v"),
        "claimed": good(
            of(
                "apps/v1",
                "StatefulSet",
                spec={
                    "template": template({"containers": [container(volumeMounts=[MOUNT])]}),
                    "volumeClaimTemplates": [{"metadata": {"name": "v"}}],
                },
            )
        ),
        "runs": bad(instance(RUN + "volume_mounts: [{name: v, mount_path: /v}]\n"), says="a run's container dagster"),
        "runs-declared": good(
            instance(RUN + "volume_mounts: [{name: v, mount_path: /v}]\nvolumes: [{name: v, empty_dir: {}}]\n")
        ),
    },
}
