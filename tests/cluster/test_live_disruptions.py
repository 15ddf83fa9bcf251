"""Disruptions of a running environment: replaced pods, drained nodes, killed processes, a missing PostgreSQL."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from cluster.deployed import LOCATION, RUN, SERVER, Deployed, moment, wait_for
from floe.errors import FloeError
from floe_runtime.contract.app import BATCH_AT, App
from floe_runtime.contract.artifacts import Specification

pytestmark = pytest.mark.parametrize("live", ["dev"], indirect=True)

_ASK_ALL_THE_TIME = """
import json, sys, threading, time
from urllib.request import urlopen
answered, failed = 0, []
told_to_end = threading.Thread(target=sys.stdin.read, daemon=True)
told_to_end.start()
while told_to_end.is_alive():
    for url in sys.argv[1:]:
        try:
            with urlopen(url, timeout=10) as answer:
                answer.read()
            answered += 1
        except Exception as error:
            failed.append(f"{url}: {error}")
    time.sleep(0.02)
print(json.dumps([answered, failed]))
"""


def test_a_rolling_update_loses_no_request(live: Deployed) -> None:
    urls = ["http://dagster-webserver:3000/server_info", "http://cube:4000/readyz"]
    command = live.kubectl.command("exec", "--stdin", "client", "--", "python", "-c", _ASK_ALL_THE_TIME, *urls)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        before = {pod["metadata"]["uid"] for pod in live.pods()}
        live.kubectl("rollout", "restart", "deployment/dagster-webserver", "deployment/cube-api")
        for name in ("dagster-webserver", "cube-api"):
            live.kubectl("rollout", "status", f"deployment/{name}", "--timeout=55s")
        wait_for(lambda: not [pod for pod in live.pods() if pod["metadata"].get("deletionTimestamp")], 90)
        replaced = [pod for pod in live.pods() if pod["metadata"]["uid"] not in before]
        answer, _ = asking.communicate(timeout=30)
    answered, failed = json.loads(answer)
    assert len(replaced) >= 2
    assert answered > 100  # there were requests all the time, even on a busy machine
    assert failed == []


def test_a_drain_waits_for_a_run(live: Deployed) -> None:
    at = moment()
    run = live.launch(at)
    name = live.worker(run)
    node = live.pods(f"dagster/run-id={run}")[0]["spec"]["nodeName"]
    wait_for(lambda: live.dagster.status(run) == "STARTED", 60, live.why)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": live.namespace}}
    path = f"/api/v1/namespaces/{live.namespace}/pods/{name}/eviction"
    refused = live.kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction).encode())
    assert b"Cannot evict pod as it would violate the pod's disruption budget" in refused.stderr
    drain = live.kubectl.command("drain", node, f"--pod-selector={RUN}", "--delete-emptydir-data", "--timeout=150s")
    try:
        with subprocess.Popen(drain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as draining:
            assert live.follow(run) == "SUCCESS"
            output, _ = draining.communicate(timeout=160)
        assert draining.returncode == 0, output
        assert "disruption budget" in output
    finally:
        live.kubectl("uncordon", node)
    live.wait_for_orders(at)


def test_a_killed_run_is_retried_once_and_no_row_is_lost_or_doubled(live: Deployed) -> None:
    at = moment()
    run = live.launch(at)
    name = live.worker(run)
    # The run is killed when the batch is in the raw tables and not yet in the marts.
    wait_for(lambda: f"rows until {at}".encode() in live.kubectl.run("logs", name).stdout, 90, live.why)
    live.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    assert live.follow(run) == "FAILURE"
    wait_for(lambda: len(live.dagster.runs({BATCH_AT: at})) == 2, 60)
    (retried,) = {one.run_id for one in live.dagster.runs({BATCH_AT: at})} - {run}
    assert live.follow(retried) == "SUCCESS"
    live.wait_for_orders(at)
    assert len(live.dagster.runs({BATCH_AT: at})) == 2


def test_a_wrong_password_is_reported_and_the_right_one_recovers(live: Deployed) -> None:
    wrong = base64.b64encode(b"not-the-password").decode()
    right = base64.b64encode(live.secrets["floe-postgres"]["postgresql-password"].encode()).decode()
    with _secret(live, "floe-postgres", {"postgresql-password": wrong}, {"postgresql-password": right}):
        daemon = _replaced(live, "component=dagster-daemon")
        log = _log_of_one_that_ended(live, daemon)
        assert 'password authentication failed for user "dagster"' in log
        assert "not-the-password" not in log
    live.wait_ready(120)


def test_pods_recover_from_an_outage_of_postgresql(live: Deployed) -> None:
    live.kubectl("scale", "statefulset/postgresql", "--replicas=0")
    wait_for(lambda: not live.pods("app.kubernetes.io/name=postgresql"), 60)
    time.sleep(20)  # long enough for every loop of the daemon to notice
    logs = live.kubectl("logs", "deployment/dagster-daemon", "--since=25s", "--tail=-1")
    assert "OperationalError" in logs
    assert len(logs.splitlines()) < 5000  # the daemon waits between attempts, so that its log does not fill the disk
    live.kubectl("scale", "statefulset/postgresql", "--replicas=1")
    live.wait_ready(180)
    at = moment()
    assert live.follow(_launched(live, at)) == "SUCCESS"
    live.wait_for_orders(at)


def test_artifacts_of_an_unknown_version_are_reported(live: Deployed) -> None:
    wrong = json.dumps({**json.loads(live.artifacts().text()), "version": 7})
    with _compiled(live, wrong) as code_location:
        log = _log_of_one_that_ended(live, code_location)
    assert "/etc/floe/CompiledArtifacts.json is not valid:\n  version: " in log
    assert "Traceback" not in log
    live.wait_ready(120)
    wait_for(live.loaded, 60)


def test_a_tick_is_completed_after_the_daemon_was_deleted(live: Deployed) -> None:
    """If the daemon's pod is deleted at the moment of a tick, the batch of the tick still comes exactly once.

    In this test there is one tick every two minutes: not more, because runs of an app wait for each other, and on a
    busy machine one takes longer than a minute. The daemon is replaced first, because it reads schedules only when it
    starts and then once a minute.
    """
    with _compiled(live, _every_two_minutes(live)):
        live.wait_ready(120)
        wait_for(live.loaded, 60)
        _replaced(live, "component=dagster-daemon")
        live.wait_ready(120)
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        at = now + timedelta(minutes=2 - now.minute % 2)
        time.sleep((at - datetime.now(UTC)).total_seconds())
        batch = at.isoformat()
        wait_for(lambda: live.dagster.runs({BATCH_AT: batch}) or datetime.now(UTC) > at + timedelta(seconds=3), 30)
        (pod,) = live.pods("component=dagster-daemon")
        live.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        wait_for(lambda: live.dagster.runs({BATCH_AT: batch}), 120, live.why)
        # The schedule stays until then, since an interrupted tick is resumed only if the schedule still has it.
    for run in live.dagster.runs({BATCH_AT: batch}):
        assert live.follow(run.run_id) == "SUCCESS"
    _replaced(live, SERVER)
    assert len(live.dagster.runs({BATCH_AT: batch})) == 1
    live.wait_for_orders(batch)
    live.wait_ready(120)
    wait_for(live.loaded, 60)


def test_every_tick_loaded_its_batch_exactly_once(live: Deployed) -> None:
    """No batch was lost or doubled by the disruptions of the tests before.

    A PodDisruptionBudget does not protect a pod that is not running yet. If a drain evicts the pod of a run in that
    moment, Dagster gives the run up after runMonitoring.startTimeoutSeconds and launches it again.
    """
    ticks = {run.tags[BATCH_AT] for run in live.dagster.runs({"dagster/schedule_name": "ticks"})}
    assert ticks
    live.wait_for_orders(*ticks, seconds=300 + 120)


def _every_two_minutes(live: Deployed) -> str:
    """The CompiledArtifacts of an environment, with one tick every two minutes."""
    artifacts = json.loads(live.artifacts().text())
    app = artifacts["apps"][LOCATION]["app"]
    app["pipeline"]["schedule"]["cron"] = "*/2 * * * *"
    artifacts["apps"][LOCATION] = Specification.of(App.model_validate(app)).model_dump(mode="json", exclude_none=True)
    return json.dumps(artifacts)


@contextmanager
def _compiled(live: Deployed, artifacts: str) -> Iterator[str]:
    """Deploy other CompiledArtifacts during the block; yields the name of the code location's new pod.

    After the block the ConfigMap has its old content again, which an existing pod sees within two minutes.
    """
    (name,) = [
        one["metadata"]["name"]
        for one in live.kubectl.get("configmaps")
        if one["metadata"]["name"].startswith("floe-compiled-artifacts")
    ]
    right = live.kubectl.get("configmap", name)["data"]
    try:
        live.kubectl("patch", "configmap", name, "-p", json.dumps({"data": {"CompiledArtifacts.json": artifacts}}))
        yield _replaced(live, SERVER)
    finally:
        live.kubectl("patch", "configmap", name, "-p", json.dumps({"data": right}))


@contextmanager
def _secret(live: Deployed, name: str, wrong: dict[str, str], right: dict[str, str]) -> Iterator[None]:
    live.kubectl("patch", "secret", name, "-p", json.dumps({"data": wrong}))
    try:
        yield
    finally:
        live.kubectl("patch", "secret", name, "-p", json.dumps({"data": right}))


def _replaced(live: Deployed, selector: str) -> str:
    """Delete the only pod of a workload; returns the name of the pod that replaces it."""
    (old,) = live.pods(selector)
    live.kubectl("delete", "pod", old["metadata"]["name"], "--grace-period=1")
    wait_for(lambda: len(live.pods(selector)) == 1, 60)
    return str(live.pods(selector)[0]["metadata"]["name"])


def _log_of_one_that_ended(live: Deployed, pod: str) -> str:
    """Wait until the container of a pod ended by itself and waits for its restart; returns the log of its last run."""

    def ended() -> bool:
        containers = live.kubectl.get("pod", pod)["status"].get("containerStatuses", [])
        return any(one["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" for one in containers)

    wait_for(ended, 120, live.why)
    return live.kubectl("logs", pod, "--previous")


def _launched(live: Deployed, at: str) -> str:
    """Launch a run, with further attempts while Dagster refuses because its pods are still starting."""
    run: list[str] = []

    def launched() -> bool:
        with suppress(FloeError):
            run.append(live.launch(at))
        return bool(run)

    wait_for(launched, 60, live.why)
    return run[0]
