"""The bootstraps in clusters/, built by kustomize: they must match the repository that they deploy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe import repo
from floe.kubernetes.objects import ENVIRONMENT, Object
from floe.validate.schema import Schemas
from floe.validate.validation import validate
from floe.yaml import load_file
from rendering import ROOT, Tree, by_identity, kustomize

CLUSTERS = ROOT / "clusters"
REPOSITORY = "base/repository/configmap.yaml"
BOOTSTRAPS = sorted(
    file.parent
    for file in CLUSTERS.glob("*/*/kustomization.yaml")
    if file.parts[-3] != "base" and file.parts[-2] != "environment"
)
FLUX = [one for one in BOOTSTRAPS if one.name == "flux"]
ARGO = [one for one in BOOTSTRAPS if one.name == "argocd"]
SECONDS = {"s": 1, "m": 60, "h": 3600}

in_each = pytest.mark.parametrize("folder", BOOTSTRAPS, ids=lambda one: str(one.relative_to(CLUSTERS)))
in_each_flux = pytest.mark.parametrize("folder", FLUX, ids=lambda one: one.parent.name)
in_each_argo = pytest.mark.parametrize("folder", ARGO, ids=lambda one: one.parent.name)


def dump(objects: list[Object]) -> bytes:
    return yaml.safe_dump_all([one.value for one in objects]).encode()


def of(objects: list[Object], kind: str) -> dict[str, dict[str, Any]]:
    """The `spec` of each object of a kind, by name."""
    return {one.name: one.value["spec"] for one in objects if one.kind == kind}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def seconds(duration: str) -> int:
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([smh])", duration))


def test_each_environment_has_bootstraps_for_flux_and_argocd() -> None:
    assert [one.parent.name for one in FLUX] == repo.current().environments()
    assert [one.parent.name for one in ARGO] == sorted(["all", *repo.current().environments()])


@in_each
def test_floe_validate_accepts_the_bootstrap(folder: Path) -> None:
    objects = kustomize(folder)
    assert not [text for one in objects for text in texts(one.value) if re.search(r"\bENV\b", text)]
    report = validate(dump(objects), str(folder), Schemas(strict_kinds=True), checkout=repo.current())
    assert (report.objects, report.findings) == (len(objects), [])
    if folder.parent.name != "all":
        assert {one.annotations.get(ENVIRONMENT) for one in objects} == {folder.parent.name}


@in_each_flux
def test_the_paths_and_sources_of_flux_exist(folder: Path) -> None:
    objects = kustomize(folder)
    kustomizations = of(objects, "Kustomization")
    for spec in kustomizations.values():
        assert (ROOT / spec["path"] / "kustomization.yaml").is_file()
        assert spec["sourceRef"]["name"] in of(objects, "GitRepository")
        assert {one["name"] for one in spec.get("dependsOn", ())} <= set(kustomizations)
    environment = folder.parent.name
    assert kustomizations[f"floe-{environment}"]["path"] == f"./overlays/{environment}/flux"
    assert kustomizations[f"floe-cluster-{environment}"]["path"] == f"./clusters/{environment}/flux"
    assert kustomizations[f"floe-notifications-{environment}"]["postBuild"]["substitute"]["environment"] == environment
    encrypted = {name for name, spec in kustomizations.items() if "decryption" in spec}
    assert {one["name"] for one in kustomizations[f"floe-{environment}"].get("dependsOn", ())} == encrypted
    assert bool(encrypted) == (ROOT / "overlays" / environment / "secrets").is_dir()


def test_environments_share_no_object() -> None:
    by_identity(one for folder in FLUX for one in kustomize(folder))


@in_each_argo
def test_the_paths_and_projects_of_argocd_exist(folder: Path) -> None:
    objects = kustomize(folder)
    (application,) = of(objects, "Application").values()
    assert ROOT / application["source"]["path"] == folder
    (generator,) = (one["git"] for one in of(objects, "ApplicationSet")["floe"]["generators"])
    (pattern,) = (one["path"] for one in generator["directories"])
    names = {path.name for path in ROOT.glob(pattern) if path.is_dir()}
    assert names == ({*repo.current().environments()} if folder.parent.name == "all" else {folder.parent.name})
    projects = of(objects, "AppProject")
    assert {application["project"], of(objects, "ApplicationSet")["floe"]["template"]["spec"]["project"]} == set(
        projects
    )
    settings = {one.name: one.value["data"] for one in objects if one.kind == "ConfigMap"}
    assert settings["argocd-cm"]["kustomize.buildOptions"] == "--enable-helm"


def test_argocds_project_allows_only_the_kinds_in_overlays(stand_ins: Tree) -> None:
    project = of(kustomize(CLUSTERS / "all" / "argocd"), "AppProject")["floe"]
    allowed = {(one["group"], one["kind"]) for one in project["namespaceResourceWhitelist"]}
    objects = [one for environment in repo.current().environments() for one in stand_ins.render(environment)]
    kinds = {(one.api_version.rpartition("/")[0], one.kind) for one in objects}
    assert kinds - allowed == {("", "Namespace")}
    assert allowed - kinds == {("", "Secret")}
    assert project["clusterResourceWhitelist"] == [{"group": "", "kind": "Namespace"}]


@in_each
def test_a_fork_changes_its_addresses_in_one_file(folder: Path, tmp_path: Path) -> None:
    for part in ("clusters", "base"):
        shutil.copytree(ROOT / part, tmp_path / part)
    file = tmp_path / "clusters" / REPOSITORY
    before = load_file(file)["data"]
    after = {key: f"{value}-of-ours" for key, value in before.items()}
    text = file.read_text()
    for key, value in before.items():
        text = text.replace(f"{key}: {value}", f"{key}: {after[key]}")
    file.write_text(text)
    ours = tmp_path / folder.relative_to(ROOT)
    rendered = [text for one in kustomize(ours) for text in texts(one.value)]
    assert {after["url"], after["charts"]} & set(rendered)
    assert not {*before.values()} & set(rendered)


def test_the_addresses_are_in_one_file() -> None:
    urls = [value for value in load_file(CLUSTERS / REPOSITORY)["data"].values() if "://" in value]
    for file in CLUSTERS.rglob("*.yaml"):
        if file != CLUSTERS / REPOSITORY:
            assert not [url for url in urls if url in file.read_text()], file


@pytest.mark.parametrize("environment", repo.current().environments())
def test_timeouts_of_releases_allow_for_runs_and_reverts(environment: str) -> None:
    releases = of(kustomize(repo.current().overlay(environment) / "flux"), "HelmRelease")
    launcher = releases["dagster"]["values"]["runLauncher"]["config"]["k8sRunLauncher"]
    grace = launcher["runK8sConfig"]["podSpecConfig"]["terminationGracePeriodSeconds"]
    for spec in releases.values():
        assert seconds(spec["timeout"]) > grace  # a pod may have to wait until its run ends
        assert seconds(spec["upgrade"]["timeout"]) <= 600  # a revert waits for this timeout
        assert spec["upgrade"]["remediation"]["strategy"] == "rollback"
        assert spec["driftDetection"]["mode"] == "enabled"
    flux = of(kustomize(CLUSTERS / environment / "flux"), "Kustomization")[f"floe-{environment}"]
    assert seconds(flux["timeout"]) < seconds(flux["interval"])
    assert (flux["wait"], flux["prune"]) == (True, True)


def test_the_receiver_names_the_git_repositories() -> None:
    objects = kustomize(CLUSTERS / "base" / "notifications")
    stream = dump(objects).replace(b"${environment}", b"dev")
    report = validate(stream, "notifications", Schemas(), checkout=repo.current())
    # The definitions of notification-controller are not available, so its objects have no schema.
    assert {finding.code for finding in report.findings} == {"FLOE003"}
    receiver = next(one.value["spec"] for one in objects if one.kind == "Receiver")
    sources = {one["name"].replace("${environment}", "dev") for one in receiver["resources"]}
    assert sources == set(of(kustomize(CLUSTERS / "dev" / "flux"), "GitRepository"))


def test_charts_and_overlays_have_the_same_hardening() -> None:
    """base/hardening is a post-renderer of the HelmRelease, because it is not a value of floe's chart."""
    spec = of(kustomize(CLUSTERS / "dev" / "flux-chart"), "HelmRelease")["floe-dev"]
    (renderer,) = spec["postRenderers"]
    files = [file for file in sorted((ROOT / "base" / "hardening").glob("*.yaml")) if file.stem != "kustomization"]
    wanted = [{key: one[key] for key in ("target", "patch")} for one in map(load_file, files)]
    patches = sorted(renderer["kustomize"]["patches"], key=lambda one: one["patch"])
    assert patches == sorted(wanted, key=lambda one: one["patch"])
