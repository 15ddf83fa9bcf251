"""Floe's charts and a real API server: it accepts what Helm renders; forbidden releases are refused with a reason."""

from __future__ import annotations

import base64
import gzip
import ipaddress
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from apiserver.client import ApiServer
from apiserver.test_overlays import all_clear
from floe import repo
from floe.charts.packaged import UPSTREAM
from floe.kubernetes.objects import Object as Manifest
from fuzz import inputs
from helm import Helm, values_of, written
from rendering import Values

CHART = "floe-runtime"
SECRETS = {
    "floe-catalog": ("FLOE_CATALOG_CLIENT_ID", "FLOE_CATALOG_CLIENT_SECRET"),
    "floe-cube": ("CUBEJS_API_SECRET", "CUBEJS_SQL_PASSWORD"),
    "floe-object-store": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "floe-postgres": ("postgresql-password",),
}


@pytest.fixture(scope="module")
def charts() -> Path:
    return repo.current().root / "charts"


@pytest.fixture(scope="module")
def against(helm: Helm, api_server: ApiServer) -> Helm:
    """Helm, connected to the server."""
    return replace(helm, env={"KUBECONFIG": str(api_server.kubeconfig)})


@contextmanager
def space(server: ApiServer, name: str, level: str = "restricted") -> Iterator[str]:
    """Create a namespace that enforces a level of Pod Security, and warns of violations, for the block."""
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    with server.holding([namespace]) as verdicts:
        all_clear("Namespace", verdicts)
        yield name


def make_secrets(server: ApiServer, namespace: str) -> None:
    for name, keys in SECRETS.items():
        metadata = {"name": name, "namespace": namespace}
        data = {key: secrets.token_urlsafe() for key in keys}
        all_clear(
            name, server.create([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}])
        )


def taken(server: ApiServer, rendered: list[Manifest], namespace: str) -> None:
    """Check that the server accepts every object in a strict dry run without warnings."""
    objects = [{**one.value, "metadata": {**one.value["metadata"], "namespace": namespace}} for one in rendered]
    for value, verdict in zip(objects, server.dry_run(objects, create_namespaces=False), strict=True):
        all_clear(Manifest("", 0, 0, value).label, [verdict])


def test_every_object_is_accepted(helm: Helm, api_server: ApiServer, charts: Path) -> None:
    """All environments are tested, with their hooks and with the changes of the post-renderer."""
    for environment in repo.current().environments():
        with space(api_server, f"helm-{environment}-{helm.major}") as name:
            options = [*values_of(charts, CHART, environment), *helm.hardened(charts)]
            taken(api_server, helm.template(charts / CHART, *options, release="floe", namespace=name), name)


@pytest.mark.parametrize(("chart", "level"), [("floe-dagster", "restricted"), ("floe-cube", "baseline")])
def test_pod_security_level_without_the_post_renderer(
    helm: Helm, api_server: ApiServer, charts: Path, chart: str, level: str
) -> None:
    """Without the post-renderer, the charts reach the level of Pod Security in docs/10-helm.md and no stricter one."""
    with space(api_server, f"plain-{chart}-{helm.major}", level) as name:
        rendered = helm.template(charts / chart, *values_of(charts, chart, "dev"), release="floe", namespace=name)
        taken(api_server, rendered, name)
    if level != "restricted":
        with (
            space(api_server, f"plain-{chart}-{helm.major}-strict") as name,
            pytest.raises(AssertionError, match="cube"),
        ):
            taken(api_server, rendered, name)


def test_life_cycle_of_a_release(against: Helm, api_server: ApiServer, charts: Path) -> None:
    """Only objects are tested, because nothing creates their pods here."""
    values = values_of(charts, CHART, "dev")
    with space(api_server, f"released-{against.major}") as name:
        place = ["--namespace", name]
        install = ["install", "floe", charts / CHART, *place, *values]

        missing = against.run(*install).stderr
        assert re.search(
            rf"the namespace {name} lacks Secrets that pods would wait for: floe-c\w+ \(key \w+\)", missing
        )
        assert "or set floe.checkSecrets=false" in missing
        make_secrets(api_server, name)
        assert "Next: helm test floe" in against(*install)

        with space(api_server, f"{name}-beside") as beside:  # a release in another namespace is allowed
            make_secrets(api_server, beside)
            against("install", "floe", charts / CHART, "--namespace", beside, *values)
            against("uninstall", "floe", "--namespace", beside)

        second = against.run("install", "another", charts / CHART, *place, *values).stderr
        assert (
            f"the namespace {name} has floe already, by the release floe: helm upgrade floe, or install another"
            in second
        )

        upgrade = ["upgrade", "floe", charts / CHART, *place, *values]
        resized = against.run(*upgrade, "--set", "floe-cube.cubestore.workers.persistence.size=9Gi").stderr
        assert "cubestore.workers.persistence.size is 9Gi, but the claims are of 5Gi" in resized
        assert "kubectl delete statefulset cubestore-workers --cascade=orphan" in resized

        half_finished(api_server, name)
        refused = against.run(*upgrade).stderr
        assert "another operation (install/upgrade/rollback) is in progress" in refused
        against("rollback", "floe", "1", *place)  # as docs/10-helm.md says
        against(*upgrade)
        against("uninstall", "floe", *place)
        left = api_server.kubectl("get", "deployments,statefulsets,configmaps,networkpolicies", *place, "--output=name")
        assert left.stdout.split() == []


def half_finished(server: ApiServer, namespace: str) -> None:
    """Put the release into the state after a killed upgrade: its second revision is pending."""
    listed = server.kubectl("get", "secrets", f"--namespace={namespace}", "--selector=owner=helm", "--output=json")
    (secret,) = json.loads(listed.stdout)["items"]
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    record["version"], record["info"]["status"] = 2, "pending-upgrade"
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(record).encode()))).decode()
    labels = secret["metadata"]["labels"] | {"version": "2", "status": "pending-upgrade"}
    metadata = {"name": "sh.helm.release.v1.floe.v2", "namespace": namespace, "labels": labels}
    pending = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secret["type"],
        "metadata": metadata,
        "data": {"release": packed},
    }
    all_clear("release", server.create([pending]))


def resolved(node: Any, definitions: Values) -> Any:
    """A schema with what its references name in their place."""
    if isinstance(node, list):
        return [resolved(part, definitions) for part in node]
    if not isinstance(node, dict):
        return node
    named = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
    return {key: resolved(part, definitions) for key, part in (named | node).items() if key != "$ref"}


def strategy(schema: Values) -> st.SearchStrategy[Any]:
    """Values that a schema accepts. Only the keywords that the schema of floe's values uses are supported."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "oneOf" in schema:
        return st.one_of([strategy(part) for part in schema["oneOf"]])
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "string":
            return _text(schema)
        case "array":
            return st.lists(
                strategy(schema["items"]),
                unique=schema.get("uniqueItems", False),
                min_size=schema.get("minItems", 0),
                max_size=4,
            )
    return _object(schema)


def _text(schema: Values) -> st.SearchStrategy[str]:
    if schema.get("format") == "cidr":
        pairs = st.tuples(st.ip_addresses(), st.integers(0, 32))
        return pairs.map(lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)))
    if "pattern" not in schema:
        return st.text(st.characters(exclude_categories=["C"]), max_size=20)  # YAML allows no control characters
    end = schema["pattern"].removesuffix("$") + r"\Z"  # Python's $ also matches before a line feed at the end
    texts = st.from_regex(re.compile(end, re.ASCII))
    return texts.filter(lambda text: len(text) <= schema["maxLength"]) if "maxLength" in schema else texts


def _object(schema: Values) -> st.SearchStrategy[Values]:
    named = {key: strategy(part) for key, part in schema.get("properties", {}).items()}
    if not schema.get("additionalProperties"):
        needed = {key: named.pop(key) for key in schema.get("required", ())}
        found = st.fixed_dictionaries(needed, optional=named)
        return found.filter(lambda value: len(value) >= schema.get("minProperties", 0))
    special = [re.compile(pattern) for pattern in schema.get("patternProperties", {})]
    keys = _text(schema["propertyNames"]).filter(lambda key: not any(one.search(key) for one in special))
    return st.dictionaries(keys, strategy(schema["additionalProperties"]), max_size=3)


@pytest.mark.parametrize("chart", UPSTREAM)
def test_the_server_accepts_all_values_that_the_schema_accepts(
    helm: Helm, api_server: ApiServer, charts: Path, tmp_path: Path, chart: str
) -> None:
    whole = json.loads((charts / chart / "values.schema.json").read_text())
    schema = resolved(whole["properties"]["floe"], whole["definitions"])
    artifacts = json.loads(repo.current().artifacts_file("dev").read_text())
    hardened = helm.hardened(charts)

    # Shrinking a failure would take minutes, because each example takes a second.
    @settings(
        max_examples=inputs(8),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_object(schema))
    def holds(floe: Values) -> None:
        floe["environment"] = floe.get("environment") or "dev"
        given_by_value = {"value": json.dumps(artifacts | {"environment": floe["environment"]})}
        if "compiledArtifacts" in schema["properties"]:  # the schema cannot check this JSON, but the template does
            floe["compiledArtifacts"] = floe.get("compiledArtifacts", {}) | given_by_value
        options = [*values_of(charts, chart, "dev"), "--values", written({"floe": floe}, tmp_path), *hardened]
        taken(api_server, helm.template(charts / chart, *options, release="floe", namespace=name), name)

    with space(api_server, f"any-{chart}-{helm.major}") as name:
        holds()
