"""Environments as running pods, on a cluster with a real kubelet and DNS."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from cluster.deployed import LOCATION, RUN, SERVER, Deployed, moment, wait_for
from floe.demo import cube

Note = Callable[[str, float], None]

EXPLAINED = {
    r"(Startup|Readiness) probe failed": "probes start in the first second of a container, before it can answer",
    r"Liveness probe failed": "one late answer on a busy machine; several would be a restart, which another test finds",
    r"FailedScheduling: .*(unbound|not found)": "a claim is bound a moment after its pod is first scheduled",
    r"ClusterIPNotAllocated: .* is not allocated; repairing": "a new Service is repaired before it has its address",
    r"FailedGetResourceMetric|FailedComputeMetricsReplicas": "the cluster has no metrics server for autoscalers",
}
"""Expected events of type Warning: a pattern, and the reason."""
_GET = """
import json, sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen
url, headers = sys.argv[1], json.loads(sys.argv[2])
try:
    with urlopen(Request(url, headers=headers), timeout=20) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
"""


def get(live: Deployed, url: str, **headers: str) -> tuple[int, str]:
    """The status and the body of a URL, requested from the pod `client`."""
    status, body = live.ask(_GET, url, json.dumps(headers))
    return status, body


def test_every_pod_is_ready_and_was_never_restarted(live: Deployed) -> None:
    assert live.unready() == []
    pods = live.pods()
    assert {pod["metadata"]["labels"].get("component") for pod in pods} >= {
        "dagster-webserver",
        "dagster-daemon",
        "user-deployments",
    }
    assert {pod["metadata"]["labels"].get("app.kubernetes.io/component") for pod in pods} >= {"api", "worker"}
    restarts = {
        f"{pod['metadata']['name']}/{container['name']}": container["restartCount"]
        for pod in pods
        for container in pod["status"]["containerStatuses"]
    }
    assert not any(restarts.values()), restarts


def test_there_are_no_unexpected_warning_events(live: Deployed) -> None:
    assert [one for one in live.warnings() if not any(re.search(pattern, one) for pattern in EXPLAINED)] == []


def test_the_namespace_refuses_pods_that_are_not_restricted(live: Deployed) -> None:
    (pod,) = live.pods("floe-runtime.io/cube-client")
    done = live.kubectl.run("create", "--dry-run=server", "-f", "-", stdin=_like(pod, {"hostNetwork": True}))
    assert b'violates PodSecurity "restricted' in done.stderr
    assert live.kubectl.run("create", "--dry-run=server", "-f", "-", stdin=_like(pod, {})).returncode == 0


def test_the_quota_counts_pods_and_refuses_large_ones(live: Deployed) -> None:
    (quota,) = live.kubectl.get("resourcequotas")
    status = quota["status"]
    assert status["hard"] == quota["spec"]["hard"]
    assert int(status["used"]["pods"]) >= len(live.pods()) - 1  # the quota does not count pods that ended
    (pod,) = live.pods("floe-runtime.io/cube-client")
    (container,) = pod["spec"]["containers"]
    greedy = {**container, "resources": {"requests": {"cpu": "1m", "memory": "1Ti"}, "limits": {"memory": "1Ti"}}}
    done = live.kubectl.run("create", "--dry-run=server", "-f", "-", stdin=_like(pod, {"containers": [greedy]}))
    assert b"exceeded quota: floe" in done.stderr


def test_network_policies_are_accepted(live: Deployed) -> None:
    """Their effect is not tested, because our node has no plugin that enforces them."""
    assert {"default-deny", "dns", "dagster", "cube"} <= {
        one["metadata"]["name"] for one in live.kubectl.get("networkpolicies")
    }


def test_dagster_answers_through_its_service(live: Deployed) -> None:
    status, page = get(live, "http://dagster-webserver:3000/")
    assert (status, "<title>Dagster" in page or 'id="root"' in page) == (200, True)
    status, info = get(live, "http://dagster-webserver:3000/server_info")
    assert json.loads(info)["dagster_version"]


def test_the_code_location_loads_its_artifacts(live: Deployed) -> None:
    wait_for(live.loaded, 60, live.why)
    assert live.dagster.schedules(LOCATION) == {"ticks": "RUNNING", "maintenance": "RUNNING"}
    (pod,) = live.ready_pods(SERVER)
    mounted = live.kubectl("exec", pod["metadata"]["name"], "--", "cat", "/etc/floe/CompiledArtifacts.json")
    assert json.loads(mounted) == json.loads(live.artifacts().text())


def test_cube_refuses_requests_without_a_token(live: Deployed) -> None:
    url = "http://cube:4000/cubejs-api/v1/meta"
    assert get(live, url)[0] == 403
    assert get(live, url, Authorization=cube.token("another-secret-that-is-long-enough"))[0] == 403
    status, meta = get(live, url, Authorization=cube.token(live.secrets["floe-cube"]["CUBEJS_API_SECRET"]))
    assert status == 200
    assert {"orders", "sales"} <= {one["name"] for one in json.loads(meta)["cubes"]}


def test_a_run_is_a_job_and_cube_shows_its_rows(live: Deployed, note: Note) -> None:
    started = time.monotonic()
    at = moment()
    run = live.launch(at)
    name = live.worker(run)
    wait_for(lambda: live.kubectl.run("logs", name).stdout, 60, live.why)
    note(f"{live.environment}: s from launch to the Job's first log line", time.monotonic() - started)
    assert live.follow(run) == "SUCCESS", live.kubectl("logs", name, "--tail=30")
    note(f"{live.environment}: s from launch to SUCCESS", time.monotonic() - started)
    (job,) = live.kubectl.get("jobs", f"--selector=dagster/run-id={run}")
    wait_for(lambda: live.kubectl.get("job", job["metadata"]["name"])["status"].get("succeeded") == 1, 30)
    live.wait_for_orders(at, seconds=90)
    note(f"{live.environment}: s from launch to the rows in Cube's answer", time.monotonic() - started)


def test_the_maintenance_is_a_job_too(live: Deployed) -> None:
    run = live.dagster.launch(LOCATION, "maintenance")
    name = live.worker(run)
    assert live.follow(run) == "SUCCESS", live.kubectl("logs", name, "--tail=30")
    assert "marts.fct_orders: " in live.kubectl("logs", name)


def test_a_run_has_no_api_token_and_a_read_only_root(live: Deployed) -> None:
    """The settings of the run launcher reach the pod, which inherits nothing from the process that launched it."""
    pods = live.pods(RUN)
    assert pods
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
            "/etc/floe",
            "/opt/dagster/dagster_home",
            "/tmp",  # noqa: S108 # in the pod
        }


def test_idle_pods_use_less_memory_than_they_request(live: Deployed, note: Note) -> None:
    over = {}
    for name, (used, requested) in live.idle().items():
        note(f"{live.environment}: MiB in idle of {requested} requested: {name}", used)
        if used > requested:
            over[name] = used
    assert not over


def _like(pod: dict[str, Any], spec: dict[str, Any]) -> bytes:
    """A new pod with the spec of another one, except for some fields."""
    metadata = {"name": "another", "namespace": pod["metadata"]["namespace"]}
    kept = {key: value for key, value in pod["spec"].items() if key not in ("nodeName", "volumes")}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": kept | spec}).encode()
