"""Policies on the containers of pods: their resources, probes and volume mounts."""

from __future__ import annotations

from collections.abc import Iterator

from floe.kubernetes.objects import mapping, mappings, text
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE012",
    stage=Stage.STREAM,
    severity="error",
    title="A container has no resource requests or no memory limit",
    why="Without requests the scheduler reserves no room for the pod, and the kubelet evicts it first when the node "
    "runs short of memory. Without a memory limit one container can use up the memory of the whole node.",
    remedy="Set requests.cpu, requests.memory and limits.memory under resources, in the values of the chart.",
    fails="""
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: web
              image: registry.example.com/web:1.4.0
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
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
def no_resources(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check every container and init container; an empty or null amount counts as not set."""
    for pod in stream.pods:
        for container in pod.containers:
            resources = mapping(container.value.get("resources"))
            limits = {unit for unit, value in mapping(resources.get("limits")).items() if value is not None}
            # Kubernetes takes a limit as the request too if there is no request.
            requests = limits | {
                unit for unit, value in mapping(resources.get("requests")).items() if value is not None
            }
            missing = [f"requests.{unit}" for unit in ("cpu", "memory") if unit not in requests]
            if "memory" not in limits:
                missing.append("limits.memory")
            if missing:
                yield Hit(pod.item, f"{container.label}: no {', '.join(missing)}")


_SERVERS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


@Policy(
    code="FLOE014",
    stage=Stage.STREAM,
    severity="error",
    title="A container has no probe",
    why="Without a readinessProbe a Service sends requests to a pod that cannot answer yet, and a rollout goes on "
    "although the new pods do not work. Without any probe, nobody notices a process that hangs.",
    remedy="Set a readinessProbe on a container that a Service sends requests to. Set a readinessProbe or a "
    "livenessProbe on any other container.",
    fails="""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
              containers:
                - name: web
                  image: registry.example.com/web:1.4.0
                  resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
                  securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    """,
    passes="""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
              containers:
                - name: web
                  image: registry.example.com/web:1.4.0
                  resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
                  securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
                  readinessProbe: {httpGet: {path: /ready, port: 8080}}
    """,
)
def no_probe(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check the containers of Deployments, StatefulSets and DaemonSets, without their init containers.

    A readinessProbe is required of a container to which a Service sends requests, and any probe of the others.
    """
    for pod in stream.pods:
        if pod.item.kind not in _SERVERS:
            continue
        main = [container for container in pod.containers if not container.init]
        # If some containers have ports, one without a port is a helper that gets no requests, so it needs no probe.
        asked = [container for container in main if container.value.get("ports")] or main
        served = id(pod.item) in stream.served
        for container in asked:
            if served and not container.value.get("readinessProbe"):
                yield Hit(pod.item, f"{container.label}: no readinessProbe, although a Service sends requests to it")
            elif not any(container.value.get(probe) for probe in ("readinessProbe", "livenessProbe", "startupProbe")):
                yield Hit(pod.item, f"{container.label}: no probe at all")


@Policy(
    code="FLOE019",
    stage=Stage.STREAM,
    severity="error",
    title="A container mounts a volume that the pod does not declare",
    why="The API server refuses the pod. For the pods of a workload and for the runs of Dagster, this shows only when "
    "they are created.",
    remedy="Declare the volume in the pod or in volumeClaimTemplates, or correct the name of the mount.",
    fails="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: dagster-instance}
        data:
          dagster.yaml: |
            run_launcher:
              class: K8sRunLauncher
              config:
                job_namespace: shop
                resources: {requests: {cpu: 100m, memory: 1Gi}, limits: {memory: 1Gi}}
                security_context: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
                run_k8s_config:
                  pod_spec_config:
                    security_context: {run_as_non_root: true, seccomp_profile: {type: RuntimeDefault}}
                volume_mounts: [{name: scratch, mount_path: /scratch}]
    """,
    passes="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: dagster-instance}
        data:
          dagster.yaml: |
            run_launcher:
              class: K8sRunLauncher
              config:
                job_namespace: shop
                resources: {requests: {cpu: 100m, memory: 1Gi}, limits: {memory: 1Gi}}
                security_context: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
                run_k8s_config:
                  pod_spec_config:
                    security_context: {run_as_non_root: true, seccomp_profile: {type: RuntimeDefault}}
                volume_mounts: [{name: scratch, mount_path: /scratch}]
                volumes: [{name: scratch, empty_dir: {}}]
    """,
)
def undeclared_volume(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check volumeMounts and volumeDevices against the volumes of the pod and the claims of its StatefulSet."""
    for pod in stream.pods:
        declared = {text(volume.get("name")) for volume in mappings(pod.spec.get("volumes"))}
        if pod.item.kind == "StatefulSet":
            templates = mappings(mapping(pod.item.value.get("spec")).get("volumeClaimTemplates"))
            declared |= {text(mapping(template.get("metadata")).get("name")) for template in templates}
        for container in pod.containers:
            for group in ("volumeMounts", "volumeDevices"):
                for mount in mappings(container.value.get(group)):
                    name = text(mount.get("name"))
                    if name and name not in declared:
                        yield Hit(
                            pod.item, f"{container.label}: mounts the volume {name}, which the pod does not declare"
                        )
