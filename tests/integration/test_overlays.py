"""Rules that all overlays follow: they can share a cluster, and each one is complete and secure."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe import charts, render, repo
from floe.kubernetes.objects import ENVIRONMENT, Object
from rendering import Tree, by_identity, identity, parse

NOT_READY = {
    ("dagster-daemon", "dagster"): "nothing calls the daemon: no Service waits for it to be ready",
}
"""Long-running containers without a readiness probe, with the reasons."""
WRITABLE = {
    ("cubestore-router", "cubestore"): "its image could not be tried with a root that is read-only",
    ("cubestore-workers", "cubestore"): "its image could not be tried with a root that is read-only",
}
"""Containers with a writable root filesystem, with the reasons."""
TOKENS = {
    "dagster-daemon": "launches runs as Jobs",
    "dagster-webserver": "terminates runs",
}
"""Pods with a token for the Kubernetes API, and their use of it."""


@pytest.fixture(scope="session")
def objects(tree: Tree, environment: str) -> list[Object]:
    return tree.render(environment)


@pytest.fixture(scope="session")
def workloads(objects: list[Object]) -> list[Object]:
    """All workloads. The pods of runs are not included, because Dagster creates them."""
    assert not {one.kind for one in objects} & {"Pod", "ReplicaSet", "DaemonSet", "Job", "CronJob"}
    return [one for one in objects if one.kind in {"Deployment", "StatefulSet"}]


def pod(one: Object) -> dict[str, Any]:
    spec: dict[str, Any] = one.value["spec"]["template"]["spec"]
    return spec


def containers(one: Object) -> list[dict[str, Any]]:
    return [*pod(one).get("initContainers", []), *pod(one)["containers"]]


def only(objects: list[Object], kind: str, name: str | None = None) -> dict[str, Any]:
    """The only object of this kind, or of this kind and name."""
    (one,) = [one for one in objects if one.kind == kind and name in (None, one.name)]
    return one.value


def instance(objects: list[Object]) -> dict[str, Any]:
    """The content of dagster.yaml."""
    text = only(objects, "ConfigMap", "dagster-instance")["data"]["dagster.yaml"]
    content: dict[str, Any] = yaml.safe_load(text)
    return content


# All overlays in one cluster.


def test_overlays_share_no_objects(tree: Tree) -> None:
    rendered = [one for environment in repo.current().environments() for one in tree.render(environment)]
    assert len(by_identity(rendered)) == len(rendered)
    assert {one.kind for one in rendered if not one.namespace} == {"Namespace"}
    assert len({one.name for one in rendered if one.kind == "Namespace"}) == len(repo.current().environments())


def test_no_two_overlays_use_the_same_host(tree: Tree) -> None:
    """An ingress controller serves all namespaces, so two overlays must not use the same host."""
    rules = [
        (rule["host"], path["path"])
        for environment in repo.current().environments()
        for one in tree.render(environment)
        if one.kind == "Ingress"
        for rule in one.value["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert not [rule for rule, count in Counter(rules).items() if count > 1]


@pytest.mark.parametrize("environment", repo.current().environments())
def test_a_copy_of_an_overlay_shares_no_objects_with_the_others(checkout: Path, environment: str) -> None:
    """The copy is made as docs/02-environments.md describes for a new environment."""
    folder, copied = checkout / "overlays" / environment, checkout / "overlays" / f"{environment}2"
    shutil.copytree(folder, copied)
    for file in (path for path in copied.rglob("*") if path.is_file()):
        text = re.sub(rf"floe([-_]){environment}\b", rf"floe\g<1>{environment}2", file.read_text())
        file.write_text(text.replace(f"environment: {environment}", f"environment: {environment}2"))
    list(charts.pull(repo.current(), repo.current().environments(), stand_ins=True))
    others = [
        one
        for other in repo.current().environments()
        if other != copied.name
        for one in parse(render.render(repo.current(), other))
    ]
    ours = parse(render.render(repo.current(), copied.name))
    assert not {identity(one) for one in ours} & {identity(one) for one in others}
    left = re.compile(rf"\bfloe[-_]{environment}\b")
    assert not [one.label for one in ours if left.search(str(one.value))]


# Each overlay alone.


def test_objects_have_the_environment_and_namespace(environment: str, objects: list[Object]) -> None:
    (namespace,) = [one.name for one in objects if one.kind == "Namespace"]
    assert {one.metadata["annotations"][ENVIRONMENT] for one in objects} == {environment}
    assert {one.namespace for one in objects if one.kind != "Namespace"} == {namespace}


def test_pod_templates_do_not_contain_the_environment(workloads: list[Object]) -> None:
    """Otherwise a promotion would restart pods unnecessarily."""
    for one in workloads:
        assert ENVIRONMENT not in one.value["spec"]["template"]["metadata"].get("annotations", {}), one.label


def test_no_secret_is_rendered(objects: list[Object]) -> None:
    assert not [one.label for one in objects if one.kind == "Secret"]


def test_containers_have_requests_and_limits(workloads: list[Object]) -> None:
    for one in workloads:
        for container in containers(one):
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), (one.label, container["name"])
            assert "memory" in resources["limits"], (one.label, container["name"])


def test_long_running_containers_have_probes(workloads: list[Object]) -> None:
    unready = set()
    for one in workloads:
        for container in pod(one)["containers"]:
            assert "livenessProbe" in container, (one.label, container["name"])
            if "readinessProbe" not in container:
                unready.add((one.name, container["name"]))
    assert unready == set(NOT_READY)


def test_containers_are_confined(workloads: list[Object]) -> None:
    writable = set()
    for one in workloads:
        for container in containers(one):
            # The security context of a container overrides that of its pod.
            context = pod(one).get("securityContext", {}) | container.get("securityContext", {})
            where = (one.label, container["name"])
            assert context["runAsNonRoot"] is True, where
            assert context["runAsUser"] > 0, where
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            assert not context.get("privileged"), where
            if context.get("readOnlyRootFilesystem") is not True:
                writable.add((one.name, container["name"]))
    assert writable == set(WRITABLE)


def test_only_pods_that_use_the_api_have_a_token(objects: list[Object], workloads: list[Object]) -> None:
    accounts = {one.name: one.value for one in objects if one.kind == "ServiceAccount"}
    mounted = set()
    for one in workloads:
        account = accounts.get(pod(one).get("serviceAccountName", "default"), {})
        if pod(one).get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
            mounted.add(one.name)
    assert mounted == set(TOKENS)


def test_services_select_pods_that_listen(objects: list[Object], workloads: list[Object]) -> None:
    for service in (one for one in objects if one.kind == "Service"):
        wanted = service.value["spec"]["selector"].items()
        (chosen,) = [one for one in workloads if wanted <= one.value["spec"]["template"]["metadata"]["labels"].items()]
        ports = [port for container in pod(chosen)["containers"] for port in container.get("ports", [])]
        listening = {port.get("name") for port in ports} | {port["containerPort"] for port in ports}
        # Dagster's chart declares no port for a code location; the port is an argument.
        listening |= {int(word) for word in pod(chosen)["containers"][0].get("args", []) if word.isdigit()}
        for port in service.value["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in listening, service.label


def test_network_traffic_is_denied_by_default(objects: list[Object]) -> None:
    policy = only(objects, "NetworkPolicy", "default-deny")["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_run_ends_by_itself_before_its_pod_is_killed(objects: list[Object]) -> None:
    dagster = instance(objects)
    monitoring, run = dagster["run_monitoring"], dagster["run_launcher"]["config"]["run_k8s_config"]["pod_spec_config"]
    assert monitoring["enabled"] is True
    assert 0 < monitoring["max_runtime_seconds"] < run["terminationGracePeriodSeconds"]


def test_a_run_whose_pod_ended_is_detected_and_retried(objects: list[Object]) -> None:
    dagster = instance(objects)
    assert 0 < dagster["run_monitoring"]["poll_interval_seconds"] <= 60
    assert dagster["run_retries"]["enabled"] is True
    assert dagster["run_retries"]["max_retries"] > 0


def test_the_number_of_runs_is_limited_and_their_jobs_are_kept(objects: list[Object]) -> None:
    dagster = instance(objects)
    assert dagster["concurrency"]["runs"]["max_concurrent_runs"] > 0
    assert dagster["run_launcher"]["config"]["run_k8s_config"]["job_spec_config"]["ttlSecondsAfterFinished"] > 0


def test_a_run_is_confined_like_its_code_location(objects: list[Object], workloads: list[Object]) -> None:
    launcher = instance(objects)["run_launcher"]["config"]
    spec = launcher["run_k8s_config"]["pod_spec_config"]
    assert spec["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= set(launcher["resources"]["requests"])
    assert "memory" in launcher["resources"]["limits"]
    locations = code_locations(workloads)
    assert locations
    for one in locations:
        (container,) = pod(one)["containers"]
        assert launcher["security_context"] == container["securityContext"], one.label
        assert spec["securityContext"] == pod(one)["securityContext"], one.label


def test_a_run_has_the_configuration_of_its_code_location(objects: list[Object], workloads: list[Object]) -> None:
    launcher = instance(objects)["run_launcher"]["config"]
    (artifacts,) = [
        one.name for one in objects if one.kind == "ConfigMap" and one.name.startswith("floe-compiled-artifacts-")
    ]
    assert mounted_maps(launcher["volumes"], launcher["volume_mounts"])["/etc/floe"] == artifacts
    variables = launcher["run_k8s_config"]["container_config"]["env"]
    assert {"name": "FLOE_COMPILED_ARTIFACTS", "value": "/etc/floe/CompiledArtifacts.json"} in variables
    webserver = next(one for one in workloads if one.name == "dagster-webserver")
    for one in code_locations(workloads):
        (container,) = pod(one)["containers"]
        assert container["image"] == pod(webserver)["containers"][0]["image"], one.label
        assert mounted_maps(pod(one)["volumes"], container["volumeMounts"])["/etc/floe"] == artifacts, one.label
        assert [variable for variable in container["env"] if variable in variables] == variables, one.label
        secrets = [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source]
        assert launcher["env_secrets"] == secrets, one.label


def test_objects_that_runs_refer_to_are_rendered(objects: list[Object]) -> None:
    """floe-validate checks all other references, but not those within dagster.yaml."""
    launcher = instance(objects)["run_launcher"]["config"]
    assert only(objects, "ServiceAccount", launcher["service_account_name"])
    assert only(objects, "ConfigMap", launcher["instance_config_map"])
    (namespace,) = [one.name for one in objects if one.kind == "Namespace"]
    assert launcher["job_namespace"] == namespace


def test_the_workspace_contains_all_code_locations(objects: list[Object], workloads: list[Object]) -> None:
    workspace = yaml.safe_load(only(objects, "ConfigMap", "dagster-workspace-yaml")["data"]["workspace.yaml"])
    servers = [entry["grpc_server"] for entry in workspace["load_from"]]
    assert len(servers) == len(code_locations(workloads))
    for server in servers:
        ports = only(objects, "Service", server["host"])["spec"]["ports"]
        assert server["port"] in [port["port"] for port in ports]
        assert server["location_name"] in repo.current().apps()


def test_backends_of_ingresses_have_two_replicas(objects: list[Object], workloads: list[Object]) -> None:
    if any(one.kind == "Ingress" for one in objects):
        counts = {one.name: replicas(one) for one in workloads}
        assert min(counts["cube-api"], counts["dagster-webserver"], counts["auth-proxy"]) >= 2


@pytest.mark.usefixtures("checkout")
def test_changed_artifacts_restart_the_code_locations() -> None:
    list(charts.pull(repo.current(), ["dev"], stand_ins=True))
    before = parse(render.render(repo.current(), "dev"))
    with repo.current().artifacts_file("dev").open("a") as file:
        file.write("\n")
    after = parse(render.render(repo.current(), "dev"))
    pods = [[pod(one) for one in code_locations(rendered)] for rendered in (before, after)]
    assert pods[0] != pods[1]
    volumes = [instance(rendered)["run_launcher"]["config"]["volumes"] for rendered in (before, after)]
    assert volumes[0] != volumes[1]


def code_locations(objects: list[Object]) -> list[Object]:
    labelled = {"component": "user-deployments"}.items()
    return [one for one in objects if one.kind == "Deployment" and labelled <= one.metadata["labels"].items()]


def mounted_maps(volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> dict[str, Any]:
    """The ConfigMap that is mounted at each path; None for another kind of volume."""
    names = {volume["name"]: volume.get("configMap", {}).get("name") for volume in volumes}
    return {mount["mountPath"]: names[mount["name"]] for mount in mounts}


# The quota of the namespace.

UNITS: dict[str, Decimal | int] = {
    "m": Decimal("0.001"),
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
}


def quantity(text: str | int) -> Decimal:
    """A Kubernetes quantity as a number of cores, bytes or objects."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()  # type: ignore[union-attr] # every quantity matches
    return Decimal(number) * UNITS[unit] if unit else Decimal(number)


def sizes(resources: dict[str, Any]) -> Counter[str]:
    return Counter(
        {f"{group}.{name}": quantity(text) for group, part in resources.items() for name, text in part.items()}
    )


def pod_size(one: Object) -> Counter[str]:
    """The resources of a pod as a quota counts them: init containers run one by one, then all containers together."""
    together = sum((sizes(container["resources"]) for container in pod(one)["containers"]), Counter[str]())
    for container in pod(one).get("initContainers", []):
        together |= sizes(container["resources"])
    together["pods"] = 1
    return together


def times(count: int, size: Counter[str]) -> Counter[str]:
    return Counter({name: count * value for name, value in size.items()})


def replicas(one: Object) -> int:
    return int(one.value["spec"].get("replicas", 1))


def most(one: Object, objects: list[Object]) -> int:
    """The maximum number of replicas: that of its autoscaler, if there is one."""
    for scaler in (other.value["spec"] for other in objects if other.kind == "HorizontalPodAutoscaler"):
        if (scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"]) == (one.kind, one.name):
            return int(scaler["maxReplicas"])
    return replicas(one)


def surge(one: Object, count: int) -> int:
    """The pods that a rolling update adds: by default a quarter, rounded up."""
    strategy = one.value["spec"].get("strategy", {})
    if one.kind != "Deployment" or strategy.get("type") == "Recreate":
        return 0
    extra = strategy.get("rollingUpdate", {}).get("maxSurge", "25%")
    return ceil(count * int(extra.removesuffix("%")) / 100) if isinstance(extra, str) else int(extra)


def test_quota_has_room_for_all_pods_and_runs_and_a_rolling_update(
    objects: list[Object], workloads: list[Object]
) -> None:
    dagster = instance(objects)
    run = sizes(dagster["run_launcher"]["config"]["resources"]) + Counter(pods=1)
    need = times(dagster["concurrency"]["runs"]["max_concurrent_runs"], run)
    for one in workloads:
        count = most(one, objects)
        need += times(count + surge(one, count), pod_size(one))
        for claim in one.value["spec"].get("volumeClaimTemplates", []):
            need += times(count, sizes({"requests": claim["spec"]["resources"]["requests"]}))
    quota = only(objects, "ResourceQuota")["spec"]["hard"]
    assert {"requests.cpu", "requests.memory", "limits.memory", "pods"} <= set(quota)
    short = {name: (str(need[name]), quota[name]) for name in quota if need[name] > quantity(quota[name])}
    assert not short, f"needed and allowed: {short}"
