"""Examples for policies on references between objects."""

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
    named,
    of,
    pod,
    workload,
)

NET, RBAC, FLUX = "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1", "helm.toolkit.fluxcd.io/v2"
PVC = "PersistentVolumeClaim"
VIEW = {"kind": "ClusterRole", "name": "view"}
BACKEND = {"service": {"name": "x", "port": {"number": 80}}}


def stateful_set(**claim: Any) -> Json:
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    return of("apps/v1", "StatefulSet", "s", spec={"replicas": 2, "volumeClaimTemplates": templates})


def keyed(key: str) -> Json:
    reference = {"configMapKeyRef": {"name": "x", "key": key}}
    return pod(container(env=[{"name": "A", "valueFrom": reference}]))


EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE013": {
        **{
            f"{kind} {what}": example
            for kind, what, spec in (
                ("ConfigMap", "volume", {"volumes": [{"name": "v", "configMap": {"name": "x"}}]}),
                ("Secret", "volume", {"volumes": [{"name": "v", "secret": {"secretName": "x"}}]}),
                (
                    "ConfigMap",
                    "projected",
                    {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "x"}}]}}]},
                ),
                (
                    "Secret",
                    "projected",
                    {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "x"}}]}}]},
                ),
                (
                    "Secret",
                    "csi",
                    {
                        "volumes": [
                            {
                                "name": "v",
                                "csi": {
                                    "driver": "d",
                                    "nodePublishSecretRef": {"name": "x"},
                                },
                            }
                        ]
                    },
                ),
                ("ConfigMap", "envFrom", {"containers": [container(envFrom=[{"configMapRef": {"name": "x"}}])]}),
                ("Secret", "envFrom", {"containers": [container(envFrom=[{"secretRef": {"name": "x"}}])]}),
                (
                    "Secret",
                    "secretKeyRef",
                    {
                        "containers": [
                            container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}])
                        ]
                    },
                ),
                (
                    "ConfigMap",
                    "configMapKeyRef",
                    {
                        "initContainers": [
                            container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "k"}}}])
                        ]
                    },
                ),
                ("Secret", "imagePullSecrets", {"imagePullSecrets": [{"name": "x"}]}),
                ("ServiceAccount", "serviceAccountName", {"serviceAccountName": "x"}),
                ("ServiceAccount", "serviceAccount", {"serviceAccount": "x"}),
            )
            for what, example in (
                (f"{what} dangling", bad(pod(**spec), says=f"refers to the {kind} x")),
                (f"{what} provided", good(pod(**spec), named(kind, "x", data={"k": "1"}))),
            )
        },
        **{
            f"optional {what}": good(pod(**spec))
            for what, spec in (
                (
                    "secretKeyRef",
                    {
                        "containers": [
                            container(
                                env=[
                                    {
                                        "name": "A",
                                        "valueFrom": {"secretKeyRef": {"name": "x", "key": "k", "optional": True}},
                                    }
                                ]
                            )
                        ]
                    },
                ),
                ("envFrom", {"containers": [container(envFrom=[{"secretRef": {"name": "x", "optional": True}}])]}),
                ("volume", {"volumes": [{"name": "v", "secret": {"secretName": "x", "optional": True}}]}),
            )
        },
        "declared": good(pod(imagePullSecrets=[{"name": "x"}]), secrets=("x",)),
        "of-every-namespace": good(
            pod(serviceAccountName="default", volumes=[{"name": "v", "configMap": {"name": "kube-root-ca.crt"}}])
        ),
        "names-nothing": good(pod(imagePullSecrets=[{}], serviceAccountName="")),
        "of-another-kind": bad(
            pod(serviceAccountName="x"), named("Secret", "x"), says="refers to the ServiceAccount x"
        ),
        "declared-is-no-ConfigMap": bad(
            pod(volumes=[{"name": "v", "configMap": {"name": "x"}}]), says="ConfigMap x", brought={"Secret": ("x",)}
        ),
        "once-an-object": bad(
            pod(
                container(name="a", envFrom=[{"secretRef": {"name": "x"}}]),
                container(name="b", envFrom=[{"secretRef": {"name": "x"}}]),
            ),
            says="Secret x",
        ),
        "CronJob": bad(
            workload("CronJob", {"serviceAccountName": "x", "containers": [container()]}), says="ServiceAccount x"
        ),
        "other-namespace": bad(
            named("ServiceAccount", "x", "b"),
            pod(serviceAccountName="x") | {"metadata": {"name": "p", "namespace": "a"}},
            says="ServiceAccount x",
        ),
        "namespace-not-said": good(
            named("ServiceAccount", "x"),
            pod(serviceAccountName="x") | {"metadata": {"name": "p", "namespace": "a"}},
        ),
        "same-namespace": good(
            named("ServiceAccount", "x", "a"),
            pod(serviceAccountName="x") | {"metadata": {"name": "p", "namespace": "a"}},
        ),
        "in-a-list": good(
            {"apiVersion": "v1", "kind": "List", "items": [named("ServiceAccount", "x"), pod(serviceAccountName="x")]}
        ),
        **{
            f"{what} {provider}": example
            for what, wanted, kind in (
                ("claim", pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]), PVC),
                ("class of a claim", named(PVC, "c", spec={"storageClassName": "x"}), "StorageClass"),
                ("class of a template", stateful_set(storageClassName="x"), "StorageClass"),
                (
                    "class of an ephemeral volume",
                    pod(
                        volumes=[
                            {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "x"}}}}
                        ]
                    ),
                    "StorageClass",
                ),
                ("serviceName", of("apps/v1", "StatefulSet", "s", spec={"serviceName": "x"}), "Service"),
                ("class of an Ingress", of(NET, "Ingress", "i", spec={"ingressClassName": "x"}), "IngressClass"),
                ("default backend", of(NET, "Ingress", "i", spec={"defaultBackend": BACKEND}), "Service"),
                (
                    "backend",
                    of(NET, "Ingress", "i", spec={"rules": [{"http": {"paths": [{"backend": BACKEND}]}}]}),
                    "Service",
                ),
                ("certificate", of(NET, "Ingress", "i", spec={"tls": [{"secretName": "x"}]}), "Secret"),
                (
                    "route",
                    of(
                        "gateway.networking.k8s.io/v1",
                        "HTTPRoute",
                        "r",
                        spec={"rules": [{"backendRefs": [{"name": "x"}]}]},
                    ),
                    "Service",
                ),
                ("role", of(RBAC, "RoleBinding", "b", roleRef={"kind": "Role", "name": "x"}), "Role"),
                (
                    "subject",
                    of(RBAC, "RoleBinding", "b", roleRef=VIEW, subjects=[{"kind": "ServiceAccount", "name": "x"}]),
                    "ServiceAccount",
                ),
                ("priority", pod(priorityClassName="x"), "PriorityClass"),
                (
                    "values",
                    of(FLUX, "HelmRelease", "r", spec={"valuesFrom": [{"kind": "Secret", "name": "x"}]}),
                    "Secret",
                ),
                ("run's variables", instance(RUN + "env_secrets: [x]\n"), "Secret"),
                ("run's password", instance(RUN + "postgres_password_secret: x\n"), "Secret"),
                ("run's volume", instance(RUN + "volumes: [{name: v, config_map: {name: x}}]\n"), "ConfigMap"),
                ("run's account", instance(RUN + "service_account_name: x\n"), "ServiceAccount"),
            )
            for provider, example in (
                ("dangling", bad(wanted, says=f"refers to the {kind} x")),
                ("provided", good(wanted, named(kind, "x"))),
                ("declared", good(wanted, brought={kind: ("x",)})),
            )
        },
        **{
            f"Secret by {made['kind']} of {made['apiVersion']}": good(pod(imagePullSecrets=[{"name": "x"}]), made)
            for made in (
                of("bitnami.com/v1alpha1", "SealedSecret"),
                of("bitnami.com/v1alpha1", "SealedSecret", "y", spec={"template": {"metadata": {"name": "x"}}}),
                of("external-secrets.io/v1", "ExternalSecret"),
                of("external-secrets.io/v1beta1", "ExternalSecret", "y", spec={"target": {"name": "x"}}),
                of("cert-manager.io/v1", "Certificate", "y", spec={"secretName": "x"}),
                of(
                    "secrets-store.csi.x-k8s.io/v1",
                    "SecretProviderClass",
                    "y",
                    spec={"secretObjects": [{"secretName": "x"}]},
                ),
            )
        },
        "of-another-operator": bad(
            pod(imagePullSecrets=[{"name": "x"}]), of("example.com/v1", "SealedSecret"), says="Secret x"
        ),
        "certificate-that-is-issued": good(
            of(NET, "Ingress", "i", spec={"tls": [{"secretName": "x"}]})
            | {"metadata": {"name": "i", "annotations": {"cert-manager.io/cluster-issuer": "le"}}}
        ),
        "claim-of-a-StatefulSet": good(
            stateful_set(), pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data-s-0"}}])
        ),
        "roles-of-Kubernetes": good(
            of(RBAC, "ClusterRoleBinding", "b", roleRef={"kind": "ClusterRole", "name": "system:auth-delegator"}),
            of(RBAC, "RoleBinding", "b", roleRef=VIEW),
        ),
        "subject-elsewhere": good(
            of(
                RBAC,
                "RoleBinding",
                "b",
                roleRef=VIEW,
                subjects=[
                    {"kind": "ServiceAccount", "name": "x", "namespace": "monitoring"},
                    {"kind": "User", "name": "u"},
                ],
            )
        ),
        "key": bad(keyed("b"), named("ConfigMap", "x", data={"a": "1"}), says="the ConfigMap x has no key b"),
        "key-there": good(keyed("a"), named("ConfigMap", "x", data={"a": "1"})),
        "key-of-an-unknown-ConfigMap": good(keyed("a"), brought={"ConfigMap": ("x",)}),
        "what-a-chart-makes-is-not-judged": good(
            pod(serviceAccountName="x"), of(FLUX, "HelmRelease", "r", spec={"chart": {}})
        ),
        "a-Secret-is-even-then": bad(
            pod(imagePullSecrets=[{"name": "x"}]), of(FLUX, "HelmRelease", "r", spec={"chart": {}}), says="Secret x"
        ),
    },
}
