"""`floe diff` in real Git repositories: the effect of a change on the rendered objects."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe import charts, repo, tools
from floe.diff.changes import MASK, MASK_CHANGED, Comparison, ObjectChange, Report
from floe.diff.formats import markdown
from forks import FLOE, commit, edit, floe, git

ROOT = Path(__file__).parents[2]
FORMATS = ("text", "markdown", "json")


def diff(folder: Path, *arguments: str, **env: str) -> Comparison:
    """The only comparison in the output of `floe diff --format json`."""
    done = floe(folder, "diff", "--format", "json", *arguments, **env)
    assert done.returncode == 0, done.stderr.decode()
    (comparison,) = Report.model_validate_json(done.stdout).environments
    return comparison


def add_object(fork: Path, name: str, manifest: str, environment: str = "prod") -> Path:
    """Add an object to the overlay, in a separate file."""
    overlay = fork / "overlays" / environment
    (overlay / name).write_text(manifest)
    edit(overlay / "kustomization.yaml", "resources:\n", f"resources:\n  - {name}\n")
    return overlay / name


def config_map(name: str, data: dict[str, str], kind: str = "ConfigMap", field: str = "data") -> str:
    metadata = {"name": name, "namespace": "floe-prod"}
    return json.dumps({"apiVersion": "v1", "kind": kind, "metadata": metadata, field: data})


def scale(fork: Path, replicas: int = 3) -> None:
    edit(fork / "overlays" / "prod" / "values" / "dagster.yaml", "replicaCount: 2", f"replicaCount: {replicas}")


def test_a_change_of_one_value_is_one_field_of_one_object(fork: Path) -> None:
    scale(fork)
    comparison = diff(fork, "prod")
    assert [(change.label, change.change) for change in comparison.objects] == [
        ("Deployment floe-prod/dagster-webserver", "changed")
    ]
    (field,) = comparison.objects[0].fields
    assert (field.path, field.change, field.old, field.new) == ("spec.replicas", "changed", 2, 3)
    assert (comparison.changed, comparison.added, comparison.removed) == (1, 0, 0)


def test_the_base_is_head_or_the_given_revision(fork: Path) -> None:
    first = git(fork, "rev-parse", "HEAD")
    git(fork, "tag", "v1")
    scale(fork)
    commit(fork)
    assert diff(fork, "prod").objects == ()
    for base in ("HEAD~1", "v1", first):
        comparison = diff(fork, "prod", "--base", base)
        assert (comparison.base, comparison.commit, comparison.changed) == (base, first, 1)


def test_text_format(fork: Path) -> None:
    first = git(fork, "rev-parse", "HEAD")
    scale(fork)
    done = floe(fork, "diff", "prod")
    assert done.stdout.decode().splitlines() == [
        "Deployment floe-prod/dagster-webserver changed",
        "  spec.replicas: 2 → 3",
        "",
        f"prod: 1 changed, 0 added, 0 removed (base HEAD = {first[:7]})",
    ]
    assert b"uncommitted changes (1 file); they are included" in done.stderr


def test_a_changed_content_hash_is_shown_as_a_rename(fork: Path) -> None:
    edit(fork / "overlays" / "prod" / "compiled" / "CompiledArtifacts.json", '"ecommerce"', '"shop"')
    comparison = diff(fork, "prod")
    assert (comparison.added, comparison.removed) == (0, 0)
    (artifacts,) = [change for change in comparison.objects if change.renamed_from]
    assert artifacts.kind == "ConfigMap"
    assert artifacts.name != artifacts.renamed_from
    assert artifacts.name.startswith("floe-compiled-artifacts-")
    assert [field.path for field in artifacts.fields] == ['data["CompiledArtifacts.json"]']
    shown = floe(fork, "diff", "prod").stdout.decode()
    assert '-     "ecommerce": {' in shown
    assert '+     "shop": {' in shown
    assert shown.count("ecommerce") < 10  # only some lines around the change are shown


def test_added_and_removed_objects(fork: Path) -> None:
    add_object(fork, "old.yaml", config_map("old", {"a": "1"}))
    commit(fork)
    (fork / "overlays" / "prod" / "old.yaml").write_text(config_map("new", {"a": "1"}))
    comparison = diff(fork, "prod")
    assert [(change.label, change.change) for change in comparison.objects] == [
        ("ConfigMap floe-prod/new", "added"),
        ("ConfigMap floe-prod/old", "removed"),
    ]
    assert all(change.object and change.object["data"] == {"a": "1"} for change in comparison.objects)


def test_an_environment_that_exists_on_one_side_only(fork: Path) -> None:
    shutil.copytree(fork / "overlays" / "prod", fork / "overlays" / "fresh")
    comparison = diff(fork, "fresh")
    assert comparison.added == len(comparison.objects) > 20
    commit(fork)
    shutil.rmtree(fork / "overlays" / "fresh")
    done = floe(fork, "diff", "--all", "--format", "json")
    report = Report.model_validate_json(done.stdout)
    assert {item.environment: item.removed for item in report.environments}["fresh"] == comparison.added
    assert [item.environment for item in report.environments] == sorted({"fresh", *repo.current().environments()})


def test_no_format_shows_a_secret_and_each_shows_that_it_changed(fork: Path) -> None:
    """The secret is planted in a Secret, an environment variable, an argument, a file and a URL."""
    before, after = (secrets.token_hex(12) for _ in range(2))
    manifests: dict[str, Callable[[str], str]] = {
        "secret.yaml": lambda one: config_map("s", {"user": one}, "Secret", "stringData"),
        "data.yaml": lambda one: config_map("d", {"user": one}, "Secret"),
        "file.yaml": lambda one: config_map("f", {"app.ini": f"[a]\nb = 1\npassword = {one}\nc = 2\n"}),
        "url.yaml": lambda one: config_map("u", {"dsn": f"postgres://somebody:{one}@db/x"}),
        "pod.yaml": lambda one: json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "p", "namespace": "floe-prod", "annotations": {"example.com/api-key": one}},
                "spec": {
                    "containers": [
                        {"name": "a", "args": ["--token", one], "env": [{"name": "DB_PASSWORD", "value": one}]}
                    ]
                },
            }
        ),
    }
    files = {name: add_object(fork, name, make(before)) for name, make in manifests.items()}
    added = [floe(fork, "diff", "prod", "--format", output) for output in FORMATS]
    commit(fork)
    for name, make in manifests.items():
        files[name].write_text(make(after))
    changed = [floe(fork, "diff", "prod", "--format", output) for output in FORMATS]
    (fork / "overlays" / "prod" / "kustomization.yaml").write_text(
        git(fork, "show", "HEAD~1:overlays/prod/kustomization.yaml") + "\n"
    )
    removed = [floe(fork, "diff", "prod", "--format", output) for output in FORMATS]
    for done in (*added, *changed, *removed):
        assert done.returncode == 0, done.stderr.decode()
        for value in (before, after):
            assert value.encode() not in done.stdout + done.stderr
        assert MASK.encode() in done.stdout
    for done in changed:
        assert done.stdout.count(MASK_CHANGED.encode()) == 7, done.stdout.decode()
    (comparison,) = Report.model_validate_json(changed[-1].stdout).environments
    fields = {f"{change.name} {field.path}": field.new for change in comparison.objects for field in change.fields}
    assert fields == {
        "s stringData.user": MASK_CHANGED,
        "d data.user": MASK_CHANGED,
        'f data["app.ini"]': f"[a]\nb = 1\npassword = {MASK_CHANGED}\nc = 2\n",
        "u data.dsn": MASK_CHANGED,
        'p metadata.annotations["example.com/api-key"]': MASK_CHANGED,
        "p spec.containers[name=a].args[1]": MASK_CHANGED,
        "p spec.containers[name=a].env[name=DB_PASSWORD].value": MASK_CHANGED,
    }


def test_exit_codes(fork: Path) -> None:
    assert floe(fork, "diff", "prod", "--exit-code").returncode == 0
    scale(fork)
    assert floe(fork, "diff", "prod").returncode == 0
    assert floe(fork, "diff", "dev", "prod", "--exit-code").returncode == 1
    assert floe(fork, "diff", "dev", "--exit-code").returncode == 0


def test_diff_leaves_no_files_behind(fork: Path, tmp_path: Path) -> None:
    def state() -> dict[str, Any]:
        return {
            str(path.relative_to(fork)): path.stat().st_mtime_ns
            for path in fork.rglob("*")
            if "/charts/" not in str(path)
        }

    scale(fork)
    (tmp_path / "temporary").mkdir()
    before = state()
    diff(fork, "prod", TMPDIR=str(tmp_path / "temporary"))
    assert state() == before
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_diff_leaves_no_files_behind(fork: Path, tmp_path: Path, number: signal.Signals) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = sorted(fork.rglob("*"))
    env = os.environ | {"TMPDIR": str(temporary)}
    process = subprocess.Popen([FLOE, "diff", "--all"], cwd=fork, env=env, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not list(temporary.glob("floe-diff-*/base/overlays")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    assert process.wait(timeout=30) in (130, 128 + number)
    assert [path for path in temporary.iterdir() if path.name.startswith("floe-diff-")] == []
    assert sorted(fork.rglob("*")) == before


def test_charts_of_the_base_are_pulled_if_the_checkout_lacks_them(fork: Path) -> None:
    """The change pins another version of a chart, so this checkout does not have the version of the base."""
    values = "overlays/{}/values/cubestore.yaml"
    for environment in repo.current().environments():
        edit(fork / values.format(environment), "version: 1.2.0", "version: 1.3.0")
        shutil.rmtree(fork / "overlays" / environment / "charts")
    list(charts.pull(repo.current(), repo.current().environments(), stand_ins=True))
    assert not list(fork.glob("overlays/*/charts/cubestore-1.2.0"))
    assert diff(fork, "prod").objects is not None
    assert "cubestore-1.2.0" not in "".join(map(str, fork.glob("overlays/*/charts/*")))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["produktion"], ["no overlay 'produktion'", "dev, prod"]),
        (["prod", "--base", "v99"], ["no revision 'v99'", "git tag", "git fetch"]),
        (["prod", "--base", "--output=x"], ["no revision '--output=x'"]),
        (["prod", "--format", "xml"], ["no format 'xml'", "text, markdown, json"]),
        ([], ["give either environments or --all", "dev, prod"]),
        (["prod", "--all"], ["give either environments or --all"]),
    ],
)
def test_bad_arguments(fork: Path, arguments: list[str], says: list[str]) -> None:
    done = floe(fork, "diff", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    for words in says:
        assert words in " ".join(done.stderr.decode().split())


def test_not_a_git_repository(checkout: Path) -> None:
    done = floe(checkout, "diff", "prod", GIT_CEILING_DIRECTORIES=str(checkout.parent))
    assert done.returncode == 2
    assert b"is not in a Git repository" in done.stderr


def test_no_commit_yet(checkout: Path) -> None:
    git(checkout, "init", "--quiet")
    done = floe(checkout, "diff", "prod")
    assert done.returncode == 2
    assert b"no commit yet" in done.stderr


def test_no_git(fork: Path, tmp_path: Path) -> None:
    done = floe(fork, "diff", "prod", PATH=str(tmp_path))
    assert done.returncode == 2
    assert b"git is not on PATH" in done.stderr


def test_no_helm(fork: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    git_binary, kustomize = shutil.which("git"), tools.resolve("kustomize")
    assert git_binary
    (tmp_path / "bin" / "git").symlink_to(git_binary)
    wrapper = tmp_path / "bin" / "kustomize"
    wrapper.write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin exec {kustomize} "$@"\n')
    wrapper.chmod(0o755)
    (tmp_path / "closed").write_text("")
    # The cache folder is a file, so no tool can be downloaded into it.
    done = floe(fork, "diff", "prod", PATH=str(tmp_path / "bin"), XDG_CACHE_HOME=str(tmp_path / "closed"))
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"helm 3.14 or newer is missing" in done.stderr


def test_a_revision_missing_in_a_shallow_clone_is_reported_with_a_hint(fork: Path, tmp_path: Path) -> None:
    scale(fork)
    commit(fork)
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", fork.as_uri(), str(clone))
    done = floe(clone, "diff", "prod", "--base", "HEAD~1", FLOE_ROOT=str(clone))
    assert done.returncode == 2
    assert b"shallow clone" in done.stderr
    assert b"--unshallow" in done.stderr


def test_the_side_that_cannot_be_rendered_is_reported(fork: Path) -> None:
    kustomization = fork / "overlays" / "prod" / "kustomization.yaml"
    edit(kustomization, "resources:\n", "resources:\n  - not-there.yaml\n")
    head = floe(fork, "diff", "prod")
    commit(fork)
    edit(kustomization, "  - not-there.yaml\n", "")
    base = floe(fork, "diff", "prod")
    for done, side in ((head, "in the working tree:"), (base, "in the base HEAD (")):
        assert (done.returncode, done.stdout) == (2, b"")
        assert (
            b"floe-diff-" not in done.stderr
        )  # this folder of the base is already deleted, so the message must not name it
        assert side in done.stderr.decode()
        assert b"not-there.yaml" in done.stderr


def test_diff_works_in_a_hook_and_in_a_subfolder_of_a_repository(fork: Path) -> None:
    """Git passes an index to its hooks, which floe must not use. A fork may be a folder of a larger repository."""
    outer = fork.parent
    shutil.rmtree(fork / ".git")
    git(outer, "init", "--quiet")
    git(outer, "add", fork.name)
    git(outer, "commit", "--quiet", "--message", "as it is")
    scale(fork)
    comparison = diff(fork, "prod", GIT_DIR=str(outer / ".git"), GIT_INDEX_FILE=str(outer / "other-index"))
    assert comparison.changed == 1
    assert not (outer / "other-index").exists()


def test_a_comment_is_not_longer_than_githubs_limit() -> None:
    def change(number: int, size: int) -> ObjectChange:
        return ObjectChange(
            change="added", group="", kind="ConfigMap", namespace="n", name=f"c{number}",
            object={"data": {"a": "```\n" + "x\n" * size}},
        )  # fmt: skip

    for sizes in ([40_000], [20] * 2000, [40_000, 20, 40_000, 20]):
        objects = tuple(change(number, size) for number, size in enumerate(sizes))
        one = Comparison(
            environment="prod", base="HEAD", commit="0" * 40, changed=0, added=len(sizes), removed=0, objects=objects
        )
        comment = markdown(Report(uncommitted=False, environments=(one, one, one)))
        assert len(comment) <= 65_536
        shown = comment.count("<details>") // 3
        assert f"{len(sizes) - shown} more object" in comment
        assert comment.count("\n````diff\n") == comment.count(
            "<details>"
        )  # the fence is longer than the one in the text
    assert shown == 2


def test_json_contains_the_version_of_its_format(fork: Path) -> None:
    done = floe(fork, "diff", "prod", "--format", "json")
    assert set(json.loads(done.stdout)) == set(Report.model_fields)
    assert json.loads(done.stdout)["version"] == 1
    assert b"the working tree is the same as HEAD" in done.stderr
