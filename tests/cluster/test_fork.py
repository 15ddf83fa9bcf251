"""A second environment and a second app, made by `floe new`, side by side with the first ones, and then removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import ci
from cluster.deployed import (
    LOCATION,
    OVERLAY,
    READY_SECONDS,
    RUN,
    SERVER,
    Deployed,
    environment,
    moment,
    proxied,
    wait_for,
    window,
)
from cluster.kubectl import Kubectl
from floe import charts, image_builds, repo
from floe.charts import packaging
from floe.repo import Checkout
from floe.yaml import edit as yaml_edit
from forks import commit, edit, floe, git, with_known_values
from images.build import of_fork
from rendering import by_identity, parse
from timings import took

APP, ENVIRONMENT = "returns", "qa"
APPS = {LOCATION: "", APP: f"{APP}_"}
"""The prefix of each app's namespaces."""
NAMESPACES = {prefix + kind for prefix in APPS.values() for kind in ("raw", "marts")}
TAG = "0.1.0-fork"
_TABLES = """
import json
from collections import Counter
from pathlib import Path
from floe_runtime.connect import open_catalog
from floe_runtime.contract.artifacts import CompiledArtifacts
artifacts = CompiledArtifacts.model_validate_json(Path("/etc/floe/CompiledArtifacts.json").read_text())
catalog = open_catalog(artifacts.platform)
found = {}
for (namespace,) in catalog.list_namespaces():
    for table in {(namespace, "orders"), (namespace, "fct_orders")} & set(catalog.list_tables(namespace)):
        rows = catalog.load_table(table).scan().to_arrow()
        name = "_batch_id" if "_batch_id" in rows.column_names else "batch_id"
        found[namespace] = Counter(rows[name].to_pylist())
print(json.dumps(found))
"""
"""What a code location's pod runs: it prints the orders of each batch in each namespace of the catalog."""

_ONE_REPLICA = """\
  - target: {kind: Deployment}
    patch: |
      - {op: add, path: /spec/replicas, value: 1}
"""
"""One more item of `patches` in a kustomization.yaml."""


@dataclass(frozen=True)
class Fork:
    """A fork on a cluster, with dev and the new environment, and the commit before these were made."""

    folder: Path
    before: str
    dev: Deployed
    qa: Deployed

    def run(self, *arguments: str) -> str:
        """Run floe in the fork; returns its output. Raises AssertionError if it fails."""
        done = floe(self.folder, *arguments)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


@pytest.fixture(scope="module")
def fork(
    cluster: Kubectl, load: Callable[[Sequence[Path]], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fork]:
    """Both environments, ready, each with both apps. Nothing else runs on the cluster."""
    temporary = tmp_path_factory.mktemp("fork")
    checkout = Checkout(temporary / "a fork of ours")
    before = _made(checkout)
    with proxied(cluster) as url:
        dev, qa = (environment(name, cluster, temporary / name, url, checkout) for name in ("dev", ENVIRONMENT))
        one = Fork(checkout.root, before, dev, qa)
        one.run("new", "env", ENVIRONMENT, "--from", "staging")
        edit(checkout.platform_file(ENVIRONMENT), "\nmarts:", "\nsynthetic: true # staging loads none\nmarts:")
        one.run("new", "app", APP, "--from", LOCATION, "--env", "dev", "--env", ENVIRONMENT)
        # dev follows the specification, and the new environment keeps the one that it got, so their rows differ.
        edit(checkout.app(APP) / "floe.yaml", "orders_per_day: ", "orders_per_day: 3")
        one.run("compile", "dev")
        one.run("charts", "sync")
        commit(checkout.root, "A second environment and a second app")
        with took("fork: s to build and load its images"), of_fork(checkout, TAG) as images:
            load(images)
        with took("fork: s from applied to all Ready, in both environments"):
            for each in (dev, qa):
                assert not each.apply()
            for each in (dev, qa):
                each.wait_ready()
        yield one
        dev.delete()
        if _exists(qa):  # after a failure: otherwise a test has deleted it
            qa.delete()


def _made(checkout: Checkout) -> str:
    """Make a fork of this repository with images of its own; returns its commit."""
    folder = checkout.root
    ci.copy_tree(folder)
    with_known_values(folder, charts=True)
    list(charts.pull(checkout, checkout.environments(), stand_ins=True, source=repo.current()))
    for overlay in ("dev", "staging"):
        for name, steps in image_builds.PLACES.values():
            file = checkout.overlay(overlay) / "values" / name
            file.write_text(yaml_edit.replace(file.read_text(), {".".join(steps): TAG}, name))
    packaging.write(checkout, [*packaging.changes(checkout)])
    # On the node, the new environment needs what prod needs. The node is small for two environments.
    shutil.copytree(folder / OVERLAY / "prod", folder / OVERLAY / ENVIRONMENT)
    for file in (folder / OVERLAY / ENVIRONMENT).iterdir():
        file.write_text(file.read_text().replace("floe-prod", f"floe-{ENVIRONMENT}"))
    with (folder / OVERLAY / ENVIRONMENT / "kustomization.yaml").open("a") as patches:
        patches.write(_ONE_REPLICA)
    edit(folder / OVERLAY / "dev/kustomization.yaml", "  - ../common\n", "  - ../common\n  - ../small-node\n")
    edit(folder / OVERLAY / "services/client.yaml", "floe-dagster:0.1.0", f"floe-dagster:{TAG}")
    return commit(folder, "Images of our own")


def test_nothing_crosses_between_two_environments_and_two_apps(fork: Fork) -> None:
    environments = (fork.dev, fork.qa)
    launched = {(one.environment, app): _launched(one, app) for one in environments for app in APPS}
    for one in environments:
        mine = {run for (where, _), (_, run) in launched.items() if where == one.environment}
        for run in mine:
            assert one.follow(run) == "SUCCESS", one.why()
        started = {pod["metadata"]["labels"]["dagster/run-id"] for pod in one.pods(RUN)}
        assert started & {run for _, run in launched.values()} == mine
        in_tables = _tables(one)
        assert in_tables.keys() == NAMESPACES
        for app, prefix in APPS.items():
            at, _ = launched[one.environment, app]
            shown = one.wait_for_orders(at, seconds=90, app=app)
            ends = {window(batch)[1] for batch in shown}
            assert ends & {at for at, _ in launched.values()} == {at}
            for kind in ("raw", "marts"):
                rows = in_tables[prefix + kind]
                assert rows
                assert rows.items() <= shown.items(), (one.environment, app, kind)


def test_both_are_removed_and_dev_goes_on(fork: Fork) -> None:
    dev, qa = fork.dev, fork.qa
    fork.run("remove", "app", APP)
    commit(fork.folder, "Without the app")  # `floe remove env` refuses what is in no commit
    rendered = dev.built()
    dev.apply(rendered)
    before, after = (by_identity(parse(manifests)) for manifests in (dev.manifests, rendered))
    gone = [value for key, value in before.items() if key not in after]
    assert {"Deployment", "Service", "ConfigMap"} == {one["kind"] for one in gone}
    dev.kubectl("delete", "--filename=-", stdin=yaml.safe_dump_all(gone).encode())
    with took(f"fork: s to delete {ENVIRONMENT}"):
        qa.delete()
    assert not _exists(qa)
    fork.run("remove", "env", ENVIRONMENT)
    git(fork.folder, "add", "--all")
    assert git(fork.folder, "diff", "--cached", "--stat", fork.before) == ""

    dev.wait_ready()
    wait_for(lambda: dev.loaded() and dev.dagster.locations() == {LOCATION}, 60, dev.why)
    wait_for(lambda: not [pod for pod in dev.pods("!job-name") if APP in pod["metadata"]["name"]], 60, dev.why)
    tables = _tables(dev)
    assert tables.keys() == NAMESPACES, "the tables of a removed app stay"
    dev.wait_for_orders(*(window(batch)[1] for batch in tables["marts"]), seconds=90)


def _exists(one: Deployed) -> bool:
    """Whether the namespace of an environment exists."""
    return one.kubectl.run("get", "namespace", one.namespace).returncode == 0


def _launched(one: Deployed, app: str) -> tuple[str, str]:
    """Launch the pipeline of an app as soon as it is loaded; returns the time until which it loads, and its run."""
    wait_for(lambda: one.loaded(app), 60, one.why)
    at = moment()
    return at, one.launch(at, app)


def _tables(one: Deployed) -> dict[str, dict[str, int]]:
    """The orders of each batch in each namespace of an environment's catalog, as a code location's pod sees them."""
    (pod, *_) = one.ready_pods(SERVER)
    program = ("exec", pod["metadata"]["name"], "--", "python", "-c", _TABLES)
    return dict(json.loads(one.kubectl(*program, timeout=READY_SECONDS)))
