"""Flux's own controllers, bootstrapped from clusters/dev/flux, follow a fork of this repository.

The tests depend on each other and must run in this order: each starts from the state that the one before leaves.
"""

from __future__ import annotations

import base64
import time

import pytest

from cluster.deployed import READY_SECONDS, Deployed, moment
from floe.charts import packaged
from floe.repo import Checkout
from forks import floe, git
from gitops import fork as forking
from gitops.controllers import FLUX
from gitops.flux import RELEASES, applied, first_day, ready, tell
from gitops.following import ABSENT, NEXT, Following, secret
from images.build import TAG
from timings import note, took

CUBE = "app.kubernetes.io/name=cube"
DAGSTER = "app.kubernetes.io/name=dagster,!job-name"  # without the pods of runs
NOTIFICATIONS = "Kustomization flux-system/floe-notifications-dev"
"""Never ready here, because it contains kinds of notification-controller, which is not available."""


@pytest.fixture(scope="module")
def flux(cluster: Following, tmp_path_factory: pytest.TempPathFactory) -> Following:
    """The cluster after the bootstrap, with dev ready."""
    forking.as_dev(cluster.fork, "staging")
    # The default interval is one minute, which is too long for a test.
    cluster.fork.edit("clusters/base/flux-chart/helmrelease.yaml", _in_ten_seconds)
    note("Flux: s from bootstrap to all Ready", first_day(cluster, tmp_path_factory.mktemp("flux")))
    return cluster


def _in_ten_seconds(release: forking.Values) -> None:
    release["spec"]["chart"]["spec"]["interval"] = "10s"


def pushed(one: Following, message: str) -> str:
    """Push and let Flux read Git now; returns the commit."""
    commit = one.fork.push(message)
    tell(one, "gitrepository", "floe-dev")
    return commit


def reverted(one: Following, *commits: str) -> str:
    for commit in commits:
        head = one.fork.revert(commit)
    tell(one, "gitrepository", "floe-dev")
    return head


def test_everything_is_ready_after_the_bootstrap(flux: Following) -> None:
    assert flux.serves()
    assert flux.runs(TAG, CUBE)
    amiss = {name: state for name, state in flux.status().items() if state[0] is not True}
    assert set(amiss) == {NOTIFICATIONS}
    assert "no matches for kind" in amiss[NOTIFICATIONS][1]
    assert f"HelmRelease {flux.dev.namespace}/dagster" in flux.status()


def test_an_encrypted_secret_is_decrypted_only_in_the_cluster(flux: Following) -> None:
    for name, content in flux.dev.secrets.items():
        file = (flux.fork.folder / "overlays/dev/secrets" / f"{name}.yaml").read_text()
        data = flux.dev.kubectl.get("secret", name)["data"]
        assert {key: base64.b64decode(value).decode() for key, value in data.items()} == content
        assert "ENC[AES256_GCM" in file
        assert not [key for key, value in content.items() if len(value) > 8 and value in file]
    assert "AGE-SECRET-KEY" not in git(flux.fork.folder, "log", "--patch", "--all")


def test_a_push_is_deployed(flux: Following) -> None:
    before = flux.ready_pods(CUBE)
    flux.fork.set_tag("dev", "cube", NEXT)
    started = time.monotonic()
    commit = pushed(flux, "Cube 0.1.1")
    flux.wait(lambda: flux.tag("cube-api") == NEXT, 60)
    note("Flux: s from push to applied, told at once (goal 60)", time.monotonic() - started)
    flux.wait(lambda: flux.runs(NEXT, CUBE), 120)
    note("Flux: s from push to new pods Running", time.monotonic() - started)
    assert not before & flux.ready_pods(CUBE)
    flux.wait(lambda: applied(flux, commit), 60)


def test_a_manual_change_is_reverted(flux: Following) -> None:
    flux.dev.kubectl("scale", "deployment/cube-worker", "--replicas=0")
    flux.dev.kubectl("delete", "networkpolicy", "cube")
    started = time.monotonic()
    tell(flux, "kustomization", "floe-dev")
    tell(flux, "helmrelease", "cube", flux.dev.namespace)
    flux.wait(lambda: flux.dev.kubectl.run("get", "networkpolicy", "cube").returncode == 0, 60)
    flux.wait(lambda: flux.dev.kubectl.get("deployment", "cube-worker")["spec"]["replicas"] == 1, 60)
    note("Flux: s from the interval to drift healed", time.monotonic() - started)
    flux.dev.wait_ready(60)


def test_a_commit_that_cannot_be_built_is_reported_and_changes_nothing(flux: Following) -> None:
    before = flux.ready_pods()
    flux.fork.edit("overlays/dev/objects/kustomization.yaml", lambda value: value["resources"].append("gone.yaml"))
    commit = pushed(flux, "broken: a resource that is not there")
    flux.wait(lambda: flux.condition("kustomization", FLUX, "floe-dev").get("reason") == "BuildFailed", 60)
    well, message = flux.status()["Kustomization flux-system/floe-dev"]
    assert well is False
    assert "gone.yaml" in message
    assert flux.ready_pods() == before
    started = time.monotonic()
    head = reverted(flux, commit)
    flux.wait(lambda: applied(flux, head), 60)
    note("Flux: s from revert to healed, of a commit that cannot be built", time.monotonic() - started)
    assert flux.ready_pods() == before


def test_an_image_that_does_not_start_is_rolled_back_while_the_old_pods_serve(flux: Following) -> None:
    before = flux.ready_pods(CUBE)
    flux.fork.set_tag("dev", "cube", ABSENT)
    # The default timeout is ten minutes, which is also how long Kubernetes waits for a rollout.
    patch = "- {op: replace, path: /spec/upgrade/timeout, value: 20s}"
    impatient = {"target": {"kind": "HelmRelease", "name": "cube"}, "patch": patch}
    flux.fork.edit("overlays/dev/flux/kustomization.yaml", lambda value: value.update(patches=[impatient]))
    started = time.monotonic()
    commit = pushed(flux, "broken: an image that is not there")
    flux.wait(lambda: any("Image" in message or "ImagePull" in message for _, message in failing_pods(flux)), 60)
    note("Flux: s from push to `floe status --cluster` naming the pod that does not start", time.monotonic() - started)

    rolled_back = "--field-selector=reason=RollbackSucceeded,involvedObject.name=cube"
    while not flux.dev.kubectl.get("events", rolled_back):
        assert flux.serves()
        assert time.monotonic() - started < 120, flux.why()
    note("Flux: s from push to rolled back, of an upgrade that has 20 s", time.monotonic() - started)
    well, message = flux.status()[f"HelmRelease {flux.dev.namespace}/cube"]
    assert well is not True
    assert message
    assert before <= flux.ready_pods(CUBE)
    started = time.monotonic()
    head = reverted(flux, commit)
    flux.wait(lambda: flux.serves() and applied(flux, head), 120)
    note("Flux: s from revert to healed, of an image that does not start", time.monotonic() - started)
    assert flux.runs(NEXT, CUBE)
    assert before == flux.ready_pods(CUBE)


def failing_pods(one: Following) -> list[tuple[str, str]]:
    return [(name, message) for name, (ok, message) in one.status().items() if name.startswith("Pod ") and ok is False]


def test_an_object_that_is_removed_from_git_is_deleted(flux: Following) -> None:
    objects = flux.fork.folder / "overlays/dev/objects"
    metadata = "metadata: {name: passing}"
    (objects / "passing.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\n{metadata}\n")
    flux.fork.edit("overlays/dev/objects/kustomization.yaml", lambda value: value["resources"].append("passing.yaml"))
    commit = pushed(flux, "an object")
    flux.wait(lambda: flux.dev.kubectl.run("get", "configmap", "passing").returncode == 0, 60)
    started = time.monotonic()
    reverted(flux, commit)
    flux.wait(lambda: flux.dev.kubectl.run("get", "configmap", "passing").returncode != 0, 60)
    note("Flux: s from push to pruned", time.monotonic() - started)


def test_a_run_in_progress_survives_an_upgrade(flux: Following) -> None:
    flux.wait(flux.dev.loaded, 60)
    run = flux.dev.launch(moment())
    flux.wait(lambda: flux.dev.dagster.status(run) == "STARTED", 90)
    before = flux.ready_pods(DAGSTER)
    flux.fork.set_tag("dev", "dagster", NEXT)
    commit = pushed(flux, "Dagster 0.1.1")
    flux.wait(lambda: flux.tag("dagster-webserver") == NEXT, 60)
    (worker,) = flux.dev.pods(f"dagster/run-id={run}")
    assert worker["status"]["phase"] == "Running"
    flux.wait(lambda: flux.runs(NEXT, DAGSTER), 180)
    assert not before & flux.ready_pods(DAGSTER)
    assert flux.dev.follow(run) == "SUCCESS"
    flux.wait(lambda: applied(flux, commit), 120)


def test_a_pushed_chart_is_rolled_out_automatically(flux: Following) -> None:
    """Flux installs floe's own chart by a range of versions, for an environment that is a copy of dev."""
    forking.as_dev(flux.fork, "prod")
    forking.by_chart(flux.fork, "prod")
    one = flux.another("prod")
    _with_secrets(flux, one)
    _push_chart(flux, "0.1.0")
    with took("Flux: s from bootstrap of floe's own chart to all Ready"):
        flux.bootstrap("prod/flux-chart")
        flux.wait(lambda: ready(flux, "helmrelease", FLUX, "floe-prod"), READY_SECONDS)
        one.wait_ready()
    assert flux.runs(NEXT, CUBE, one)
    before = flux.ready_pods(DAGSTER, one)
    flux.fork.set_tag("prod", "cube", TAG)
    _push_chart(flux, "0.2.0")
    started = time.monotonic()
    flux.wait(lambda: flux.runs(TAG, CUBE, one), 120)
    note("Flux: s from a pushed chart to its pods, polled every 10 s", time.monotonic() - started)
    assert before == flux.ready_pods(DAGSTER, one)
    flux.fork.set_tag("prod", "cube", NEXT)
    _push_chart(flux, "1.0.0")  # outside of the range
    time.sleep(15)
    (newest, *_) = flux.kubectl.get("helmrelease", "floe-prod", f"--namespace={FLUX}")["status"]["history"]
    assert newest["chartVersion"].startswith("0.2.0")
    assert flux.runs(TAG, CUBE, one)
    flux.kubectl("delete", "helmrelease", "floe-prod", f"--namespace={FLUX}")
    flux.fork.push("prod by floe's own chart")


def _push_chart(one: Following, version: str) -> None:
    """Do what a release does: update charts/ from the overlays, add the upstream charts, and push floe's own chart."""
    done = floe(one.fork.folder, "charts", "sync")
    assert done.returncode == 0, done.stderr.decode()
    checkout = Checkout(one.fork.folder)
    list(packaged.fill(checkout))
    one.forge.push(packaged.folder(checkout, packaged.UMBRELLA), version)


def _with_secrets(flux: Following, one: Deployed) -> None:
    """Create the namespace of an environment and its Secrets by hand."""
    flux.kubectl("create", "namespace", one.namespace)
    flux.kubectl.apply(*(secret(name, one.namespace, content) for name, content in one.secrets.items()))


@pytest.fixture(scope="module")
def staging(flux: Following) -> Deployed:
    """A second environment in the same cluster, with the images that dev had at first and Secrets created by hand."""
    one = flux.another("staging")
    _with_secrets(flux, one)
    with took("Flux: s from bootstrap of a second environment to all Ready"):
        flux.bootstrap("staging/flux")
        flux.wait(lambda: all(ready(flux, "helmrelease", one.namespace, name) for name in RELEASES), READY_SECONDS)
        one.wait_ready()
    return one


def test_a_promotion_changes_only_its_target(flux: Following, staging: Deployed) -> None:
    assert flux.runs(TAG, DAGSTER, staging)
    dev, before = flux.ready_pods(), flux.ready_pods(CUBE, staging)
    started = time.monotonic()
    done = floe(flux.fork.folder, "promote", "dev", "staging", "--branch", "promotion")
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    note("s to promote dev to staging", time.monotonic() - started)
    commit = flux.fork.merge("promotion")
    started = time.monotonic()
    tell(flux, "gitrepository", "floe-staging")
    tell(flux, "gitrepository", "floe-dev")
    flux.wait(lambda: flux.runs(NEXT, DAGSTER, staging) and flux.runs(NEXT, CUBE, staging), 240)
    note("Flux: s from promotion to the next environment's pods", time.monotonic() - started)
    flux.wait(lambda: applied(flux, commit) and applied(flux, commit, "staging"), 120)
    assert not before & flux.ready_pods(CUBE, staging)
    assert flux.ready_pods() == dev
