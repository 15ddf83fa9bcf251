"""Makes a fork of this repository that a cluster of the tests can follow.

`tests/cluster/overlay` changes rendered manifests, which is not possible here because controllers render by themselves.
So the same changes are made in the sources, where a fork would make them: in base/hardening, in overlays/dev, and in
the files that name the Git server and the chart repositories.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.deployed import OVERLAY, Deployed
from floe import charts
from floe.repo import Checkout
from floe.yaml import load_file
from forks import commit, git
from gitops import forge
from rendering import ROOT, copy_repository

Values = dict[str, Any]
BRANCH = "main"
_SERVICES = OVERLAY / "services"


@dataclass(frozen=True)
class Fork:
    """A working tree, and the repository to which it is pushed."""

    folder: Path
    remote: Path

    def push(self, message: str) -> str:
        """Commit everything and push it; returns the commit."""
        commit(self.folder, message)
        return self._pushed()

    def revert(self, broken: str) -> str:
        """Revert a commit and push; returns the new commit."""
        git(self.folder, "revert", "--no-edit", broken)
        return self._pushed()

    def merge(self, branch: str) -> str:
        """Merge a branch by fast-forward and push; returns its commit."""
        git(self.folder, "merge", "--quiet", "--ff-only", branch)
        return self._pushed()

    def _pushed(self) -> str:
        git(self.folder, "push", "--quiet", str(self.remote), BRANCH)
        return git(self.folder, "rev-parse", "HEAD")

    def edit(self, file: str, change: Callable[[Values], object]) -> None:
        """Change the content of a YAML file of the working tree; `change` gets the content and modifies it."""
        path = self.folder / file
        value = load_file(path)
        change(value)
        path.write_text(yaml.safe_dump(value, sort_keys=False))

    def set_tag(self, environment: str, chart: str, tag: str) -> None:
        """Set another image tag in an overlay, as `floe pin` does, but without a digest, which local images lack."""

        def change(value: Values) -> None:
            values = value["valuesInline"]
            (values["dagsterWebserver"] if chart == "dagster" else values)["image"]["tag"] = tag

        self.edit(f"overlays/{environment}/values/{chart}.yaml", change)

    def pulled(self) -> list[charts.Chart]:
        """The charts that dev pins, in the folder of the fork."""
        return charts.pinned(Checkout(self.folder), "dev")


def make(folder: Path, remote: Path, dev: Deployed, mirror: str | None) -> Fork:
    """Make a fork with the changes for the tests, which is not committed yet.

    `remote`: the repository to push to. `dev`: gives the CompiledArtifacts for a cluster of the tests. `mirror`: the
    chart mirror to pull from; without one, the stand-in charts are used.
    """
    copy_repository(folder)
    shutil.copytree(ROOT / OVERLAY, folder / OVERLAY)
    shutil.copy(ROOT / ".gitignore", folder)
    git(folder, "init", "--quiet", "--initial-branch", BRANCH)
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.com"), ("commit.gpgsign", "false")):
        git(folder, "config", name, value)
    fork = Fork(folder, remote)
    _where_things_are(fork)
    _hardening(fork)
    _dev(fork, dev)
    checkout = Checkout(folder)
    list(charts.pull(checkout, checkout.environments(), mirror, stand_ins=not mirror))
    return fork


def as_dev(fork: Fork, environment: str) -> None:
    """Replace an overlay with a copy of dev under its own names, as it would need Trino and an identity provider."""
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
    """Add the deployment by floe's own chart with Flux (flux-chart) for an environment, as a copy of that of dev."""
    folder = fork.folder / "clusters" / environment / "flux-chart"
    shutil.copytree(fork.folder / "clusters/dev/flux-chart", folder)
    file = folder / "kustomization.yaml"
    file.write_text(file.read_text().replace("values-dev.yaml", f"values-{environment}.yaml"))


def _where_things_are(fork: Fork) -> None:
    for chart in fork.pulled():
        fork.edit(f"base/charts/{chart.name}.yaml", lambda value: value.update(repo=forge.CHARTS))
    places = {"url": forge.GIT, "branch": BRANCH, "charts": forge.OWN_CHARTS}
    fork.edit("clusters/base/repository/configmap.yaml", lambda value: value["data"].update(places))
    # The registry of the tests does not use TLS.
    fork.edit("clusters/base/flux-chart/helmrepository.yaml", lambda value: value["spec"].update(insecure=True))


def _hardening(fork: Fork) -> None:
    """Change the pods of charts as the overlay of the tests does: Cube runs without Cube Store, which gets no pods."""
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
    """Add the services that dev expects outside of the cluster, and describe them in its platform.yaml."""
    artifacts = dev.artifacts()
    artifacts.platform.secrets.append("floe-services")
    platform = artifacts.platform.model_dump(mode="json", exclude_none=True)
    platform["apps"] = {  # not part of CompiledArtifacts
        name: changes.model_dump(exclude_defaults=True) for name, changes in artifacts.platform.apps.items()
    }
    (fork.folder / "overlays/dev/platform.yaml").write_text(yaml.safe_dump(platform, sort_keys=False))
    (fork.folder / "overlays/dev/compiled/CompiledArtifacts.json").write_text(artifacts.text())
    fork.edit(f"{_SERVICES}/kustomization.yaml", lambda value: value["resources"].remove("client.yaml"))
    tested = load_file(fork.folder / OVERLAY / "dev" / "kustomization.yaml")

    def with_services(value: Values) -> None:
        value["resources"].append(f"../../../{_SERVICES}")
        value["patches"] = tested["patches"]

    fork.edit("overlays/dev/objects/kustomization.yaml", with_services)
