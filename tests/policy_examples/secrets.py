"""Examples for policies on credentials. They are generated in each run, because scanners would report fixed ones."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable

from policy_examples.builders import (
    DIGEST,
    RUN,
    Example,
    Json,
    annotated,
    bad,
    config,
    container,
    environment,
    good,
    instance,
    named,
    of,
    pod,
    words,
    workload,
)

# Credentials are generated in each run, because scanners for secrets would report fixed ones.
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


SET = "is set to a plain value"
EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE011": {
        **{
            f"{what} in {place}": bad(
                put(make()), says=f"holds {what}".replace("holds a random", "holds what looks like a random")
            )
            for what, make in CREDENTIALS.items()
            for place, put in PLACES.items()
            if (what, place)
            != ("a random key", "ConfigMap-in-text")  # in a text, a random word is not recognised as a key
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
                "CUBEJS_DB_PASS",
                "PGPASS",
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
            says=("data.a is not encrypted", "stringData.b is not encrypted"),
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
        "values of a HelmRelease": bad(
            of(
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                "r",
                spec={"values": {"db": {"password": "hunter2"}, "env": [{"name": "API_TOKEN", "value": "hunter2"}]}},
            ),
            says=("spec.values.db.password", "spec.values.env[0].value"),
        ),
        "values of an Application": bad(
            of(
                "argoproj.io/v1alpha1",
                "Application",
                "a",
                spec={
                    "sources": [
                        {"helm": {"values": "db: {password: hunter2}\n"}},
                        {"helm": {"valuesObject": {"apiKey": "hunter2"}}},
                        {"helm": {"parameters": [{"name": "db.password", "value": "hunter2"}]}},
                    ]
                },
            ),
            says=(
                "sources[0].helm.values[0].db.password",
                "sources[1].helm.valuesObject.apiKey",
                "parameters.db.password",
            ),
        ),
        "values that name a Secret": good(
            of(
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                "r",
                spec={"values": {"passwordSecret": "floe", "password": "", "secret": {"name": "floe-db"}}},
            )
        ),
        "annotation of a Secret": bad(
            named("Secret", "s") | {"metadata": {"name": "s", "annotations": {"example.com/token": "hunter2"}}},
            says="annotation example.com/token",
        ),
        "SOPS": good(named("Secret", "s", stringData={"a": "ENC[AES256_GCM,data:x,type:str]"}, sops={"version": "3"})),
        "option-made-of-variables": good(words("--credential=REALM,$(ID),$(SECRET)", "--password=a-$(B)")),
        "run's variable": bad(
            instance(RUN + "  container_config: {env: [{name: DB_PASSWORD, value: hunter2}]}\n"),
            says="a run's container dagster: env DB_PASSWORD",
        ),
    },
}
