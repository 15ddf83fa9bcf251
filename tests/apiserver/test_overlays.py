"""A real API server accepts every object that overlays render, and Pod Security admits every pod."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.client import ApiServer, Verdict
from floe import render, repo, tools
from floe.kubernetes.objects import Object as Manifest
from floe.kubernetes.objects import mapping, objects
from floe.kubernetes.pods import made_by
from floe.yaml import documents

Object = dict[str, Any]

LOOKED_UP = ("PriorityClass", "RuntimeClass", "ServiceAccount", "LimitRange", "ResourceQuota")
"""Kinds that the server looks up when it admits pods, in the order in which they must be created."""
EXPLAINED: dict[str, str] = {}
"""Expected warnings: a pattern, and the reason."""

OVERLAYS = [repo.current().overlay(environment) for environment in repo.current().environments()]
FLUX = [folder / "flux" for folder in OVERLAYS if (folder / "flux").is_dir()]
in_each_overlay = pytest.mark.parametrize("folder", OVERLAYS, indirect=True, ids=repo.current().environments())


@pytest.fixture(scope="module", params=[*OVERLAYS, *FLUX], ids=lambda one: str(one.relative_to(repo.current().root)))
def folder(request: pytest.FixtureRequest) -> Path:
    """Each folder that kustomize builds: the overlays, and their variants for Flux."""
    path: Path = request.param
    return path


@pytest.fixture(scope="module")
def manifests(folder: Path) -> bytes:
    if folder in OVERLAYS:
        return render.render(repo.current(), folder.name)
    command = [str(tools.resolve("kustomize")), "build", str(folder)]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def stream(manifests: bytes) -> list[Object]:
    return [one.value for one in objects(documents(manifests, "overlay"), "overlay")]


@pytest.fixture(scope="module")
def server(defined: ApiServer, stream: list[Object]) -> Iterator[ApiServer]:
    """The server with the namespaces of the stream, all of which enforce `restricted`."""
    with defined.holding(restricted(one) for one in stream if one["kind"] == "Namespace") as verdicts:
        assert verdicts
        all_clear("Namespace", verdicts)
        yield defined


def test_every_object_is_accepted(server: ApiServer, stream: list[Object]) -> None:
    others = [one for one in stream if one["kind"] != "Namespace"]
    assert others
    for one, verdict in zip(others, server.dry_run(others, create_namespaces=False), strict=True):
        all_clear(Manifest("", 0, 0, one).label, [verdict])


def test_kubectl_applies_all_objects(server: ApiServer, stream: list[Object], manifests: bytes) -> None:
    done = server.apply_dry_run(manifests)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) == len(stream)
    assert not unexplained(done.stderr.decode().splitlines())


@in_each_overlay
def test_every_pod_is_admitted(server: ApiServer, stream: list[Object]) -> None:
    """Pods are created as controllers would create them, because Pod Security and quotas refuse only pods."""
    needed = [one for kind in LOOKED_UP for one in stream if one["kind"] == kind]
    pods = [pod for one in stream for pod in pods_of(one)]
    assert pods
    lax = {**pods[0], "spec": {**pods[0]["spec"], "hostNetwork": True}}
    with server.holding(needed) as verdicts:
        all_clear("what pods need", verdicts)
        (control,) = server.dry_run([lax], create_namespaces=False)
        with server.holding(pods) as verdicts:  # stored, because a quota counts existing pods
            for pod, verdict in zip(pods, verdicts, strict=True):
                all_clear(f"Pod {pod['metadata']['name']}", [verdict])
    assert 'violates PodSecurity "restricted' in control.message


def restricted(namespace: Object) -> Object:
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    metadata = namespace["metadata"]
    return {**namespace, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **modes}}}


def pods_of(one: Object) -> Iterator[Object]:
    """Yield the pods that the controller of a workload would create; nothing for other objects and Dagster's runs."""
    manifest = Manifest("", 0, 0, one)
    made = next(made_by([manifest]), None)
    if made is None or made.run:
        return
    spec = mapping(one.get("spec"))
    for number in range(spec.get("replicas", 1)):
        name = f"{manifest.name}-{number}"
        claims = [
            {"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{name}"}}
            for claim in (template["metadata"]["name"] for template in spec.get("volumeClaimTemplates") or ())
        ]
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": manifest.namespace},
            "spec": {**made.spec, "volumes": [*(made.spec.get("volumes") or ()), *claims]},
        }


def all_clear(what: str, verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        assert verdict.accepted, f"{what}: {verdict.message}"
        assert not unexplained(verdict.warnings), what


def unexplained(warnings: Iterable[str]) -> list[str]:
    return [one for one in warnings if not any(re.search(pattern, one) for pattern in EXPLAINED)]
