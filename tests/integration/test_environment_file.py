"""environment.yaml reaches kustomize and floe's charts alike; any other edit of floe's objects is refused in words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from floe import repo
from floe.charts import packaging
from floe.charts.packaged import UPSTREAM
from floe.errors import FloeError
from forks import edit, floe
from rendering import Values

Change = Callable[[Values], object]


@pytest.fixture
def checkout(checkout: Path) -> Path:
    """With only two overlays, since each takes a second."""
    for name in ("demo", "staging"):
        shutil.rmtree(checkout / "overlays" / name)
    return checkout


def set_in(checkout: Path, environment: str, change: Change, without: str = "") -> None:
    """Change spec of an overlay's environment.yaml, and remove a component of base/ from the overlay's objects."""
    folder = checkout / "overlays" / environment / "objects"
    value = yaml.safe_load((folder / "environment.yaml").read_text())
    change(value["spec"])
    (folder / "environment.yaml").write_text(yaml.safe_dump(value))
    if without:
        edit(folder / "kustomization.yaml", f"  - ../../../base/{without}\n", "")


def patch(checkout: Path, environment: str, target: str, content: str) -> None:
    """Add a patch of objects (`Kind name`) to an overlay's objects/kustomization.yaml."""
    kind, name = target.split()
    file = checkout / "overlays" / environment / "objects" / "kustomization.yaml"
    value = yaml.safe_load(file.read_text())
    value.setdefault("patches", []).append({"target": {"kind": kind, "name": name}, "patch": content})
    file.write_text(yaml.safe_dump(value))


def values(checkout: Path, chart: str, environment: str) -> Values:
    file = checkout / "charts" / chart / f"values-{environment}.yaml"
    floe_values: Values = yaml.safe_load(file.read_text())["floe"]
    return floe_values


SYNCHRONISED: dict[str, tuple[str, Change, str]] = {
    "no quota": ("dev", lambda spec: spec.pop("quota"), "quota"),
    "another quota": ("dev", lambda spec: spec["quota"].update({"limits.cpu": "500m"}), ""),
    "no ports": ("dev", lambda spec: spec["egress"].update(cube={"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}), ""),
    "addresses": ("dev", lambda spec: spec["egress"]["cube"].update(to=[{"ipBlock": {"cidr": "10.0.0.0/8"}}]), ""),
    "a namespace": ("dev", lambda spec: spec["egress"]["dagster"].update(to=[{"namespaceSelector": {}}]), ""),
    "no TLS": ("prod", lambda spec: spec["login"].pop("tls"), "auth-proxy/tls"),
    "another Secret": (
        "prod",
        lambda spec: spec["login"].update(secret="login", emailDomains="a.example,b.example"),
        "",
    ),
}


@pytest.mark.parametrize("name", SYNCHRONISED)
def test_it_reaches_the_charts(checkout: Path, name: str) -> None:
    """`packaging.changes` itself compares what Helm renders with what kustomize renders."""
    environment, change, without = SYNCHRONISED[name]
    set_in(checkout, environment, change, without)
    before = [values(checkout, chart, environment) for chart in UPSTREAM]
    packaging.write(repo.current(), list(packaging.changes(repo.current())))
    assert [values(checkout, chart, environment) for chart in UPSTREAM] != before


def test_addresses_are_in_the_values(checkout: Path) -> None:
    set_in(checkout, "dev", lambda spec: spec["egress"]["cube"].update(to=[{"ipBlock": {"cidr": "10.0.0.0/8"}}]))
    assert floe(checkout, "charts", "sync", "--check").returncode == 1
    assert floe(checkout, "charts", "sync").returncode == 0
    assert values(checkout, "floe-cube", "dev")["egress"]["cube"]["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


MISTAKEN: dict[str, tuple[Change, str]] = {
    "no quota": (lambda spec: spec.update(quota={}), r"spec\.quota: must not be empty; leave it out"),
    "a number": (lambda spec: spec["quota"].update(pods=3), r"spec\.quota\.pods: must be text"),
    "a fraction": (
        lambda spec: spec["quota"].update({"requests.cpu": "1.5"}),
        r"requests\.cpu: must be a quantity in quotes",
    ),
    "a size of pods": (lambda spec: spec["quota"].update(pods="3Gi"), "pods must be a whole number in quotes"),
    "an unknown resource": (lambda spec: spec["quota"].update(pod="3"), r"spec\.quota\.pod: must be 'requests\.cpu'"),
    "everything": (lambda spec: spec["egress"].update(cube={}), "a rule without either allows everything"),
    "every port": (
        lambda spec: spec["egress"]["cube"].update(ports=[]),
        r"spec\.egress\.cube\.ports: must not be empty",
    ),
    "no destination": (lambda spec: spec["egress"]["cube"].update(to=[{}]), "must have either ipBlock, or"),
    "an address": (
        lambda spec: spec["egress"]["cube"].update(to=[{"ipBlock": {"cidr": "10.0.0.1/8"}}]),
        r"to\.0\.ipBlock\.cidr: must be a range of addresses",
    ),
    "no class": (lambda spec: spec["login"].pop("ingressClassName"), r"spec\.login\.ingressClassName: must be set"),
    "a misspelt key": (lambda spec: spec.update(egres={}), r"spec\.egres: there is no such field"),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_mistake_is_named_with_its_field(checkout: Path, name: str) -> None:
    change, words = MISTAKEN[name]
    set_in(checkout, "prod", change)
    with pytest.raises(FloeError) as caught:
        list(packaging.changes(repo.current()))
    assert "overlays/prod/objects/environment.yaml" in caught.value.message
    assert re.search(words, caught.value.message), caught.value.message


REFUSED: dict[str, tuple[str, str, str, str]] = {
    "the quota removed": ("dev", "ResourceQuota floe", "$patch: delete", "ResourceQuota floe: only Helm has it"),
    "egress without ports": (
        "dev",
        "NetworkPolicy cube",
        "- {op: remove, path: /spec/egress/1/ports}",
        r"NetworkPolicy cube: spec\.egress\[1\]\.ports differs",
    ),
    "addresses": (
        "dev",
        "NetworkPolicy cube",
        "- {op: add, path: /spec/egress/1/to, value: [{ipBlock: {cidr: 10.0.0.0/8}}]}",
        r"NetworkPolicy cube: spec\.egress\[1\]\.to differs",
    ),
    "an Ingress without TLS": (
        "prod",
        "Ingress dagster",
        "- {op: remove, path: /spec/tls}",
        r"Ingress dagster: spec\.tls differs",
    ),
    "a hook": (
        "dev",
        "NetworkPolicy dns",
        "- {op: add, path: /metadata/annotations, value: {helm.sh/hook: test}}",
        r"NetworkPolicy dns has the annotation helm\.sh/hook",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_patch_of_an_object_of_floe_is_refused(checkout: Path, name: str) -> None:
    """Unless nobody installs the environment with Helm."""
    environment, target, content, words = REFUSED[name]
    if content.startswith("$"):
        kind, other = target.split()
        content = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {other}}}\n{content}\n"
    patch(checkout, environment, target, content)
    with pytest.raises(FloeError) as caught:
        list(packaging.changes(repo.current()))
    assert f"overlays/{environment}" in caught.value.message
    assert re.search(words, caught.value.message), caught.value.message
    assert "set spec.helm: false" in caught.value.hint
    set_in(checkout, environment, lambda spec: spec.update(helm=False))
    packaging.write(repo.current(), list(packaging.changes(repo.current())))
    assert not list((checkout / "charts").rglob(f"values-{environment}.yaml"))


def test_a_patch_by_path_is_refused_in_words(checkout: Path) -> None:
    objects = checkout / "overlays" / "dev" / "objects"
    (objects / "dns.yaml").write_text(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: dns, labels: {a: b}}\n"
    )
    file = objects / "kustomization.yaml"
    file.write_text(f"{file.read_text()}patches:\n  - path: dns.yaml\n")
    done = floe(checkout, "charts", "sync", "--check")
    assert done.returncode == 2
    assert b"overlays/dev:\n  NetworkPolicy dns: metadata.labels differs\n  next: Set it in overlays/dev" in done.stderr


def test_settings_of_oauth2_proxy_and_objects_of_a_persons_own_come_along(checkout: Path) -> None:
    objects = checkout / "overlays" / "prod" / "objects"
    patch(checkout, "prod", "ConfigMap auth-proxy", "- {op: add, path: /data/OAUTH2_PROXY_ALLOWED_GROUPS, value: team}")
    (objects / "mine.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: auth-proxy-production, namespace: elsewhere}\ndata: {a: b}\n"
    )
    edit(objects / "kustomization.yaml", "resources:\n", "resources:\n- mine.yaml\n")
    packaging.write(repo.current(), list(packaging.changes(repo.current())))
    settings = values(checkout, "floe-dagster", "prod")["authProxy"]["settings"]
    assert settings["OAUTH2_PROXY_ALLOWED_GROUPS"] == "team"
    carried = checkout / "charts/floe-dagster/objects/prod/configmap-auth-proxy-production.yaml"
    assert "namespace" not in yaml.safe_load(carried.read_text())["metadata"]


BESIDE: dict[str, tuple[str, str, str, str]] = {
    "a patch of what a chart renders": (
        "kustomization.yaml",
        "generators:\n",
        "patches:\n  - target: {kind: Deployment}\n    patch: '[]'\ngenerators:\n",
        r"overlays/dev/kustomization\.yaml sets what floe's charts cannot have: patches",
    ),
    "the name of a release": (
        "values/cube.yaml",
        "valuesInline:\n",
        "releaseName: cubes\nvaluesInline:\n",
        "chart cube.* sets what floe's charts cannot have: releaseName",
    ),
    "the namespace of a chart": (
        "values/kustomization.yaml",
        "value: floe-dev\n",
        "value: floe\n",
        "sets what floe's charts cannot have: namespace",
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_a_release_cannot_have_is_refused(checkout: Path, name: str) -> None:
    file, old, new, words = BESIDE[name]
    edit(checkout / "overlays" / "dev" / file, old, new)
    with pytest.raises(FloeError, match=words):
        list(packaging.changes(repo.current()))


def test_without_an_environment_for_helm_there_is_nothing_to_write(checkout: Path) -> None:
    for folder in (checkout / "overlays").iterdir():
        set_in(checkout, folder.name, lambda spec: spec.update(helm=False))
    with pytest.raises(FloeError, match=r"every overlay sets spec\.helm: false"):
        list(packaging.changes(repo.current()))
