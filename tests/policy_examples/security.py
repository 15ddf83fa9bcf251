"""Examples for policies on Pod Security and roles."""

from __future__ import annotations

from typing import Any

from policy_examples.builders import (
    CONFINED,
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
    workload,
)

RBAC = "rbac.authorization.k8s.io/v1"
BARE: Json = {"name": "main", "image": "app:1.0", "resources": RESOURCES}


def confined(**fields: Any) -> Json:
    return pod(container(securityContext=CONFINED | fields))


def role(**rule: list[str]) -> Json:
    return of(RBAC, "Role", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]} | rule])


EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE015": {
        "confined": good(pod()),
        "by-the-pod": good(
            pod(
                container(securityContext={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}),
                securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            )
        ),
        "nothing-said": bad(
            pod(BARE),
            says=("allowPrivilegeEscalation must be false", "drop must contain ALL", "runAsNonRoot", "seccomp"),
        ),
        "the-container-has-the-last-word": bad(
            pod(container(securityContext=CONFINED | {"runAsNonRoot": False}), securityContext={"runAsNonRoot": True}),
            says="container main: securityContext.runAsNonRoot must be true",
        ),
        "init": bad(
            pod(initContainers=[container(name="wait", securityContext=CONFINED | {"privileged": True})]),
            says="container wait: securityContext.privileged",
        ),
        **{
            f"{field} of a pod": bad(pod(**{field: True}), says=f"{field} must not be true")
            for field in ("hostNetwork", "hostPID", "hostIPC")
        },
        "hostPath": bad(pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), says="volume v: hostPath"),
        "volumes-that-are-fine": good(
            pod(volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "projected": {"sources": []}}])
        ),
        "sysctl": bad(
            pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), says="sysctl kernel.msgmax"
        ),
        "safe-sysctl": good(
            pod(securityContext={"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]})
        ),
        "capability": bad(confined(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), says="capabilities.add"),
        "bind-low-ports": good(confined(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
        "root": bad(confined(runAsUser=0), says="runAsUser must not be 0"),
        "selinux": bad(confined(seLinuxOptions={"user": "root"}), says="seLinuxOptions"),
        "apparmor": bad(confined(appArmorProfile={"type": "Unconfined"}), says="appArmorProfile"),
        "procMount": bad(confined(procMount="Unmasked"), says="procMount"),
        "hostPort": bad(pod(container(ports=[{"containerPort": 1, "hostPort": 1}])), says="hostPort"),
        "probe-elsewhere": bad(
            pod(container(livenessProbe={"httpGet": {"port": 1, "host": "example.com"}})), says="must not set host"
        ),
        "CronJob": bad(
            workload("CronJob", {"containers": [container(securityContext=CONFINED | {"privileged": True})]}),
            says="privileged",
        ),
        "runs": good(instance(RUN)),
        "runs-with-nothing-said": bad(
            instance("image_pull_policy: Always\n"),
            says=("a run's container dagster: securityContext.allow", "drop", "runAsNonRoot", "seccompProfile"),
        ),
    },
    "FLOE016": {
        "listed": good(role(), role(resources=["pods/*"], verbs=["get", "list"])),
        **{
            field: bad(role(**{field: ["*"]}), says=f"rules[0].{field} contains a wildcard")
            for field in ("apiGroups", "resources", "verbs")
        },
        "of-a-subresource": bad(role(resources=["*/scale"]), says="resources"),
        "cluster": bad(
            of(RBAC, "ClusterRole", rules=[{"nonResourceURLs": ["*"], "verbs": ["get"]}]), says="nonResourceURLs"
        ),
        "one-path": good(of(RBAC, "ClusterRole", rules=[{"nonResourceURLs": ["/healthz/*"], "verbs": ["get"]}])),
        "other-kind": good(of("example.com/v1", "Thing", rules=[{"verbs": ["*"]}])),
    },
}
