"""A fork of this repository that a cluster of tests can follow: what the tests' overlay changes is in its values.

What `tests/cluster/overlay` lays over rendered manifests goes here to where a fork would write it, since controllers
render by themselves: into base/hardening, into overlays/dev, and into the places that say where Git and charts are.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.deployed import OVERLAY, Deployed
from floe import charts, repo
from floe.yaml import load_file
from forks import commit, git
from gitops import forge
from rendering import ROOT, copy_repository

Values = dict[str, Any]
BRANCH = "main"
_SERVICES = OVERLAY / "services"


@dataclass(frozen=True)
class Fork:
    """A working tree, and the repository that it is pushed to."""

    folder: Path
    remote: Path

    def push(self, message: str) -> str:
        """Commit everything and push it; returns the commit."""
        commit(self.folder, message)
        return self._pushed()

    def revert(self, broken: str) -> str:
        """Push a commit that takes another one back; returns it."""
        git(self.folder, "revert", "--no-edit", broken)
        return self._pushed()

    def merge(self, branch: str) -> str:
        """Push what a branch has more; returns its commit."""
        git(self.folder, "merge", "--quiet", "--ff-only", branch)
        return self._pushed()

    def _pushed(self) -> str:
        git(self.folder, "push", "--quiet", str(self.remote), BRANCH)
        return git(self.folder, "rev-parse", "HEAD")

    def edit(self, file: str, change: Callable[[Values], object]) -> None:
        """Change what a YAML file of the working tree holds."""
        path = self.folder / file
        value = load_file(path)
        change(value)
        path.write_text(yaml.safe_dump(value, sort_keys=False))

    def set_tag(self, environment: str, chart: str, tag: str) -> None:
        """Let an overlay name another image: `floe pin` without its digest, which no local image has."""

        def change(value: Values) -> None:
            values = value["valuesInline"]
            (values["dagsterWebserver"] if chart == "dagster" else values)["image"]["tag"] = tag

        self.edit(f"overlays/{environment}/values/{chart}.yaml", change)

    def pulled(self) -> list[charts.Chart]:
        """The charts that dev pins, where they lie."""
        return charts.pinned("dev", root=self.folder)


def make(folder: Path, remote: Path, dev: Deployed, mirror: str | None) -> Fork:
    """A fork with the substitutions, not committed yet, its charts pulled: the mirror's, or else the stand-ins.

    `dev` says what of its artifacts is otherwise in a cluster of tests.
    """
    copy_repository(folder)
    for part in ("clusters", str(OVERLAY)):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / ".gitignore", folder)
    git(folder, "init", "--quiet", "--initial-branch", BRANCH)
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.com"), ("commit.gpgsign", "false")):
        git(folder, "config", name, value)
    fork = Fork(folder, remote)
    _where_things_are(fork)
    _hardening(fork)
    _dev(fork, dev)
    list(charts.pull(repo.environments(folder), mirror, stand_ins=not mirror, root=folder))
    return fork


def as_dev(fork: Fork, environment: str) -> None:
    """Let an overlay be what dev is, under its own names: what it is itself takes Trino and an identity provider."""
    source, target = fork.folder / "overlays" / "dev", fork.folder / "overlays" / environment
    shutil.rmtree(target)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("secrets"))
    for file in target.rglob("*"):
        if file.is_file() and "charts" not in file.relative_to(target).parts:
            text = file.read_text()
            for old in ("floe-{}", "floe_{}", "environment: {}", '"environment": "{}"', "overlays/{}"):
                text = text.replace(old.format("dev"), old.format(environment))
            text = text.replace("specification: follow", "specification: promoted")
            file.write_text(text.replace('"specification": "follow"', '"specification": "promoted"'))


def by_chart(fork: Fork, environment: str) -> None:
    """Let clusters/ have the second way of Flux for an environment: dev's, under its own name."""
    folder = fork.folder / "clusters" / environment / "flux-chart"
    shutil.copytree(fork.folder / "clusters/dev/flux-chart", folder)
    file = folder / "kustomization.yaml"
    file.write_text(file.read_text().replace("values-dev.yaml", f"values-{environment}.yaml"))


def _where_things_are(fork: Fork) -> None:
    for chart in fork.pulled():
        fork.edit(f"base/charts/{chart.name}.yaml", lambda value: value.update(repo=forge.CHARTS))
    places = {"url": forge.GIT, "branch": BRANCH, "charts": forge.OWN_CHARTS}
    fork.edit("clusters/base/repository/configmap.yaml", lambda value: value["data"].update(places))
    # The registry of the tests speaks no TLS.
    fork.edit("clusters/base/flux-chart/helmrepository.yaml", lambda value: value["spec"].update(insecure=True))


def _hardening(fork: Fork) -> None:
    """What the overlay of the tests changes in pods of charts: Cube without Cube Store, and that without pods."""
    common = load_file(fork.folder / OVERLAY / "common" / "kustomization.yaml")
    (cube,) = (one["patch"] for one in common["patches"] if one["target"]["kind"] == "Deployment")
    (container,) = yaml.safe_load(cube)["spec"]["template"]["spec"]["containers"]

    def with_env(patch: Values) -> None:
        patch["spec"]["template"]["spec"]["containers"][0]["env"] = container["env"]

    _patch(fork, "cube", with_env)
    _patch(fork, "cubestore", lambda patch: patch["spec"].update(replicas=0))


def _patch(fork: Fork, name: str, change: Callable[[Values], object]) -> None:
    def changed(value: Values) -> None:
        patch = yaml.safe_load(value["patch"])
        change(patch)
        value["patch"] = yaml.safe_dump(patch, sort_keys=False)

    fork.edit(f"base/hardening/{name}.yaml", changed)


def _dev(fork: Fork, dev: Deployed) -> None:
    """The services that dev has outside, beside it, and the platform that they are."""
    artifacts = dev.artifacts()
    artifacts.platform.secrets.append("floe-services")
    platform = artifacts.platform.model_dump(mode="json", exclude_none=True)
    (fork.folder / "overlays/dev/platform.yaml").write_text(yaml.safe_dump(platform, sort_keys=False))
    (fork.folder / "overlays/dev/compiled/CompiledArtifacts.json").write_text(artifacts.text())
    fork.edit(f"{_SERVICES}/kustomization.yaml", lambda value: value["resources"].remove("client.yaml"))
    tested = load_file(fork.folder / OVERLAY / "dev" / "kustomization.yaml")

    def with_services(value: Values) -> None:
        value["resources"].append(f"../../../{_SERVICES}")
        value["patches"] += tested["patches"]

    fork.edit("overlays/dev/objects/kustomization.yaml", with_services)
