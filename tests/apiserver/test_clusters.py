"""A real API server with the controllers' CustomResourceDefinitions accepts everything in clusters/.

The kinds of Flux's notification-controller are left out, because their definitions are not available.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from apiserver.client import ApiServer
from apiserver.test_overlays import all_clear, unexplained
from floe import repo, tools
from floe.kubernetes.objects import objects
from floe.promote.cluster import Cluster, Live
from floe.yaml import documents
from forks import FLOE, floe, keep_encrypted, sops
from rendering import ROOT

Object = dict[str, Any]

FOLDERS = sorted(
    file.parent
    for file in (ROOT / "clusters").glob("*/*/kustomization.yaml")
    if file.parts[-3] != "base" and file.parts[-2] != "environment"
)
SYSTEM = ("flux-system", "argocd")


def build(folder: Path) -> bytes:
    return subprocess.run([tools.resolve("kustomize"), "build", folder], check=True, capture_output=True).stdout


def parse(stream: bytes) -> list[Object]:
    return [one.value for one in objects(documents(stream, "x"), "x")]


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


@pytest.fixture(scope="module")
def server(defined: ApiServer) -> Iterator[ApiServer]:
    """The server with the namespaces that an installation of the controllers creates."""
    with defined.holding(map(namespace, SYSTEM)):
        yield defined


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_object_is_accepted(server: ApiServer, folder: Path) -> None:
    stream = build(folder)
    objects = parse(stream)
    for one, verdict in zip(objects, server.dry_run(objects, create_namespaces=False), strict=True):
        all_clear(f"{one['kind']} {one['metadata']['name']}", [verdict])
    done = server.apply_dry_run(stream)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) == len(objects)
    assert not unexplained(done.stderr.decode().splitlines())


def test_an_encrypted_secret_is_decrypted_and_applied(
    server: ApiServer, fork: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test does what kustomize-controller does: build, decrypt, apply."""
    key = tmp_path / "dev.agekey"
    assert floe(fork, "secrets", "init", "dev", "--key", str(key)).returncode == 0
    value = secrets.token_urlsafe()
    folder = fork / "overlays" / "dev" / "secrets"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "floe-postgres", "namespace": "floe-dev"},
        "stringData": {"postgresql-password": value},
    }
    keep_encrypted(fork, "dev", secret)
    built = {one["kind"]: one for one in parse(build(folder))}
    with server.holding([built["Namespace"]]) as verdicts:
        all_clear("Namespace", verdicts)
        (refused,) = server.dry_run([built["Secret"]], create_namespaces=False)
        assert not refused.accepted  # an encrypted Secret is not a valid one
        monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(key))
        decrypted = sops("decrypt", "--input-type=json", "--output-type=json", given=built["Secret"], folder=fork)
        with server.holding([json.loads(decrypted)]) as applied:
            all_clear("Secret", applied)
            stored = server.kubectl("get", "secret", "floe-postgres", "--namespace=floe-dev", "--output=json")
            data = json.loads(stored.stdout)["data"]
            assert base64.b64decode(data["postgresql-password"]).decode() == value


@contextmanager
def reported(server: ApiServer, folder: str, status: dict[str, Object]) -> Iterator[None]:
    """Create the objects of a bootstrap, and set the status that controllers would report, by name of the object."""
    objects = parse(build(ROOT / folder))
    with server.holding(objects) as verdicts:
        all_clear(folder, verdicts)
        for one in objects:
            if (name := one["metadata"]["name"]) in status and one["kind"] in ("Kustomization", "Application"):
                patch = json.dumps({"status": status[name]})
                kind, place = one["kind"], f"--namespace={one['metadata']['namespace']}"
                group = one["apiVersion"].partition("/")[0]
                options = ["--type=merge", f"--patch={patch}"]
                options += ["--subresource=status"] if kind == "Kustomization" else []
                done = server.kubectl("patch", f"{kind}.{group}", name, place, *options)
                assert done.returncode == 0, done.stderr.decode()
        yield


def ready(status: str, reason: str, message: str) -> Object:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return {"conditions": [{**condition, "lastTransitionTime": "2027-01-01T00:00:00Z"}]}


def look(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Live]:
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
    return Cluster().look(repo.current(), repo.current().environments())


def test_status_reports_the_conditions_of_flux(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = "HelmRelease/floe-dev/dagster: context deadline exceeded"
    status = {
        "floe-dev": {**ready("False", "HealthCheckFailed", failed), "lastAppliedRevision": "main@sha1:abc"},
        "floe-cluster-dev": ready("True", "ReconciliationSucceeded", "Applied revision: main@sha1:abc"),
    }
    with reported(server, "clusters/dev/flux", status):
        live = look(server, monkeypatch)
        lines = {one.object: one for one in live["dev"].lines}
        broken = lines["Kustomization flux-system/floe-dev"]
        assert (broken.ok, broken.message) == (False, f"main@sha1:abc HealthCheckFailed: {failed}")
        assert lines["Kustomization flux-system/floe-cluster-dev"].ok is True
        assert lines["GitRepository flux-system/floe-dev"].ok is None
        assert not live["dev"].ok
        assert live["staging"].lines == ()
        env = os.environ | {"KUBECONFIG": str(server.kubeconfig)}
        done = subprocess.run([FLOE, "status", "--cluster"], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert failed in done.stdout
        assert "not in this cluster" in done.stdout


def test_status_reports_sync_and_health_of_argocd(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    status = {
        "floe-cluster": {
            "sync": {"status": "OutOfSync", "revision": "0123456789abcdef"},
            "health": {"status": "Healthy"},
            "operationState": {
                "operation": {},
                "phase": "Failed",
                "startedAt": "2027-01-01T00:00:00Z",
                "message": "one or more objects failed to apply",
            },
        }
    }
    with reported(server, "clusters/prod/argocd", status):
        live = look(server, monkeypatch)
        (application,) = live["prod"].lines
        assert application.ok is False
        assert application.message == "OutOfSync, Healthy 0123456789ab one or more objects failed to apply"


def test_status_reports_versions_and_pods_that_do_not_start(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"app": "cube"}
    container = {"name": "cube", "image": "ghcr.io/floe-runtime/floe-cube:0.0.9"}
    metadata = {"name": "cube-api", "namespace": "floe-dev"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | {"name": "cube-api-1"}, "spec": template["spec"]}
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    started = {
        "name": "cube",
        "ready": False,
        "restartCount": 0,
        "image": "x",
        "imageID": "",
        "state": {"waiting": waiting},
    }
    with server.holding([namespace("floe-dev"), deployment, pod]) as verdicts:
        all_clear("workload", verdicts)
        for kind, name, status in (
            ("deployment", "cube-api", {"replicas": 2, "readyReplicas": 1, "updatedReplicas": 1}),
            ("pod", "cube-api-1", {"containerStatuses": [started]}),
        ):
            patch = f"--patch={json.dumps({'status': status})}"
            options = ["--namespace=floe-dev", "--subresource=status", "--type=merge", patch]
            done = server.kubectl("patch", kind, name, *options)
            assert done.returncode == 0, done.stderr.decode()
        live = look(server, monkeypatch)["dev"]
        workload, stuck = live.lines
        assert workload.message == "1 of 2 ready, 1 updated; runs 0.0.9, but the overlay pins 0.1.0"
        assert (stuck.ok, stuck.message) == (False, "ImagePullBackOff: Back-off pulling image")
