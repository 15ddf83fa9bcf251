"""Argo CD's own controllers, bootstrapped from clusters/dev/argocd, follow a fork of this repository.

The tests depend on each other and must run in this order: each starts from the state that the one before leaves.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from cluster.deployed import READY_SECONDS
from gitops.controllers import ARGOCD, start_argocd
from gitops.following import ABSENT, NEXT, Following, secret
from images.build import TAG
from timings import note

CUBE = "app.kubernetes.io/name=cube"
BOOTSTRAP = ("--server-side", "--force-conflicts")
OBJECTS = "overlays/dev/objects/kustomization.yaml"


@pytest.fixture(scope="module")
def argocd(cluster: Following, tmp_path_factory: pytest.TempPathFactory) -> Following:
    """The cluster after the bootstrap, with dev Synced and Healthy. Its Secrets are created by hand."""
    folder: Path = tmp_path_factory.mktemp("argocd")
    settings = cluster.fork.folder / "clusters/base/argocd/configmap-argocd-cm.yaml"
    start_argocd(cluster.node, cluster.kubectl, cluster.running, folder, settings)
    cluster.kubectl("create", "namespace", cluster.dev.namespace)
    secrets = cluster.dev.secrets.items()
    cluster.kubectl.apply(*(secret(name, cluster.dev.namespace, content) for name, content in secrets))
    for name in ("demo", "staging"):  # the node has no room for them
        shutil.rmtree(cluster.fork.folder / "overlays" / name)
    cluster.fork.push("as it is")
    started = time.monotonic()
    cluster.bootstrap("dev/argocd", *BOOTSTRAP)
    cluster.wait(lambda: well(cluster, "floe-cluster") and well(cluster, "floe-dev"), READY_SECONDS)
    note("Argo CD: s from bootstrap to Synced and Healthy", time.monotonic() - started)
    return cluster


def application(one: Following, name: str) -> dict[str, Any]:
    """The status of an Application; empty if it does not exist."""
    done = one.kubectl.run("get", "application", name, f"--namespace={ARGOCD}", "--output=json")
    status: dict[str, Any] = json.loads(done.stdout or b"{}").get("status", {})
    return status


def well(one: Following, name: str, commit: str = "") -> bool:
    """Whether an Application is Synced and Healthy, and at a commit if one is given."""
    status = application(one, name)
    state = (status.get("sync", {}).get("status"), status.get("health", {}).get("status"))
    return state == ("Synced", "Healthy") and status["sync"]["revision"].startswith(commit)


def tell(one: Following, name: str = "floe-dev") -> None:
    """Let Argo CD read Git now, as a webhook would."""
    now = "argocd.argoproj.io/refresh=normal"
    one.kubectl("annotate", "--overwrite", "application", name, now, f"--namespace={ARGOCD}")


def pushed(one: Following, message: str) -> str:
    commit = one.fork.push(message)
    tell(one)
    return commit


def reverted(one: Following, commit: str) -> str:
    head = one.fork.revert(commit)
    tell(one)
    return head


def test_everything_is_ready_after_the_bootstrap(argocd: Following) -> None:
    assert argocd.serves()
    assert argocd.runs(TAG, CUBE)
    assert not [name for name, (ok, _) in argocd.status().items() if ok is not True]
    settings = argocd.kubectl.get("configmap", "argocd-cm", f"--namespace={ARGOCD}")["data"]
    assert settings["kustomize.buildOptions"] == "--enable-helm"
    assert {one["kind"] for one in application(argocd, "floe-dev")["resources"]} >= {
        "Deployment",
        "StatefulSet",
        "Role",
    }


def test_a_push_is_deployed(argocd: Following) -> None:
    before = argocd.ready_pods(CUBE)
    argocd.fork.set_tag("dev", "cube", NEXT)
    started = time.monotonic()
    commit = pushed(argocd, "Cube 0.1.1")
    argocd.wait(lambda: argocd.tag("cube-api") == NEXT, 60)
    note("Argo CD: s from push to applied, told at once", time.monotonic() - started)
    argocd.wait(lambda: argocd.runs(NEXT, CUBE), 120)
    note("Argo CD: s from push to new pods Running", time.monotonic() - started)
    assert not before & argocd.ready_pods(CUBE)
    argocd.wait(lambda: well(argocd, "floe-dev", commit), 60)


def test_a_manual_change_is_reverted(argocd: Following) -> None:
    started = time.monotonic()
    argocd.dev.kubectl("scale", "deployment/cube-worker", "--replicas=0")
    argocd.wait(lambda: argocd.dev.kubectl.get("deployment", "cube-worker")["spec"]["replicas"] == 1, 60)
    note("Argo CD: s from drift to healed", time.monotonic() - started)
    argocd.wait(lambda: well(argocd, "floe-dev"), 120)


def test_an_object_that_is_removed_from_git_is_deleted(argocd: Following) -> None:
    objects = argocd.fork.folder / "overlays/dev/objects"
    (objects / "passing.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: passing}\n")
    argocd.fork.edit(OBJECTS, lambda value: value["resources"].append("passing.yaml"))
    commit = pushed(argocd, "an object")
    argocd.wait(lambda: argocd.dev.kubectl.run("get", "configmap", "passing").returncode == 0, 60)
    started = time.monotonic()
    head = reverted(argocd, commit)
    argocd.wait(lambda: argocd.dev.kubectl.run("get", "configmap", "passing").returncode != 0, 60)
    note("Argo CD: s from push to pruned", time.monotonic() - started)
    argocd.wait(lambda: well(argocd, "floe-dev", head), 60)


def test_a_commit_that_cannot_be_built_is_reported_and_changes_nothing(argocd: Following) -> None:
    before = argocd.ready_pods()
    argocd.fork.edit(OBJECTS, lambda value: value["resources"].append("gone.yaml"))
    commit = pushed(argocd, "broken: a resource that is not there")
    argocd.wait(lambda: argocd.status()["Application argocd/floe-dev"][0] is False, 60)
    assert "gone.yaml" in argocd.status()["Application argocd/floe-dev"][1]
    assert argocd.ready_pods() == before
    started = time.monotonic()
    head = reverted(argocd, commit)
    argocd.wait(lambda: well(argocd, "floe-dev", head), 60)
    note("Argo CD: s from revert to healed, of a commit that cannot be built", time.monotonic() - started)
    assert argocd.ready_pods() == before


def test_an_image_that_does_not_start_is_reported_while_the_old_pods_serve(argocd: Following) -> None:
    before = argocd.ready_pods(CUBE)
    argocd.fork.set_tag("dev", "cube", ABSENT)
    started = time.monotonic()
    commit = pushed(argocd, "broken: an image that is not there")

    def named() -> bool:
        assert argocd.serves()
        return any(name.startswith("Pod ") and ok is False for name, (ok, _) in argocd.status().items())

    argocd.wait(named, 60)
    note(
        "Argo CD: s from push to `floe status --cluster` naming the pod that does not start", time.monotonic() - started
    )
    assert argocd.status()["Application argocd/floe-dev"][0] is not True
    assert before <= argocd.ready_pods(CUBE)
    started = time.monotonic()
    head = reverted(argocd, commit)
    argocd.wait(lambda: argocd.serves() and well(argocd, "floe-dev", head), 120)
    note("Argo CD: s from revert to healed, of an image that does not start", time.monotonic() - started)
    assert argocd.ready_pods(CUBE) == before


def test_one_argocd_for_all_deploys_every_folder_but_prod(argocd: Following) -> None:
    """The bootstrap for all clusters replaces that of dev.

    The pods of dev keep running, prod is compared and not applied, and a new folder is deployed automatically.
    """
    before = argocd.ready_pods()
    # This Application must be deleted first, because it would revert the changes to itself.
    argocd.kubectl("delete", "application", "floe-cluster", f"--namespace={ARGOCD}")
    assert argocd.ready_pods() == before
    argocd.bootstrap("all/argocd", *BOOTSTRAP)
    argocd.wait(lambda: well(argocd, "floe-cluster") and _path(argocd, "floe-cluster") == "clusters/all/argocd", 120)
    _look_at_folders(argocd)
    argocd.wait(lambda: application(argocd, "floe-prod").get("sync", {}).get("status") == "OutOfSync", 120)
    prod = application(argocd, "floe-prod")
    assert "operationState" not in prod
    assert {one["status"] for one in prod["resources"]} == {"OutOfSync"}
    assert {one["kind"] for one in prod["resources"]} >= {"Namespace", "Deployment", "Ingress"}
    assert argocd.kubectl.run("get", "namespace", "floe-prod").returncode != 0
    assert argocd.status("prod")["Application argocd/floe-prod"][0] is None
    _small_environment(argocd)
    commit = argocd.fork.push("another environment")
    _look_at_folders(argocd)
    argocd.wait(lambda: well(argocd, "floe-small", commit), 120)
    assert argocd.another("small").kubectl.get("configmap", "small")["data"] == {"is": "small"}
    argocd.wait(lambda: well(argocd, "floe-dev"), 120)
    assert argocd.ready_pods() == before


def _path(one: Following, name: str) -> str:
    """The path in Git with which an Application was last compared."""
    return str(application(one, name)["sync"]["comparedTo"]["source"]["path"])


def _look_at_folders(one: Following) -> None:
    """Let the ApplicationSet read Git now, as a webhook would; otherwise it polls Git once a minute."""
    now = "argocd.argoproj.io/application-set-refresh=true"
    one.kubectl("annotate", "--overwrite", "applicationset", "floe", now, f"--namespace={ARGOCD}")


def _small_environment(one: Following) -> None:
    overlay = one.fork.folder / "overlays/small"
    overlay.mkdir()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "floe-small"}}
    metadata = {"name": "small", "namespace": "floe-small"}
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"is": "small"}}
    kustomization = {"kind": "Kustomization", "resources": ["namespace.yaml", "configmap.yaml"]}
    for name, value in (("namespace", namespace), ("configmap", content), ("kustomization", kustomization)):
        (overlay / f"{name}.yaml").write_text(json.dumps(value))
