"""Policies on selectors that match nothing, and on PodDisruptionBudgets that allow no eviction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE018",
    stage=Stage.STREAM,
    severity="error",
    title="A selector or a scale target matches nothing",
    why="Kubernetes accepts the object without a warning. Then a Service has no endpoints, a NetworkPolicy or a "
    "PodDisruptionBudget protects nothing, and a HorizontalPodAutoscaler has nothing to scale.",
    remedy="Compare a selector with the labels of the pods, and a scaleTargetRef with the kind and name of the "
    "workload. For a NetworkPolicy that is meant for all pods, leave podSelector empty.",
    fails="""
        apiVersion: v1
        kind: Pod
        metadata: {name: web, labels: {app: web}}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: web
              image: registry.example.com/web:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {selector: {app: shop}, ports: [{port: 80}]}
    """,
    passes="""
        apiVersion: v1
        kind: Pod
        metadata: {name: web, labels: {app: web}}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: web
              image: registry.example.com/web:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {selector: {app: web}, ports: [{port: 80}]}
    """,
)
def matches_nothing(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check selectors of pods in Services, PodDisruptionBudgets and NetworkPolicies, and targets of autoscalers.

    Raises LeftOut without any hit if the pods may be in a chart that a controller renders.
    """
    hits = [*_unmatched_hits(stream)]
    if hits:
        stream.refuse_unrendered()
    yield from hits


def _unmatched_hits(stream: Stream) -> Iterator[Hit]:
    for item in stream.of("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for path, selector in _selectors(item):
            if not stream.selected(item.namespace, selector):
                yield Hit(item, f"{path} matches no pod: {_selector_words(selector)}")
    for item in stream.of("HorizontalPodAutoscaler"):
        target = mapping(mapping(item.value.get("spec")).get("scaleTargetRef"))
        kind, name = text(target.get("kind")), text(target.get("name"))
        if kind and name and not stream.providers.provides(kind, item.namespace, name):
            yield Hit(item, f"spec.scaleTargetRef names the {kind} {name}, which does not exist")


def _selectors(item: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the content of each selector of pods in the object's own namespace.

    An empty selector is left out, because it means all pods, however many there are.
    """
    spec = mapping(item.value.get("spec"))
    key = "podSelector" if item.kind == "NetworkPolicy" else "selector"
    if selector := mapping(spec.get(key)):
        yield f"spec.{key}", {"matchLabels": selector} if item.kind == "Service" else selector
    for group, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(mappings(spec.get(group))):
            for place, peer in enumerate(mappings(rule.get(peers))):
                selector = mapping(peer.get("podSelector"))
                if selector and peer.get("namespaceSelector") is None:
                    yield f"spec.{group}[{number}].{peers}[{place}].podSelector", selector


def _selector_words(selector: dict[str, Any]) -> str:
    words = [f"{key}={value}" for key, value in mapping(selector.get("matchLabels")).items()]
    for expression in mappings(selector.get("matchExpressions")):
        values = expression.get("values")
        listed = f" ({', '.join(map(str, values))})" if isinstance(values, list) and values else ""
        words.append(f"{expression.get('key')} {expression.get('operator')}{listed}")
    return ", ".join(words)


@Policy(
    code="FLOE017",
    stage=Stage.STREAM,
    severity="error",
    title="A PodDisruptionBudget allows no eviction",
    why="A node that runs such a pod cannot be drained, so an upgrade of the cluster stops there.",
    remedy="Let at least one pod go: set maxUnavailable to 1, or set minAvailable below the number of replicas.",
    fails="""
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata: {name: all}
        spec: {selector: {}, maxUnavailable: 0}
    """,
    passes="""
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata: {name: all}
        spec: {selector: {}, maxUnavailable: 1}
    """,
)
def blocks_eviction(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Compare each PodDisruptionBudget with the number of pods that it selects, at the smallest scale."""
    for item in stream.of("PodDisruptionBudget"):
        spec = mapping(item.value.get("spec"))
        most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
        selected = stream.selected(item.namespace, mapping(spec.get("selector")))
        if selected and all(pod.ends for pod in selected):
            continue  # these pods end by themselves, and the budget makes a drain wait for that
        replicas = sum(_fewest_replicas(stream, pod.item) for pod in selected)
        if most is not None and _number_of_pods(most, 100) == 0:
            yield Hit(item, f"maxUnavailable {most} allows no eviction, so no node with such a pod can be drained")
        elif least is not None and isinstance(least, str) and _number_of_pods(least, 100) == 100:
            yield Hit(item, f"minAvailable {least} allows no eviction, so no node with such a pod can be drained")
        elif (
            least is not None
            and selected
            and (needed := _number_of_pods(least, replicas)) is not None
            and needed >= replicas
        ):
            words = f"minAvailable {least} of {replicas} allows no eviction, so no node with such a pod can be drained"
            yield Hit(item, words)


def _number_of_pods(amount: Any, of: int) -> int | None:
    """`amount` as a number of pods; a percentage of `of` is rounded up, as the disruption controller does.

    None if `amount` is neither a number nor a percentage.
    """
    if isinstance(amount, int):
        return amount
    percent = re.fullmatch(r"(\d+)%", text(amount))
    return -(-int(percent[1]) * of // 100) if percent else None


def _fewest_replicas(stream: Stream, item: Object) -> int:
    """The smallest number of pods that an object keeps running."""
    fewest = stream.scaled.get((item.kind, item.namespace, item.name))
    if fewest is None:
        fewest = mapping(item.value.get("spec")).get("replicas", 1)
    return fewest if isinstance(fewest, int) else 1
