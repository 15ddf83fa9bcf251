"""Examples for policies on the rules of the API server."""

from __future__ import annotations

from typing import Any

from policy_examples.builders import Example, Json, bad, container, good, named, pod, template, workload


def _marked(**metadata: Any) -> Json:
    return named("ConfigMap", "c") | {"metadata": {"name": "c", **metadata}}


_CHART = {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "r"}}}


def _helm_release(**spec: Any) -> Json:
    head = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "r"}}
    return head | {"spec": {"interval": "1h", **spec}}


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
            pod(container(resources={"limits": {"memory": True}})), says="limits.memory must be a number or a string"
        ),
        "required": bad(pod(container(ports=[{}])), says="spec.containers[0].ports[0].containerPort must be set"),
        "no-metadata": bad({"apiVersion": "v1", "kind": "Namespace"}, says="metadata must be set"),
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
        "of-a-later-release": bad(
            {"apiVersion": "scheduling.k8s.io/v1alpha2", "kind": "Workload", "metadata": {"name": "w"}},
            says="Kubernetes 1.34 has no scheduling.k8s.io/v1alpha2 Workload",
        ),
        "custom": bad(
            {
                "apiVersion": "bitnami.com/v1alpha1",
                "kind": "SealedSecret",
                "metadata": {"name": "s"},
                "spec": {"data": 1},
            },
            says=("spec.data must be a string", "spec.encryptedData must be set"),
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
            says=("must be a string",) * 20 + ("has more errors",),
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
    "FLOE005": {
        "stable": good(pod(), named("ConfigMap", "c")),
        "deprecated": bad(
            {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e"}},
            says="deprecated since Kubernetes 1.33",
        ),
    },
    "FLOE006": {
        "served": good(workload("CronJob", {"restartPolicy": "Never", "containers": [container()]})),
        "custom": good({"apiVersion": "example.com/v1beta1", "kind": "CronJob", "metadata": {"name": "c"}}),
        "long-gone": bad(
            {"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "i"}},
            says="extensions/v1beta1 Ingress, 1.22 removed it; use networking.k8s.io/v1 Ingress",
        ),
        "gone-with-a-later-release": bad(
            {"apiVersion": "flowcontrol.apiserver.k8s.io/v1beta3", "kind": "FlowSchema", "metadata": {"name": "f"}},
            says="v1beta3 FlowSchema, 1.32 removed it; use flowcontrol.apiserver.k8s.io/v1 FlowSchema",
        ),
    },
    "FLOE007": {
        "names": good(pod(), named("ConfigMap", "a.b-c", "ns"), named("Service", "web")),
        "generated": good({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "j-"}}),
        "role": good(
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:A_b"}}
        ),
        "labels": good(
            _marked(labels={"a.example.com/b_c": "D.e-f", "empty": ""}, annotations={"A.example.com/b": "x y"})
        ),
        "no-name": bad(named("ConfigMap", "c") | {"metadata": {"labels": {}}}, says="metadata.name must be set"),
        "upper-case": bad(named("ConfigMap", "Settings"), says="metadata.name must be a DNS subdomain"),
        "service": bad(named("Service", "1web"), says="metadata.name must begin with a letter"),
        "namespace": bad(named("ConfigMap", "c", "a.b"), says="metadata.namespace must be a DNS label"),
        "long": bad(named("Namespace", "n" * 64), says="metadata.name must be a DNS label"),
        "label": bad(_marked(labels={"app": "a b"}), says="metadata.labels.app: the value of a label"),
        "label-key": bad(_marked(labels={"a/b/c": "x"}), says="is not a valid key of a label"),
        "annotation-key": bad(_marked(annotations={"-a": "x"}), says="is not a valid key of an annotation"),
    },
    "FLOE008": {
        "valid": good(pod(), workload("Deployment", {"containers": [container()]})),
        "wrong-type-is-the-schema's": good(pod(container(ports=[{"containerPort": "http"}]))),
        "port": bad(pod(container(ports=[{"containerPort": 70000}])), says="containerPort must be between 1 and 65535"),
        "volume": bad(
            pod(container(volumeMounts=[{"name": "v", "mountPath": "/v"}])), says="must be the name of a volume"
        ),
        "two-containers": bad(pod(container(), container()), says="another container has the name main"),
        "selector": bad(
            workload("Deployment", {"containers": [container()]})
            | {
                "spec": {"selector": {"matchLabels": {"app": "y"}}, "template": template({"containers": [container()]})}
            },
            says="spec.selector must match the labels",
        ),
        "limit": bad(
            pod(container(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "100M"}})),
            says="requests.memory must not be greater than limits.memory",
        ),
        "rule-of-a-custom-kind": good(_helm_release(chart=_CHART)),
        "neither-chart-nor-reference": bad(
            _helm_release(), says="spec breaks the rule (has(self.chart) && !has(self.chartRef)) ||"
        ),
        "rule-that-a-default-decides": bad(
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "GitRepository",
                "metadata": {"name": "g"},
                "spec": {"interval": "1m", "url": "https://example.com/x.git", "serviceAccountName": "a"},
            },
            says="spec breaks the rule !has(self.serviceAccountName)",
        ),
        "restart": bad(workload("Job", {"containers": [container()]}), says="restartPolicy must be Never or OnFailure"),
        "service": bad(named("Service", "s", spec={}), says="spec.ports must be set"),
        "schedule": bad(
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "c"},
                "spec": {
                    "schedule": "0 25 * * *",
                    "jobTemplate": {
                        "spec": {"template": template({"restartPolicy": "Never", "containers": [container()]})}
                    },
                },
            },
            says="spec.schedule must be a cron expression",
        ),
    },
}
