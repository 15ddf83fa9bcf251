"""The last word on what overlays print: a real API server takes every object, and Pod Security every pod."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.client import ApiServer, Verdict
from floe import crds, render, repo, tools, yamlio
from floe.validate.objects import Object as Manifest
from floe.validate.objects import objects

Object = dict[str, Any]

HELD = ("Namespace", "PriorityClass", "RuntimeClass", "ServiceAccount", "LimitRange")
"""Kinds that the server looks up when it admits others, in the order they are created in."""
EXPLAINED: dict[str, str] = {}
"""Warnings that are as they should be: what they match, and why."""


@pytest.fixture(scope="module", params=repo.environments())
def manifests(request: pytest.FixtureRequest) -> bytes:
    return render.render(request.param)


@pytest.fixture(scope="module")
def stream(manifests: bytes) -> list[Object]:
    return parsed(manifests)


@pytest.fixture(scope="module")
def namespaces(api_server: ApiServer, stream: list[Object]) -> Iterator[None]:
    """The overlay's namespaces, which enforce `restricted` whatever they ask for."""
    with api_server.holding([restricted(one) for one in stream if one["kind"] == "Namespace"]) as verdicts:
        assert verdicts
        refuse_none("Namespace", verdicts)
        yield


@pytest.mark.usefixtures("namespaces")
def test_every_object_is_accepted(api_server: ApiServer, stream: list[Object]) -> None:
    others = [one for one in stream if one["kind"] != "Namespace"]
    verdicts = api_server.dry_run(others, create_namespaces=False)
    assert len(verdicts) > 20
    for one, verdict in zip(others, verdicts, strict=True):
        refuse_none(Manifest("", 0, 0, one).label, [verdict])


@pytest.mark.usefixtures("namespaces")
def test_kubectl_applies_the_overlay(api_server: ApiServer, stream: list[Object], manifests: bytes) -> None:
    done = api_server.apply_dry_run(manifests)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) == len(stream)
    assert not unexplained(done.stderr.decode().splitlines())


@pytest.mark.usefixtures("namespaces")
def test_every_pod_is_admitted(api_server: ApiServer, stream: list[Object]) -> None:
    """As the server would see it from a controller: Pod Security refuses pods, and only warns of what makes them."""
    needed = [one for kind in HELD for one in stream if one["kind"] == kind != "Namespace"]
    pods = [pod for one in stream if (pod := pod_of(one))]
    with api_server.holding(needed) as verdicts:
        refuse_none("what pods need", verdicts)
        verdicts = api_server.dry_run(pods, create_namespaces=False)
        lax = {**pods[0], "spec": {**pods[0]["spec"], "hostNetwork": True}}
        (control,) = api_server.dry_run([lax], create_namespaces=False)
    assert len(pods) >= 7
    for pod, verdict in zip(pods, verdicts, strict=True):
        refuse_none(pod["metadata"]["name"], [verdict])
    assert 'violates PodSecurity "restricted' in control.message


@pytest.mark.parametrize("environment", [one for one in repo.environments() if (repo.overlay(one) / "flux").is_dir()])
def test_flux_takes_its_objects(api_server: ApiServer, environment: str) -> None:
    api_server.define(file for definitions in crds.CONTROLLERS[crds.FLUX] for file in definitions.files())
    command = [str(tools.resolve("kustomize")), "build", str(repo.overlay(environment) / "flux")]
    stream = parsed(subprocess.run(command, check=True, capture_output=True).stdout)
    assert [one for one in stream if one["kind"] == "HelmRelease"]
    for one, verdict in zip(stream, api_server.dry_run(stream), strict=True):
        refuse_none(Manifest("", 0, 0, one).label, [verdict])


def parsed(manifests: bytes) -> list[Object]:
    return [one.value for one in objects(yamlio.documents(manifests, "overlay"), "overlay")]


def restricted(namespace: Object) -> Object:
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    metadata = namespace["metadata"]
    return {**namespace, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **modes}}}


def pod_of(one: Object) -> Object | None:
    """The pod that a workload's controller would make; None for what makes none."""
    manifest = Manifest("", 0, 0, one)
    if not manifest.pod:
        return None
    name = f"{manifest.name}-0"
    claims = [
        {
            "name": claim["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": f"{claim['metadata']['name']}-{name}"},
        }
        for claim in one["spec"].get("volumeClaimTemplates", ())
    ]
    spec = {**manifest.pod, "volumes": [*manifest.pod.get("volumes", ()), *claims]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": manifest.namespace},
        "spec": spec,
    }


def refuse_none(what: str, verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        assert verdict.accepted, f"{what}: {verdict.message}"
        assert not unexplained(verdict.warnings), what


def unexplained(warnings: Iterator[str] | list[str] | tuple[str, ...]) -> list[str]:
    return [one for one in warnings if not any(re.search(pattern, one) for pattern in EXPLAINED)]
