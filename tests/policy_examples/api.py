"""What the API server says of an object."""

from __future__ import annotations

from policy_examples.builders import Example, bad, container, good, named, pod, workload

EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE002": {
        "valid": good(pod(), workload("CronJob", {"restartPolicy": "Never", "containers": [container()]})),
        "null-is-not-set": good(pod(container(ports=None, resources={"limits": {"cpu": None, "memory": "1Gi"}}))),
        "number-as-quantity": good(pod(container(resources={"limits": {"cpu": 1, "memory": "1Gi"}}))),
        "generated-name": good(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"generateName": "p-"},
                "spec": {"containers": [container()]},
            }
        ),
        "unknown-field": bad(pod(container(imagePullpolicy="Always")), says="unknown field imagePullpolicy"),
        "type": bad(named("ConfigMap", "c", data={"port": 8080}), says="data.port must be a string: quote it"),
        "type-in-list": bad(
            pod(container(ports=[{"containerPort": "http"}])),
            says="spec.containers[0].ports[0].containerPort must be a whole number",
        ),
        "mapping-for-list": bad(pod(container(env={"A": "b"})), says="spec.containers[0].env must be a list"),
        "boolean-as-quantity": bad(
            pod(container(resources={"limits": {"memory": True}})), says="limits.memory must be a string or a number"
        ),
        "required": bad(pod(container(ports=[{}])), says="spec.containers[0].ports[0].containerPort must be set"),
        "no-metadata": bad({"apiVersion": "v1", "kind": "Namespace"}, says="metadata must be set"),
        "no-name": bad(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": {}}}, says="metadata.name must be set"
        ),
        "name-is-a-number": bad(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": 1}}, says="metadata.name must be a string"
        ),
        "name-is-a-mapping": bad(
            named("ConfigMap", "c") | {"metadata": {"name": {}}}, says="metadata.name must be a string"
        ),
        "unknown-group-of-kubernetes": bad(named("Pod", "p") | {"apiVersion": "core/v1"}, says="did you mean v1 Pod?"),
        "no-kind": bad({"apiVersion": "v1"}, says="apiVersion and kind must both be set"),
        "kind-is-a-list": bad({"apiVersion": "v1", "kind": ["Pod"]}, says="apiVersion and kind must both be set"),
        "misspelt-kind": bad(named("Pods", "p"), says="has no v1 Pods; did you mean v1 Pod?"),
        "removed-version": bad(
            {"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "i"}},
            says="did you mean networking.k8s.io/v1 Ingress?",
        ),
        "in-a-list": bad(
            {"apiVersion": "v1", "kind": "List", "items": [pod(), named("ConfigMap", "c", dta={})]},
            says="unknown field dta",
        ),
        "in-a-typed-list": bad(
            {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "c"}, "dta": {}}]},
            says="unknown field dta",
        ),
        "a-scalar-in-a-list": bad({"apiVersion": "v1", "kind": "List", "items": ["x"]}, says="not an object"),
        "too-many": bad(
            named("ConfigMap", "c", data={str(n): n for n in range(50)}),
            says=("must be a string",) * 20 + ("and more",),
        ),
    },
    "FLOE003": {
        "built-in": good(pod()),
        "list": good({"apiVersion": "v1", "kind": "List", "items": [pod()]}),
        "misspelt-built-in-is-an-error-instead": good(named("Pods", "p")),
        "custom": bad(
            {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}, says="example.com/v1 Thing"
        ),
    },
    "FLOE004": {
        "different": good(pod(), named("ConfigMap", "p"), named("ConfigMap", "q"), named("ConfigMap", "p", "other")),
        "without-a-name": good(*[{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "j-"}}] * 2),
        "without-a-kind": good({"a": 1}, {"b": 1}),
        "same": bad(named("ConfigMap", "c"), pod(), named("ConfigMap", "c", data={}), says="document 1"),
        "two-versions": bad(
            {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}},
            {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}},
            says="document 1",
        ),
    },
}
