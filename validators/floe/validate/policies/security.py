"""Policies on the Pod Security Standard `restricted` and on wildcards in roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from floe.kubernetes.objects import mapping, mappings, text
from floe.kubernetes.pods import Container, Pod
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE015",
    stage=Stage.STREAM,
    severity="error",
    title="A pod violates the Pod Security Standard restricted",
    why="A namespace that enforces `restricted` refuses the pod, so a workload stays without pods and a run never "
    "starts. In other namespaces, a process that breaks out of its container has more rights on the node.",
    remedy="Set the securityContext of the pod and of its containers as the message says, in the values of the chart "
    "or in `base/hardening`.",
    fails="""
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          containers:
            - name: web
              image: registry.example.com/web:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
    """,
    passes="""
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: web
              image: registry.example.com/web:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    """,
)
def restricted(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check every pod and its containers, init containers included, as Pod Security admission does."""
    for pod in stream.pods:
        for problem in _pod_problems(pod):
            yield Hit(pod.item, problem)
        for container in pod.containers:
            for problem in _container_problems(pod, container):
                yield Hit(pod.item, f"{container.label}: {problem}")


_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    ]
)
_SAFE_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)
_SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
_SECCOMP = frozenset(("RuntimeDefault", "Localhost"))
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def _pod_problems(pod: Pod) -> Iterator[str]:
    """Yield the violations of `restricted` in the pod itself, without its containers."""
    spec, security = pod.spec, mapping(pod.spec.get("securityContext"))
    for field in _HOST_NAMESPACES:
        if spec.get(field) is True:
            yield f"{field} must not be true"
    for volume in mappings(spec.get("volumes")):
        for source in volume.keys() - {"name"} - _VOLUMES:
            if volume[source] is not None:
                yield f"volume {text(volume.get('name'))}: {source} is not allowed"
    for key, profile in pod.annotations.items():
        if str(key).startswith(_APPARMOR) and not text(profile).startswith(("runtime/default", "localhost/")):
            yield f"annotation {key} must be runtime/default or localhost/…"
    for sysctl in mappings(security.get("sysctls")):
        if text(sysctl.get("name")) not in _SAFE_SYSCTLS:
            yield f"sysctl {text(sysctl.get('name'))} is not allowed"
    yield from _context_problems(security, "securityContext")


def _context_problems(security: dict[str, Any], where: str) -> Iterator[str]:
    """Yield the violations that are possible both in the securityContext of a pod and in that of a container."""
    if not security:
        return
    selinux = mapping(security.get("seLinuxOptions"))
    if text(selinux.get("type")) not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{where}.seLinuxOptions must not set user or role, nor a type other than those of containers"
    if mapping(security.get("appArmorProfile")).get("type") == "Unconfined":
        yield f"{where}.appArmorProfile must not be Unconfined"
    if mapping(security.get("windowsOptions")).get("hostProcess") is True:
        yield f"{where}.windowsOptions.hostProcess must not be true"
    if security.get("runAsUser") == 0:
        yield f"{where}.runAsUser must not be 0"


def _container_problems(pod: Pod, container: Container) -> Iterator[str]:
    """Yield the violations of `restricted` in one container, given the securityContext of its pod."""
    own, shared = mapping(container.value.get("securityContext")), mapping(pod.spec.get("securityContext"))
    capabilities = mapping(own.get("capabilities"))
    windows = mapping(pod.spec.get("os")).get("name") == "windows"
    if not windows and own.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation must be false"
    if not windows and not (isinstance(dropped := capabilities.get("drop"), list) and "ALL" in dropped):
        yield "securityContext.capabilities.drop must contain ALL"
    if isinstance(added := capabilities.get("add"), list) and any(
        capability != "NET_BIND_SERVICE" for capability in added
    ):
        yield "securityContext.capabilities.add must not contain anything but NET_BIND_SERVICE"
    if own.get("privileged") is True:
        yield "securityContext.privileged must not be true"
    if own.get("procMount") not in (None, "", "Default"):
        yield "securityContext.procMount must be Default"
    # The setting of a container overrides that of its pod.
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
        yield "securityContext.runAsNonRoot must be true, in the container or in the pod"
    profile = own.get("seccompProfile") or shared.get("seccompProfile")
    if not windows and text(mapping(profile).get("type")) not in _SECCOMP:
        yield "securityContext.seccompProfile.type must be RuntimeDefault, in the container or in the pod"
    yield from _context_problems(own, "securityContext")
    for port in mappings(container.value.get("ports")):
        if port.get("hostPort"):
            yield "hostPort must not be set"
    for handler in _handlers(container.value):
        if any(mapping(handler.get(how)).get("host") for how in ("httpGet", "tcpSocket")):
            yield "a probe or lifecycle hook must not set host"


def _handlers(container: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            yield mapping(container[probe])
    if "lifecycle" in container:
        yield from map(mapping, mapping(container["lifecycle"]).values())


@Policy(
    code="FLOE016",
    stage=Stage.STREAM,
    severity="error",
    title="A role contains a wildcard",
    why="The role also grants whatever the next release of Kubernetes or the next CustomResourceDefinition adds, and "
    "nobody reviews that.",
    remedy="List the API groups, resources, verbs and URLs that are needed.",
    fails="""
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: operator}
        rules: [{apiGroups: [apps], resources: [deployments], verbs: ["*"]}]
    """,
    passes="""
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: operator}
        rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, list]}]
    """,
)
def wildcard(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check the rules of every Role and ClusterRole for values that begin with `*`."""
    for item in stream.of("Role", "ClusterRole"):
        for number, rule in enumerate(mappings(item.value.get("rules"))):
            for field in ("apiGroups", "resources", "verbs", "nonResourceURLs"):
                values = rule.get(field)
                # `pods/*` and `/healthz/*` stay within one resource or path; `*` and `*/scale` cover all resources.
                if isinstance(values, list) and any(text(value).startswith("*") for value in values):
                    yield Hit(item, f"rules[{number}].{field} contains a wildcard")
