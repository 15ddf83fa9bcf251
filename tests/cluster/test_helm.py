"""Floe's own chart on a real node: install, test, upgrade during a run, rollback and uninstall."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from cluster.deployed import moment, proxied, wait_for
from cluster.helmed import NAMED, RELEASE, Installed
from cluster.kubectl import Kubectl
from floe import repo, tools
from floe_runtime.contract.app import BATCH_AT
from helm import Helm

Note = Callable[[str, float], None]
KINDS = (
    "all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,resourcequotas,"
    "persistentvolumeclaims"
)
MADE_BY_CONTROLLERS = re.compile("configmap/kube-root-ca.crt|serviceaccount/default")
ARTIFACTS = "floe-compiled-artifacts"
GIVES = ["--wait", "--timeout", "5m"]


@dataclass(frozen=True)
class Release:
    """The release, and the names of the objects that were in its namespace before."""

    one: Installed
    before: set[str]


@pytest.fixture(scope="module")
def release(
    cluster: Kubectl, tmp_path_factory: pytest.TempPathFactory, note: Callable[[str, float], None]
) -> Iterator[Release]:
    """Dev, installed by Helm and ready. Nothing else runs on the cluster."""
    tool = tools.get("helm")
    if not tool.version.startswith("4."):
        pytest.skip(f"no Helm 4: {tool.path} is {tool.version}")
    folder = tmp_path_factory.mktemp("helm")
    env = {"KUBECONFIG": str(cluster.kubeconfig)} if cluster.kubeconfig else {}
    with proxied(cluster) as url:
        one = Installed(
            "dev", replace(cluster, namespace="floe-dev"), folder, url, helm=Helm(tool.path, 4, folder / "home", env)
        )
        missing = one.do(*map(str, one.release("install", RELEASE, "--dry-run=server")))
        # Without a namespace, the chart does not check for missing Secrets.
        assert missing.returncode == 0, missing.stderr
        assert not one.apply()
        one.wait_ready()
        before = _names(one)
        started = time.monotonic()
        output = one.done(*map(str, one.release("install")))
        assert "Next: helm test" in output
        one.wait_ready()
        note("helm: s from install to all Ready", time.monotonic() - started)
        yield Release(one, before)
        one.delete()


def test_pods_run_and_none_was_restarted(release: Release) -> None:
    pods = release.one.pods()
    named = {
        pod["metadata"]["labels"].get("component") or pod["metadata"]["labels"].get("app.kubernetes.io/component")
        for pod in pods
    }
    assert named >= {"dagster-webserver", "dagster-daemon", "user-deployments", "api", "worker"}
    assert not [
        container["name"]
        for pod in pods
        for container in pod["status"]["containerStatuses"]
        if container["restartCount"]
    ]


def test_the_asset_graph_shows_the_models(release: Release) -> None:
    """The graph contains the models of the dbt project of each app."""
    one = release.one
    wait_for(one.loaded, 60, one.why)
    models = {
        file.stem
        for app in repo.current().apps()
        for file in (repo.current().app(app) / "dbt" / "models").rglob("*.sql")
    }
    assert len(models) > 5
    assert {path[-1] for path in one.dagster.assets()} >= models


def test_a_run_on_the_compute_target(release: Release, note: Note) -> None:
    """The run uses DuckDB, as the values say, and Cube returns its rows."""
    one, started, at = release.one, time.monotonic(), moment()
    run = one.launch(at)
    assert one.follow(run) == "SUCCESS", one.why()
    one.wait_for_orders(at, seconds=90)
    note("helm: s from launch to the rows in Cube's answer", time.monotonic() - started)


def test_helm_test(release: Release, note: Note) -> None:
    """The tests cover the webserver, Cube, and every service in CompiledArtifacts, including PostgreSQL."""
    started = time.monotonic()
    output = release.one.done("test", RELEASE, "--logs", "--timeout", "3m")
    note("helm: s of helm test", time.monotonic() - started)
    pods = ("cube", "preflight", "webserver")
    assert all(f"POD LOGS: {RELEASE}-test-{name}" in output for name in pods), output
    assert output.count("Phase:          Succeeded") == output.count("TEST SUITE:") > len(pods), output
    for service in ("compute: DuckDB", "storage: S3 bucket", "catalog: Iceberg REST", "metadata: PostgreSQL"):
        assert f"✓ {service}" in output
    assert not re.search("failed|unchecked", output)


def test_an_upgrade_during_a_run_loses_nothing(release: Release, note: Note) -> None:
    one = release.one
    at = moment()
    run = one.launch(at)
    wait_for(lambda: one.dagster.status(run) == "STARTED", 90, one.why)
    before, worker = {pod["metadata"]["uid"] for pod in one.pods("!job-name")}, one.worker(run)
    started = time.monotonic()
    one.done(*map(str, one.release("upgrade", RELEASE, *GIVES, threads=1)))
    note("helm: s of an upgrade during a run", time.monotonic() - started)
    replaced = {
        pod["metadata"]["labels"].get("component") for pod in one.pods() if pod["metadata"]["uid"] not in before
    }
    assert replaced >= {"dagster-webserver", "dagster-daemon", "user-deployments"}
    assert one.worker(run) == worker
    wait_for(lambda: one.loaded(), 60, one.why)
    assert one.follow(run) == "SUCCESS", one.why()
    assert len(one.dagster.runs({BATCH_AT: at})) == 1
    one.wait_for_orders(at, seconds=90)


def test_rollback(release: Release, note: Note) -> None:
    one = release.one
    upgraded = _artifacts(one)
    started = time.monotonic()
    one.done("rollback", RELEASE, "1", *GIVES)
    note("helm: s of a rollback", time.monotonic() - started)
    assert len(_artifacts(one)) == 1
    assert _artifacts(one) != upgraded
    wait_for(one.loaded, 60, one.why)
    assert not one.unready()


def test_a_second_release_in_the_namespace_is_refused(release: Release) -> None:
    output = release.one.do(*map(str, release.one.release("install", "another"))).stderr
    assert (
        f"the namespace floe-dev has floe already, by the release {RELEASE}: helm upgrade {RELEASE}, or install"
        in output
    )


def test_an_uninstall_keeps_the_objects_that_notes_list(release: Release, note: Note) -> None:
    """Secrets, Jobs of runs that ended within the last hour, and pods of helm test remain.

    There is no PersistentVolumeClaim, because Cube Store does not run here.
    """
    one = release.one
    assert set(NAMED) <= set(re.findall(r"^  ([a-z-]+): ", one.done("get", "notes", RELEASE), re.MULTILINE))
    started = time.monotonic()
    one.done("uninstall", RELEASE, *GIVES)
    wait_for(
        lambda: not [pod for pod in one.pods("component") if f"pod/{pod['metadata']['name']}" not in release.before],
        120,
    )
    note("helm: s of an uninstall", time.monotonic() - started)
    left = {name for name in _names(one) - release.before if not MADE_BY_CONTROLLERS.search(name)}
    runs = {name for name in left if re.match(r"(job\.batch|pod)/dagster-run-", name)}
    assert runs
    assert left - runs == {f"pod/{RELEASE}-test-{name}" for name in ("cube", "preflight", "webserver")}


def _names(one: Installed) -> set[str]:
    return set(one.kubectl("get", KINDS, "--output=name").split())


def _artifacts(one: Installed) -> set[str]:
    """The names of the ConfigMaps with CompiledArtifacts."""
    return {name for name in one.kubectl("get", "configmaps", "--output=name").split() if ARTIFACTS in name}
