"""Examples for policies on selectors and disruption budgets."""

from __future__ import annotations

from typing import Any

from policy_examples.builders import (
    RUN,
    Example,
    Json,
    bad,
    container,
    good,
    instance,
    labelled,
    named,
    of,
    service,
    workload,
)

NET = "networking.k8s.io/v1"


def deployment(replicas: Any = 1) -> Json:
    made = workload("Deployment", {"containers": [container()]})
    return made | {"spec": made["spec"] | {"replicas": replicas}}


def budget(**spec: Any) -> Json:
    return of("policy/v1", "PodDisruptionBudget", spec={"selector": {"matchLabels": {"app": "x"}}} | spec)


def scaler(minimum: int, name: str = "w") -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": minimum, "maxReplicas": 9}
    return of("autoscaling/v2", "HorizontalPodAutoscaler", spec=spec)


def policy(selector: Json, **spec: Any) -> Json:
    return of(NET, "NetworkPolicy", spec={"podSelector": selector} | spec)


RUNS = {"app.kubernetes.io/component": "run_worker", "app.kubernetes.io/name": "dagster"}


EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE017": {
        "room-for-one": good(
            deployment(2), budget(maxUnavailable=1), budget(minAvailable=1), budget(minAvailable="50%")
        ),
        "none-may-go": bad(deployment(2), budget(maxUnavailable=0), says="maxUnavailable 0 allows no eviction"),
        "no-percent-may-go": bad(deployment(2), budget(maxUnavailable="0%"), says="maxUnavailable 0%"),
        "all-must-stay": bad(deployment(2), budget(minAvailable=2), says="minAvailable 2 of 2"),
        "every-percent-must-stay": bad(deployment(2), budget(minAvailable="100%"), says="minAvailable 100%"),
        "rounded-up": bad(deployment(1), budget(minAvailable="50%"), says="minAvailable 50% of 1"),
        "of-a-single-pod": bad(deployment(), budget(minAvailable=1), says="minAvailable 1 of 1"),
        "scaled": good(deployment(1), scaler(3), budget(minAvailable=2)),
        "scaled-down": bad(deployment(5), scaler(2), budget(minAvailable=2), says="minAvailable 2 of 2"),
        "two-workloads": good(
            deployment(1), workload("StatefulSet", {"containers": [container()]}), budget(minAvailable=1)
        ),
        "runs-end-by-themselves": good(instance(RUN), budget(minAvailable=1000, selector={"matchLabels": RUNS})),
    },
    "FLOE018": {
        "Service": good(labelled(app="x"), service(app="x")),
        "Service-of-two-labels": bad(labelled(app="x"), service(app="x", tier="y"), says="app=x, tier=y"),
        "Service-without-a-selector": good(named("Service", "s", spec={"type": "ExternalName"})),
        "Service-elsewhere": bad(
            labelled(app="x") | {"metadata": {"name": "p", "namespace": "a", "labels": {"app": "x"}}},
            named("Service", "s", "b", spec={"selector": {"app": "x"}}),
            says="spec.selector matches no pod",
        ),
        "NetworkPolicy": good(labelled(app="x"), policy({"matchLabels": {"app": "x"}})),
        "NetworkPolicy-for-all": good(policy({})),
        "NetworkPolicy-for-nobody": bad(policy({"matchLabels": {"app": "x"}}), says="spec.podSelector matches no pod"),
        "peer": bad(
            policy({}, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}]),
            says="spec.ingress[0].from[0].podSelector",
        ),
        "peer-elsewhere": good(
            policy({}, egress=[{"to": [{"podSelector": {"matchLabels": {"app": "x"}}, "namespaceSelector": {}}]}])
        ),
        **{
            f"expression {operator}": (
                good(labelled(app="x"), policy(selector))
                if matches
                else bad(labelled(app="x"), policy(selector), says="app")
            )
            for operator, values, matches in (
                ("In", ["x", "y"], True),
                ("In", ["y"], False),
                ("NotIn", ["y"], True),
                ("NotIn", ["x"], False),
                ("Exists", None, True),
                ("DoesNotExist", None, False),
            )
            for selector in [{"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}]
        },
        "runs": good(instance(RUN), policy({"matchLabels": RUNS}), policy({"matchLabels": {"dagster/job": "any"}})),
        "budget": bad(budget(maxUnavailable=1), says="spec.selector matches no pod"),
        "budget-for-all": good(budget(maxUnavailable=1, selector={})),
        "HorizontalPodAutoscaler": good(deployment(), scaler(1)),
        "HorizontalPodAutoscaler-of-nothing": bad(deployment(), scaler(1, "y"), says="the Deployment y, which does"),
        "what-a-chart-makes-is-not-judged": good(
            service(app="x"), of("helm.toolkit.fluxcd.io/v2", "HelmRelease", spec={"chart": {}})
        ),
    },
}
