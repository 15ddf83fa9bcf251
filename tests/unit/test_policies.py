"""Each policy finds what it is for and nothing else: a table with examples of both for every one of them."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from floe.kubernetes import releases
from floe.validate import policies
from floe.validate.findings import Finding
from floe.validate.objects import Stream, objects
from floe.validate.run import validate
from floe.validate.schema import Schemas
from floe.yamlio import Document

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
RESOURCES = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}
Json = dict[str, Any]


def container(**fields: Any) -> Json:
    return {"name": "main", "image": "registry.example.com/app:1.2.3", "resources": RESOURCES} | fields


def pod(*containers: Json, **fields: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": list(containers) or [container()], **fields},
    }


def template(spec: Json) -> Json:
    return {"metadata": {"labels": {"app": "x"}}, "spec": spec}


def workload(kind: str, spec: Json) -> Json:
    """A pod's spec inside each kind that makes pods."""
    group = "v1" if kind in ("PodTemplate", "ReplicationController") else "batch/v1" if "Job" in kind else "apps/v1"
    head = {"apiVersion": group, "kind": kind, "metadata": {"name": "w"}}
    selector = {"matchLabels": {"app": "x"}}
    if kind == "PodTemplate":
        return {**head, "template": template(spec)}
    if kind == "CronJob":
        return {**head, "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": template(spec)}}}}
    extra: Json = {"Job": {}, "ReplicationController": {"selector": {"app": "x"}}}.get(kind, {"selector": selector})
    return {**head, "spec": {**extra, "template": template(spec)}}


def named(kind: str, name: str, namespace: str = "", **fields: Any) -> Json:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def environment(name: str, value: str) -> Json:
    return pod(container(env=[{"name": name, "value": value}]))


def config(key: str, value: str) -> Json:
    return named("ConfigMap", "c", data={key: value})


def words(*args: str) -> Json:
    return pod(container(args=list(args)))


def annotated(key: str, value: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "annotations": {key: value}}}


def check(*documents: Json, secrets: frozenset[str] = frozenset()) -> list[Finding]:
    found = objects((Document(number, 1, value) for number, value in enumerate(documents, 1)), "test")
    return policies.check(Stream(list(found), None, secrets), SCHEMAS)


SCHEMAS = Schemas()

# Credentials are made anew in each run: a fixed one would be found by every scanner but the one under test.
_random = random.Random()


def made_up(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_random.choices(alphabet, k=length))


def _jwt() -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": made_up(12)})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.{made_up(43)}"


CREDENTIALS: dict[str, Callable[[], str]] = {
    "an AWS access key id": lambda: "AKIA" + made_up(16, string.ascii_uppercase + string.digits),
    "a JSON web token": _jwt,
    "a URL with a password": lambda: f"postgresql+psycopg://dagster:{made_up(12)}@db.example.com:5432/dagster",
    "a private key": lambda: "-----{} RSA PRIVATE KEY-----\n".format("BEGIN") + made_up(64),
    "a GitHub token": lambda: "ghp_" + made_up(36),
    "a random key": lambda: "aA1" + "".join(_random.sample(string.ascii_letters + string.digits, 37)),
}
PLACES: dict[str, Callable[[str], Json]] = {
    "ConfigMap": lambda value: config("settings", value),
    "ConfigMap-in-text": lambda value: config("app.ini", f"[main]\nurl = {value}\n"),
    "env": lambda value: environment("SETTING", value),
    "init-env": lambda value: pod(initContainers=[container(env=[{"name": "SETTING", "value": value}])]),
    "args": lambda value: words("serve", value),
    "command": lambda value: pod(container(command=["serve", value])),
    "annotation": lambda value: annotated("example.com/note", value),
    "CronJob": lambda value: workload(
        "CronJob", {"restartPolicy": "Never", "containers": [container(env=[{"name": "S", "value": value}])]}
    ),
}


@dataclass(frozen=True)
class Example:
    """A stream, and the words of each finding that the policy must have: none where it keeps the rule."""

    documents: tuple[Json, ...]
    says: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()


def bad(*documents: Json, says: str | tuple[str, ...]) -> Example:
    return Example(documents, (says,) if isinstance(says, str) else says)


def good(*documents: Json, secrets: tuple[str, ...] = ()) -> Example:
    return Example(documents, secrets=frozenset(secrets))


SET = "is set to a plain value"
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
    "FLOE010": {
        **{
            f"fixed {image}": good(pod(container(image=image)))
            for image in (
                "app:1.2.3",
                "app:v1.2",
                "docker.io/library/postgres:14.6",
                "host:5000/team/app:1.2.3-slim",
                f"app@{DIGEST}",
                f"host:5000/app:latest@{DIGEST}",
                "app:3f2c1ab",
                "app:build-20260102",
                "app:main-3f2c1ab9",
            )
        },
        **{
            f"no tag {image}": bad(pod(container(image=image)), says=f"the image {image} has no tag")
            for image in ("app", "docker.io/library/app", "host:5000/x", "localhost:5000/team/x")
        },
        **{
            f"moving {tag}": bad(pod(container(image=f"host:5000/app:{tag}")), says=f"moves with its tag {tag}")
            for tag in ("latest", "main", "LATEST", "stable", "1", "v2", "3-slim", "latest-arm64", "edge")
        },
        "init": bad(pod(initContainers=[container(name="wait", image="busybox")]), says="container wait"),
        "none": bad(pod({"name": "main", "resources": RESOURCES}), says="no image"),
        "no-reference": bad(
            pod(container(image="https://user:pw@example.com/x")), says="image is no reference of an image"
        ),
        "short-digest": bad(pod(container(image="app@sha256:abc")), says="image is no reference"),
        "number-is-for-the-schema": bad(pod(container(image=5)), says="no image"),
        **{
            f"in a {kind}": bad(workload(kind, {"containers": [container(image="app")]}), says="has no tag")
            for kind in (
                "Deployment",
                "StatefulSet",
                "DaemonSet",
                "ReplicaSet",
                "Job",
                "CronJob",
                "PodTemplate",
                "ReplicationController",
            )
        },
    },
    "FLOE011": {
        **{
            f"{what} in {place}": bad(
                put(make()), says=f"holds {what}".replace("holds a random", "holds what looks like a random")
            )
            for what, make in CREDENTIALS.items()
            for place, put in PLACES.items()
            if (what, place) != ("a random key", "ConfigMap-in-text")  # a word of a text is no key by its form alone
        },
        **{
            f"env {name}": bad(environment(name, "hunter2"), says=f"env {name} {SET}")
            for name in (
                "PASSWORD",
                "DB_PASSWORD",
                "PGPASSWORD",
                "API_KEY",
                "GITHUB_TOKEN",
                "CUBEJS_API_SECRET",
                "SECRET",
                "AWS_SECRET_ACCESS_KEY",
                "MYSQL_PWD",
                "clientSecret",
                "dbPassword",
                "accessToken",
            )
        },
        "data": bad(config("password", "hunter2"), says=f"data.password {SET}"),
        "annotation": bad(annotated("example.com/api-key", "hunter2"), says=f"annotation example.com/api-key {SET}"),
        "option": bad(words("--password=hunter2"), says="args sets password"),
        "option-and-word": bad(words("--user", "me", "--password", "hunter2"), says=f"args --password {SET}"),
        "script": bad(words("-c", "export PGPASSWORD='hunter2'; psql"), says="sets PGPASSWORD"),
        "connection": bad(words("host=db user=me password=hunter2"), says="sets password"),
        "yaml-in-text": bad(config("a.yaml", "db:\n  password: hunter2\n"), says="sets password"),
        "json-in-text": bad(config("a.json", '{"db": {"client_secret":"hunter2"}}'), says="sets client_secret"),
        "properties-in-text": bad(config("a.properties", "db.password = hunter2\n"), says="sets db.password"),
        "two-in-text": bad(config("a.ini", "password=a1\ntoken=b2\n"), says=("sets password", "sets token")),
        "Secret": bad(
            named("Secret", "s", data={"a": "eA=="}, stringData={"b": "x"}),
            says=("data.a is readable", "stringData.b is readable"),
        ),
        "empty-Secret": good(named("Secret", "s")),
        "custom-kind-called-Secret": good(
            {"apiVersion": "example.com/v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "b"}}
        ),
        "valueFrom": good(
            pod(
                container(
                    env=[{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
                )
            )
        ),
        **{
            f"env {name}={value}": good(environment(name, value))
            for name, value in (
                ("PASSWORD", "$(DB_PASSWORD)"),
                ("PASSWORD", "${DB_PASSWORD}"),
                ("PASSWORD", ""),
                ("TOKEN", "<token>"),
                ("URL", "postgresql://$(USER):$(PASSWORD)@db/x"),
                ("URL", "postgresql://u:${PASSWORD}@db/x"),
                ("URL", "http://host:8080/a@b"),
                ("FLOE_SECRET_NAME", "floe-postgres"),
                ("PG_PASSWORD_SECRET", "floe-postgres"),
                ("TOKEN_URI", "https://idp/token"),
                ("TOKEN", "/var/run/secrets/token"),
                ("USE_TOKEN", "true"),
                ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp/key.json"),
                ("MONKEY", "x"),
                ("PUBLIC_KEY", "x"),
                ("MAX_TOKENS", "512"),
                ("CLASS", "ConfigurationManagementService2WithLongCamelNames"),
            )
        },
        **{
            f"data {key}": good(config(key, value))
            for key, value in (
                ("existingSecret", "floe-postgres"),
                ("existingSecret", "name"),
                ("imagePullSecret", "registry"),
                ("tokenUri", "https://idp/token"),
                ("secret", "floe-trino"),
                ("secretName", "hunter2"),
                ("platform.json", '{"password": {"env": "PW", "secret": "floe-trino", "key": "pw"}}'),
                ("dagster.yaml", "password:\n  env: DAGSTER_PG_PASSWORD\npostgres_password_secret: floe-postgres\n"),
                ("dagster2.yaml", "password: ${PW}\ntoken: '{{ token }}'\n"),
                ("readme", "Token: see the manual, password: ask the operator.\n"),
                ("app.py", "def login(token: str) -> None:\n    password = os.environ['PASSWORD']\n"),
                ("query.sql", "select token from t where token = :token"),
                ("values", "automountServiceAccountToken: false"),
            )
        },
        "args": good(
            words(
                "--token-file=/x",
                "--token-file",
                "/x",
                "--password=$(PW)",
                "--password",
                "$(PW)",
                "--token",
                "--verbose",
            )
        ),
        "annotation-checksum": good(annotated("checksum/config", DIGEST.removeprefix("sha256:"))),
        "name-of-a-known-Secret": good(environment("API_TOKEN", "known"), secrets=("known",)),
        "name-of-a-Secret-of-the-stream": good(environment("API_TOKEN", "known"), named("Secret", "known")),
    },
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
                                    "nodePublishSecretRef": {"name": "y"},
                                    "secretRef": {"name": "x"},
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
                (f"{what} provided", good(pod(**spec), named(kind, "x"))),
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
        "declared-is-no-ConfigMap": Example(
            (pod(volumes=[{"name": "v", "configMap": {"name": "x"}}]),), ("ConfigMap x",), frozenset({"x"})
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
    },
    "FLOE020": {
        "real": good(annotated("example.com/chart", "cube")),
        "stand-in": bad(
            annotated(policies.STAND_IN, "cube"),
            annotated(policies.STAND_IN, "cube"),
            annotated(policies.STAND_IN, "dagster"),
            says=("chart cube", "chart dagster"),
        ),
    },
}


CASES = [(code, name) for code, examples in EXAMPLES.items() for name in examples]


@pytest.mark.parametrize(("code", "name"), CASES, ids=[f"{code} {name}" for code, name in CASES])
def test_example(code: str, name: str) -> None:
    example = EXAMPLES[code][name]
    found = [finding for finding in check(*example.documents, secrets=example.secrets) if finding.code == code]
    assert len(found) == len(example.says), [finding.message for finding in found]
    for finding, said in zip(found, example.says, strict=True):
        assert said in finding.message


@pytest.mark.parametrize("policy", policies.POLICIES, ids=lambda policy: policy.code)
def test_every_policy_has_examples_of_both(policy: policies.Policy) -> None:
    found = EXAMPLES.get(policy.code, {}).values()
    assert {bool(example.says) for example in found} == {True, False}


def test_codes_are_unique_and_every_policy_helps() -> None:
    assert len({policy.code for policy in policies.POLICIES}) == len(policies.POLICIES)
    assert all(policy.why and policy.remedy and policy.title for policy in policies.POLICIES)
    assert set(EXAMPLES) == {policy.code for policy in policies.POLICIES}


@pytest.mark.parametrize("what", CREDENTIALS)
def test_no_finding_shows_a_credential(what: str) -> None:
    secret = CREDENTIALS[what]()
    wrong = pod(
        {"name": secret.splitlines()[0][:5], "image": f"https://u:{secret}@h", "args": [secret], "ports": secret}
    )
    findings = check(
        wrong, config("password", secret), annotated("token", secret), named("Secret", "s", data={"a": secret})
    )
    assert len(findings) >= 5
    assert not any(secret in repr(finding) for finding in findings)


def test_one_mistake_is_one_finding() -> None:
    assert [finding.code for finding in check({"spec": {}})] == ["FLOE002"]
    assert [finding.code for finding in check(named("Pods", "p"))] == ["FLOE002"]
    assert [finding.code for finding in check(environment("PASSWORD", CREDENTIALS["a JSON web token"]()))] == [
        "FLOE011"
    ]


def test_findings_say_where() -> None:
    text = (
        b"# comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\n---\n---\n\nkind: Pod\n"
    )
    report = validate(text, "some.yaml", SCHEMAS)
    assert report.objects == 2
    (finding,) = report.findings
    assert (finding.source, finding.document, finding.line, finding.object) == ("some.yaml", 3, 9, "Pod (no name)")


def test_findings_carry_no_control_characters() -> None:
    (finding,) = check(named("ConfigMap", "a\x1b[31m\nb", data={"\x1b]0;x\x07": 1}))
    assert finding.object.isprintable()
    assert finding.message.isprintable()


def test_secrets_of_the_environment_are_taken_from_its_platform_file() -> None:
    manifest = pod(imagePullSecrets=[{"name": "floe-postgres"}])
    manifest["metadata"]["annotations"] = {"floe-runtime.io/environment": "prod"}
    assert not validate(json.dumps(manifest).encode(), "x", SCHEMAS).findings
    manifest["metadata"]["annotations"] = {"floe-runtime.io/environment": "elsewhere"}
    stamped_elsewhere = json.dumps(manifest).encode()
    assert [finding.code for finding in validate(stamped_elsewhere, "x", SCHEMAS).findings] == ["FLOE013"]
    assert not validate(stamped_elsewhere, "x", SCHEMAS, "prod").findings


def test_stamps_that_disagree_say_nothing() -> None:
    stamped = [annotated("floe-runtime.io/environment", name) for name in ("prod", "dev")]
    content = "\n---\n".join(map(json.dumps, stamped)).encode()
    assert validate(content, "x", SCHEMAS).environment is None
    assert validate(json.dumps(stamped[0]).encode(), "x", SCHEMAS).environment == "prod"


@pytest.mark.parametrize("release", [releases()[0], releases()[-1]])
def test_every_release_has_usable_schemas(release: str) -> None:
    assert not validate(json.dumps(pod()).encode(), "x", Schemas(release)).findings
