"""What the overlays render: always from the stand-in charts, and from the upstream charts where a mirror has them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe import charts, render, repo, yamlio

Object = dict[str, Any]
Objects = dict[tuple[str, str], Object]

ROOT = Path(__file__).parents[2]
NO_MIRROR = "no chart mirror: set FLOE_CHART_MIRROR to a folder with the upstream charts"
CODE_LOCATION = ("Deployment", "dagster-dagster-user-deployments-ecommerce")
WORKLOADS = {
    CODE_LOCATION,
    ("Deployment", "cube-api"),
    ("Deployment", "cube-worker"),
    ("Deployment", "dagster-daemon"),
    ("Deployment", "dagster-webserver"),
    ("StatefulSet", "cubestore-router"),
    ("StatefulSet", "cubestore-workers"),
}
SECRETS = {"floe-catalog", "floe-cube", "floe-object-store", "floe-postgres"}


class Tree:
    """A copy of what kustomize reads, with the charts of one origin in their places."""

    def __init__(self, folder: Path, mirror: str | None) -> None:
        """With a mirror the charts are the upstream ones, else the stand-ins."""
        self.folder = folder
        for part in ("base", "overlays", "apps"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("target", "logs"))
        for pulled in folder.glob("overlays/*/charts"):
            shutil.rmtree(pulled)
        with self._as_repository():
            if mirror:
                list(charts.pull(["dev", "prod"], mirror))
            else:
                for chart in [*charts.pinned("dev"), *charts.pinned("prod")]:
                    shutil.copytree(ROOT / "tests" / "charts" / chart.name, chart.path)

    def render(self, environment: str) -> Objects:
        """The overlay's objects by kind and name."""
        with self._as_repository():
            text = render.render(environment)
        found: list[Object] = [document.value for document in yamlio.documents(text, environment)]
        objects = {(one["kind"], one["metadata"]["name"]): one for one in found}
        assert len(objects) == len(found), "two objects have one identity"
        return objects

    @contextmanager
    def _as_repository(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FLOE_ROOT", str(self.folder))
            repo.root.cache_clear()
            yield
        repo.root.cache_clear()


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("stand-ins"), None)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    mirror = os.environ.get(charts.MIRROR)
    return Tree(tmp_path_factory.mktemp("upstream"), mirror) if mirror else pytest.skip(NO_MIRROR)


@pytest.fixture(scope="module", params=["dev", "prod"])
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["stand_ins", "upstream"])
def objects(request: pytest.FixtureRequest, environment: str) -> Objects:
    tree: Tree = request.getfixturevalue(request.param)
    return tree.render(environment)


def pod(one: Object) -> Object:
    spec: Object = one["spec"]["template"]["spec"]
    return spec


def containers(one: Object) -> list[Object]:
    return [*pod(one).get("initContainers", []), *pod(one)["containers"]]


def mounted(spec: Object) -> dict[str, Any]:
    """Name of the ConfigMap behind each path of a container or run, from its volumes and mounts."""
    volumes = {volume["name"]: volume.get("configMap", {}).get("name") for volume in spec["volumes"]}
    return {mount["mountPath"]: volumes[mount["name"]] for mount in spec["volumeMounts"]}


def run_launcher(objects: Objects) -> Object:
    instance = yaml.safe_load(objects["ConfigMap", "dagster-instance"]["data"]["dagster.yaml"])
    config: Object = instance["run_launcher"]["config"]
    return config


def test_every_workload_is_there(objects: Objects) -> None:
    assert {key for key, one in objects.items() if "template" in one.get("spec", {})} == WORKLOADS


def test_objects_carry_environment_and_namespace(environment: str, objects: Objects) -> None:
    for (kind, name), one in objects.items():
        assert one["metadata"]["annotations"]["floe-runtime.io/environment"] == environment, name
        assert kind == "Namespace" or one["metadata"]["namespace"] == f"floe-{environment}", name
    for key in WORKLOADS:  # it would restart the pods of a promotion for nothing
        assert "floe-runtime.io/environment" not in objects[key]["spec"]["template"]["metadata"].get("annotations", {})


def test_no_credential_is_rendered(environment: str, objects: Objects) -> None:
    assert not [name for kind, name in objects if kind == "Secret"]
    referred = set()
    for key in WORKLOADS:
        for container in containers(objects[key]):
            for variable in container.get("env", []):
                secret = variable.get("valueFrom", {}).get("secretKeyRef")
                referred |= {secret["name"]} if secret else set()
                assert secret or not variable["name"].endswith(
                    ("_PASS", "_PASSWORD", "_SECRET", "_KEY", "_KEY_ID", "_USER")
                )
            referred |= {
                source["secretRef"]["name"] for source in container.get("envFrom", []) if "secretRef" in source
            }
    assert referred == SECRETS | ({"floe-trino"} if environment == "prod" else set())


def test_containers_are_sized_pinned_and_confined(objects: Objects) -> None:
    for key in WORKLOADS:
        assert pod(objects[key])["securityContext"]["runAsNonRoot"] is True, key
        assert pod(objects[key])["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, key
        for container in containers(objects[key]):
            where = (*key, container["name"])
            for group in ("requests", "limits"):
                assert set(container["resources"][group]) == {"cpu", "memory"}, where
            assert container["image"].rpartition(":")[2].lstrip("v")[:1].isdigit(), where
            confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            assert container["securityContext"] == confined, where


def test_what_pods_need_is_rendered(objects: Objects) -> None:
    for key in WORKLOADS:
        one = objects[key]
        assert ("ServiceAccount", pod(one)["serviceAccountName"]) in objects
        needed = [volume["configMap"] for volume in pod(one).get("volumes", []) if "configMap" in volume]
        for container in containers(one):
            needed += [source["configMapRef"] for source in container.get("envFrom", []) if "configMapRef" in source]
        for reference in needed:
            assert ("ConfigMap", reference["name"]) in objects, key
    assert ("ServiceAccount", run_launcher(objects)["service_account_name"]) in objects


def test_services_select_pods_that_listen(objects: Objects) -> None:
    templates = [objects[key]["spec"]["template"] for key in WORKLOADS]
    for (kind, name), service in objects.items():
        if kind != "Service":
            continue
        wanted = service["spec"]["selector"].items()
        (chosen,) = [template for template in templates if wanted <= template["metadata"]["labels"].items()]
        ports = [port for container in chosen["spec"]["containers"] for port in container.get("ports", [])]
        listening = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
        for port in service["spec"]["ports"]:
            # Dagster's chart declares no port of a code location: it is an argument.
            assert (
                port.get("targetPort", port["port"]) in listening
                or str(port["port"]) in chosen["spec"]["containers"][0]["args"]
            ), name


def test_code_location_and_its_runs_are_the_platforms(environment: str, objects: Objects) -> None:
    (container,) = pod(objects[CODE_LOCATION])["containers"]
    (webserver,) = pod(objects["Deployment", "dagster-webserver"])["containers"]
    assert container["image"] == webserver["image"]
    assert container["args"][-4:] == ["-m", "ecommerce.definitions", "-d", "/app/apps/ecommerce"]
    workspace = yaml.safe_load(objects["ConfigMap", "dagster-workspace-yaml"]["data"]["workspace.yaml"])
    assert workspace == {
        "load_from": [{"grpc_server": {"host": "ecommerce", "port": 3030, "location_name": "ecommerce"}}]
    }
    assert objects["Service", "ecommerce"]["spec"]["ports"][0]["port"] == 3030

    # A run reads the same artifacts with the same secrets, and is admitted under the same Pod Security level.
    run = run_launcher(objects)
    (artifacts,) = [
        name for kind, name in objects if kind == "ConfigMap" and name.startswith("floe-compiled-artifacts-")
    ]
    assert mounted(pod(objects[CODE_LOCATION]) | container) == {"/etc/floe": artifacts}
    assert mounted({"volumes": run["volumes"], "volumeMounts": run["volume_mounts"]}) == {"/etc/floe": artifacts}
    variable = {"name": "FLOE_COMPILED_ARTIFACTS", "value": "/etc/floe/CompiledArtifacts.json"}
    assert variable in container["env"]
    assert variable in run["run_k8s_config"]["container_config"]["env"]
    secrets = [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source]
    assert run["env_secrets"] == secrets
    assert run["security_context"] == container["securityContext"]
    assert run["run_k8s_config"]["pod_spec_config"]["securityContext"] == pod(objects[CODE_LOCATION])["securityContext"]
    assert run["job_namespace"] == f"floe-{environment}"


def test_prod_answers_while_one_pod_is_away(stand_ins: Tree) -> None:
    objects = stand_ins.render("prod")
    for name in ("cube-api", "dagster-webserver"):
        assert objects["Deployment", name]["spec"]["replicas"] >= 2


def test_changed_artifacts_restart_the_code_location(stand_ins: Tree) -> None:
    before = stand_ins.render("dev")
    file = stand_ins.folder / "overlays" / "dev" / "compiled" / "CompiledArtifacts.json"
    text = file.read_text()
    file.write_text(text + "\n")
    try:
        after = stand_ins.render("dev")
    finally:
        file.write_text(text)
    assert pod(before[CODE_LOCATION]) != pod(after[CODE_LOCATION])
    assert run_launcher(before)["volumes"] != run_launcher(after)["volumes"]


def test_stand_ins_render_what_the_upstream_charts_do(environment: str, stand_ins: Tree, upstream: Tree) -> None:
    ours, theirs = stand_ins.render(environment), upstream.render(environment)
    assert set(ours) == set(theirs)
    for key, one in theirs.items():
        assert comparable(ours[key].get("spec")) == comparable(one.get("spec")), key
    launcher = run_launcher(theirs)
    assert run_launcher(ours) == {name: launcher[name] for name in run_launcher(ours)}


def comparable(value: Any, key: str = "") -> Any:
    """A spec without what may differ: commands and annotations, the order of variables, and empty against absent."""
    if isinstance(value, dict):
        kept = {
            name: comparable(part, name)
            for name, part in value.items()
            if name not in {"command", "annotations"} or key == "exec"
        }
        return {name: part for name, part in kept.items() if part not in (None, {}, [])}
    if isinstance(value, list):
        parts = [comparable(part) for part in value]
        return sorted(parts, key=lambda part: str(part["name"])) if key == "env" else parts
    return value
