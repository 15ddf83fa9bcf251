"""Floe's charts: written from the overlays, taken by both Helms and floe-validate; what is wrong, refused in words."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from floe import repo
from floe.validate.schema import Schemas
from floe.validate.validation import validate
from floe.yaml.commented import comments, dump
from forks import floe
from helm import CHARTS, HOOK, KUBERNETES, Helm, values_of, written
from rendering import ROOT, Tree, Values, kustomize

VERSION_7 = json.dumps({"version": 7, "environment": "dev"})


@pytest.fixture(scope="module")
def charts(tree: Tree) -> Path:
    """The folder charts/ with its dependencies in place."""
    return tree.folder / "charts"


@pytest.mark.parametrize("chart", CHARTS)
def test_lint(helm: Helm, charts: Path, chart: str) -> None:
    for environment in repo.current().environments():
        options = ["--kube-version", KUBERNETES, *values_of(charts, chart, environment)]
        done = helm.run("lint", "--strict", charts / chart, *options)
        assert done.returncode == 0, done.stdout + done.stderr


def test_floe_validate_takes_it(helm: Helm, charts: Path, environment: str) -> None:
    """As it is with the post-renderer, in the umbrella, hooks and all."""
    found = helm.template(
        charts / "floe-runtime", *values_of(charts, "floe-runtime", environment), *helm.hardened(charts), release="floe"
    )
    report = validate(
        yaml.safe_dump_all([one.value for one in found]).encode(),
        "helm",
        Schemas(),
        environment,
        checkout=repo.current(),
    )
    assert len(found) > 30
    # A stand-in says that it is one, and this repository has placeholders, which a fork replaces.
    assert {one.code for one in report.findings} <= {"FLOE020", "FLOE030"}, report.findings


def test_hooks_ask_everything_and_are_as_confined_as_the_rest(helm: Helm, charts: Path) -> None:
    found = helm.template(charts / "floe-runtime", *values_of(charts, "floe-runtime", "prod"), release="floe")
    hooks = {one.name: one.value for one in found if HOOK in one.annotations}
    pods = {name: one["spec"] for name, one in hooks.items() if one["kind"] == "Pod"}
    assert set(pods) == {"floe-test-webserver", "floe-test-cube", "floe-test-preflight"}
    for spec in pods.values():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    variables = {one["name"] for one in pods["floe-test-preflight"]["containers"][0]["env"]}
    assert variables >= {
        "FLOE_TRINO_PASSWORD",
        "FLOE_POSTGRES_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "FLOE_COMPILED_ARTIFACTS",
    }


def mounted(helm: Helm, charts: Path, *options: str | Path) -> tuple[set[str], list[str]]:
    """Names of the ConfigMaps of CompiledArtifacts that pods mount, and of those that are rendered."""
    found = helm.template(charts / "floe-dagster", *values_of(charts, "floe-dagster", "dev"), *options, release="floe")
    text = json.dumps([one.value for one in found])
    names = [
        one.name
        for one in found
        if one.kind == "ConfigMap" and "CompiledArtifacts.json" in (one.value.get("data") or {})
    ]
    return set(re.findall(r"floe-compiled-artifacts[-a-z0-9]*|another-configmap", text)), names


def test_another_artifact_replaces_the_pods(helm: Helm, charts: Path, tmp_path: Path) -> None:
    """By value, by file, by the name of one that is there."""
    before, rendered = mounted(helm, charts)
    assert before == set(rendered)
    file = tmp_path / "CompiledArtifacts.json"
    artifacts = json.loads(repo.current().artifacts_file("dev").read_text())
    artifacts["platform"]["compute"]["threads"] = 7
    file.write_text(json.dumps(artifacts))
    after, rendered = mounted(helm, charts, "--set-file", f"floe.compiledArtifacts.value={file}")
    assert after == set(rendered)
    assert before.isdisjoint(after)
    assert mounted(helm, charts, "--set", "floe.compiledArtifacts.existingConfigMap=another-configmap") == (
        {"another-configmap"},
        [],
    )


def test_parts_by_condition(helm: Helm, charts: Path) -> None:
    def kinds(*off: str) -> set[str]:
        options = [text for name in off for text in ("--set", f"{name}=false")]
        chart = charts / "floe-runtime"
        found = helm.template(chart, *values_of(charts, "floe-runtime", "dev"), *options, release="floe")
        return {one.name for one in found if one.kind in ("Deployment", "StatefulSet")}

    everything = kinds()
    dagster = {name for name in everything if name.startswith("floe-")}
    assert kinds("floe-cube.enabled") == dagster
    assert kinds("floe-dagster.enabled") == everything - dagster
    assert kinds("floe-cube.cubestore.enabled") == {name for name in everything if "cubestore" not in name}


REFUSED: dict[str, tuple[str, Values, str]] = {
    "no environment": (
        "floe-dagster",
        {"floe": {"environment": ""}},
        "name the environment: add --values charts/floe-dagster/",
    ),
    "no environment below the umbrella": (
        "floe-runtime",
        {"floe-dagster": {"floe": {"environment": ""}}},
        "floe-dagster: name the environment: add --values charts/floe-runtime/",
    ),
    "no artifacts below the umbrella": (
        "floe-runtime",
        {"floe-dagster": {"floe": {"compiledArtifacts": {"value": ""}}}},
        "--set-file floe-dagster\\.floe\\.compiledArtifacts\\.value=overlays/dev/",
    ),
    "an unknown key": ("floe-dagster", {"floe": {"egres": {}}}, "additional propert.*egres"),
    "an unknown part": ("floe-runtime", {"floe-cubes": {}}, "additional propert.*floe-cubes"),
    "a password for PostgreSQL": (
        "floe-dagster",
        {"dagster": {"postgresql": {"postgresqlPassword": "made-up"}}},
        "put it into the Secret that dagster.global.postgresqlSecretName names",
    ),
    "a generated password": (
        "floe-dagster",
        {"dagster": {"generatePostgresqlPasswordSecret": True}},
        "name the Secret with the password in dagster.global.postgresqlSecretName",
    ),
    "a credential as a variable": (
        "floe-dagster",
        {"dagster": {"dagsterWebserver": {"env": [{"name": "DB_PASS", "value": "made-up"}]}}},
        "name a Secret in the place of value",
    ),
    "Cube's secret": (
        "floe-cube",
        {"cube": {"config": {"apiSecret": "made-up"}}},
        r"name a Secret in its place: cube\.config\.apiSecretFromSecret",
    ),
    "a data source's password": (
        "floe-cube",
        {"cube": {"datasources": {"default": {"pass": "made-up"}}}},
        r"name a Secret in its place: cube\.datasources\.NAME\.passFromSecret",
    ),
    "Cube Store's key": (
        "floe-cube",
        {"cubestore": {"cloudStorage": {"aws": {"secretKey": "made-up"}}}},
        r"name a Secret in its place: cubestore\.cloudStorage\.aws\.secretKeyFromSecret",
    ),
    "a plain password below the umbrella": (
        "floe-runtime",
        {"floe-cube": {"cube": {"config": {"sqlPassword": "made-up"}}}},
        "name a Secret in its place",
    ),
    "the login's secret": (
        "floe-dagster",
        {"floe": {"authProxy": {"settings": {"OAUTH2_PROXY_COOKIE_SECRET": "made-up"}}}},
        r"put it into the Secret floe\.authProxy\.existingSecret",
    ),
    "artifacts of another version": (
        "floe-dagster",
        {"floe": {"compiledArtifacts": {"value": VERSION_7}}},
        "is of version 7, and this release reads version 1: compile it with",
    ),
    "artifacts of another environment": (
        "floe-dagster",
        {"floe": {"environment": "staging"}},
        r"is compiled for dev, but floe\.environment is staging: give overlays/staging/",
    ),
    "artifacts that are none": (
        "floe-dagster",
        {"floe": {"compiledArtifacts": {"value": "{"}}},
        "is not JSON: give the file that floe compile wrote",
    ),
    "no artifacts": (
        "floe-dagster",
        {"floe": {"compiledArtifacts": {"value": ""}}},
        "no CompiledArtifacts: --set-file ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_in_words(helm: Helm, charts: Path, tmp_path: Path, name: str) -> None:
    chart, values, words = REFUSED[name]
    options = [*values_of(charts, chart, "dev"), "--values", written(values, tmp_path)]
    said = helm.refusal(charts / chart, *options)
    assert re.search(words, said, re.IGNORECASE), said
    assert "made-up" not in said


def test_kubernetes_too_old(helm: Helm, charts: Path) -> None:
    said = helm.refusal(charts / "floe-runtime", *values_of(charts, "floe-runtime", "dev"), "--kube-version", "1.27.3")
    assert "requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes v1.27.3" in said


@pytest.mark.parametrize("chart", ["floe-dagster", "floe-runtime"])
@pytest.mark.parametrize("stand_in", [True, False])
def test_notes_say_what_is_a_stand_in(helm: Helm, charts: Path, tmp_path: Path, chart: str, stand_in: bool) -> None:
    shutil.copytree(charts / chart, tmp_path / chart)
    for file in tmp_path.rglob("charts/dagster/Chart.yaml"):
        real = {key: value for key, value in yaml.safe_load(file.read_text()).items() if key != "annotations"}
        file.write_text(
            yaml.safe_dump(real | ({"annotations": {"floe-runtime.io/stand-in": "true"}} if stand_in else {}))
        )
    templates = tmp_path / chart / "templates"  # Helm 3 prints no notes without a cluster, so an object holds them
    shutil.copy(templates / "NOTES.txt", tmp_path / chart / "notes")
    (templates / "said.yaml").write_text('{"kind": "Said", "said": {{ tpl (.Files.Get "notes") . | toJson }}}')
    options = [*values_of(charts, chart, "dev"), "--show-only", "templates/said.yaml"]
    (found,) = helm.template(tmp_path / chart, *options, release="floe")
    said = found.value["said"]
    assert ("NOT TO DEPLOY: dagster is a small stand-in" in said) == stand_in


def test_a_missing_dependency_is_named(helm: Helm, charts: Path, tmp_path: Path) -> None:
    bare = tmp_path / "floe-dagster"
    shutil.copytree(charts / "floe-dagster", bare, ignore=shutil.ignore_patterns("charts"))
    assert re.search(
        r"missing in charts/ directory: dagster", helm.refusal(bare, *values_of(charts, "floe-dagster", "dev"))
    )


def test_sync_fails_on_drift_with_the_diff(checkout: Path) -> None:
    assert floe(checkout, "charts", "sync", "--check").returncode == 0
    values = checkout / "charts" / "floe-cube" / "values-prod.yaml"
    text = values.read_text()
    values.write_text(text.replace("apiCount: 2", "apiCount: 9"))
    stray = checkout / "charts" / "floe-cube" / "objects" / "prod" / "secret-none.yaml"
    stray.write_text("# Written by `floe charts sync` from overlays/prod/objects: edit there.\nkind: Secret\n")
    done = floe(checkout, "charts", "sync", "--check")
    assert done.returncode == 1
    assert re.search(rb"^-    apiCount: 9.*\n\+    apiCount: 2", done.stdout, re.MULTILINE)
    assert b"-kind: Secret" in done.stdout
    assert b"2 files" in done.stderr
    assert b"next: Run `floe charts sync`." in done.stderr
    assert floe(checkout, "charts", "sync").returncode == 0
    assert values.read_text() == text
    assert not stray.exists()


def test_sync_takes_no_file_of_a_persons_own(checkout: Path) -> None:
    mine = checkout / "charts" / "floe-runtime" / "values-mine.yaml"
    mine.write_text("floe-cube: {enabled: false}\n")
    assert floe(checkout, "charts", "sync").returncode == 0
    assert mine.exists()
    own = checkout / "charts" / "floe-cube" / "objects" / "prod" / "configmap-mine.yaml"
    own.write_text("kind: ConfigMap\n")
    done = floe(checkout, "charts", "sync")
    assert done.returncode == 2
    assert b"configmap-mine.yaml was not written by `floe charts sync`" in done.stderr
    assert own.exists()


def test_an_edit_of_an_overlay_reaches_the_charts(checkout: Path) -> None:
    file = checkout / "overlays" / "dev" / "values" / "dagster.yaml"
    file.write_text(file.read_text().replace("maxConcurrentRuns: 2", "maxConcurrentRuns: 5 # as many as fit"))
    assert floe(checkout, "charts", "sync").returncode == 0
    for chart in ("floe-dagster", "floe-runtime"):
        assert "maxConcurrentRuns: 5 # as many as fit" in (checkout / "charts" / chart / "values-dev.yaml").read_text()
    assert floe(checkout, "charts", "sync", "--check").returncode == 0


def test_comments_come_through() -> None:
    text = """\
# what a is
a: # beside a
  list:
    # above the first
    - name: one # a name
      flow: {x: 1, z: "2"}
    - text: |
        # no comment
        b
  empty: {}
"""
    assert dump(yaml.safe_load(text), comments(text)) == text


def test_dumped_values_are_the_same_values() -> None:
    for values in (
        {
            "a": "yes",
            "b": "1.10",
            "c": None,
            "d": " x",
            "e": "x\n\n",
            "f": "a\n b \nc",
            "g": "tab\there\nb",
            "h": ["x", {"y": []}],
        },
        {"z": [{"name": "n", "v": [1, 2]}, {"b": {"c": 1}, "name": "m"}], "k": "a: b", "l": [[1], ["#"]], "on": True},
    ):
        assert yaml.safe_load(dump(values, {})) == values


def test_flux_finds_the_chart_and_its_values() -> None:
    """What clusters/dev/flux-chart names is there, and in the range."""
    (release,) = [one.value["spec"] for one in kustomize(ROOT / "clusters/dev/flux-chart") if one.kind == "HelmRelease"]
    chart = ROOT / "charts" / release["chart"]["spec"]["chart"]
    assert all((chart / name).is_file() for name in release["chart"]["spec"]["valuesFiles"])
    assert release["chart"]["spec"]["version"] == ">=0.1.0 <1.0.0"
    assert yaml.safe_load((chart / "Chart.yaml").read_text())["version"] == "0.1.0"


def test_sync_says_where_yaml_is_bad(checkout: Path) -> None:
    file = checkout / "overlays" / "dev" / "values" / "cube.yaml"
    file.write_text(f"{file.read_text()}a: [1\nb: 2\n")
    done = floe(checkout, "charts", "sync")
    assert done.returncode == 2
    assert re.search(rb"overlays/dev/values/cube\.yaml: document 1, line \d+: ", done.stderr), done.stderr
    assert b"kustomize" not in done.stderr


def test_pull_fills_what_charts_depend_on(checkout: Path) -> None:
    """And says what it has not; a chart that changed goes along anew."""
    done = floe(checkout, "charts", "pull", "--stand-ins")
    umbrella = checkout / "charts" / "floe-runtime" / "charts" / "floe-dagster"
    assert (done.returncode, b"floe-dagster into charts/floe-runtime" in done.stderr) == (0, True)
    assert (umbrella / "charts" / "dagster" / "Chart.yaml").is_file()
    notes = checkout / "charts" / "floe-dagster" / "templates" / "NOTES.txt"
    notes.write_text("other notes")
    chart = checkout / "charts" / "floe-cube" / "Chart.yaml"
    chart.write_text(chart.read_text().replace("version: 3.3.0", "version: 9.9.9"))
    done = floe(checkout, "charts", "pull", "--stand-ins")
    assert done.returncode == 0
    assert b"charts/floe-cube needs cube 9.9.9, which no overlay has pulled" in done.stderr
    assert (umbrella / "templates" / "NOTES.txt").read_text() == "other notes"
