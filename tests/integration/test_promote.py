"""`floe promote` and `floe status` in real Git repositories."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from floe import image_builds, repo
from floe.yaml import load_file
from floe_runtime.contract import artifacts
from forks import commit, edit, floe, git
from rendering import ROOT

DIGEST = "sha256:" + "ab" * 32
TAG = f"0.2.0@{DIGEST}"
REASON = "mends the outage of Monday"


@pytest.fixture
def newer(fork: Path) -> Path:
    """A fork with a commit in which dev runs another image of Dagster."""
    identify(fork)
    image_builds.pin(repo.current(), "dev", "dagster", TAG)
    commit(fork, "dev runs 0.2.0")
    return fork


def identify(folder: Path) -> None:
    git(folder, "config", "user.name", "Somebody")
    git(folder, "config", "user.email", "somebody@example.com")
    git(folder, "config", "commit.gpgsign", "false")


def state(folder: Path) -> tuple[str, ...]:
    """The state of the repository, which a refused command must not change."""
    asked = (["status", "--porcelain", "--branch"], ["for-each-ref"], ["stash", "list"], ["worktree", "list"])
    return (*(git(folder, *one) for one in asked), (folder / ".git" / "index").read_bytes().hex())


def promoted(folder: Path, *arguments: str) -> dict[str, Any]:
    """The output of `floe promote --json`, which must not change the working tree."""
    before = git(folder, "status", "--porcelain", "--branch")
    done = floe(folder, "promote", *arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    assert git(folder, "status", "--porcelain", "--branch") == before
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def status(folder: Path) -> dict[str, Any]:
    done = floe(folder, "status", "--json")
    assert done.returncode == 0, done.stderr.decode()
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def changed_lines(folder: Path, commit: str) -> list[str]:
    patch = git(folder, "show", "--format=", "--unified=0", commit, "--", "overlays")
    return [line for line in patch.splitlines() if re.match(r"[+-](?![+-])", line)]


def test_an_image_is_promoted_through_all_environments(newer: Path) -> None:
    dry = promoted(newer, "dev", "staging", "--dry-run")
    assert dry["commit"] is None
    assert git(newer, "branch", "--list") == "* main"
    done = promoted(newer, "dev", "staging")
    head = git(newer, "rev-parse", "HEAD")
    assert done["branch"] == f"promote/dev-to-staging-{head[:7]}"
    assert git(newer, "rev-parse", f"{done['commit']}^") == head
    assert done["changes"] == dry["changes"] == [
        {
            "file": "values/dagster.yaml",
            "place": "valuesInline.dagsterWebserver.image.tag",
            "old": "0.1.0",
            "new": TAG,
        }
    ]  # fmt: skip
    (environment,) = done["diff"]["environments"]
    assert {one["kind"] for one in environment["objects"]} >= {"Deployment", "ConfigMap"}
    assert changed_lines(newer, done["commit"]) == ["-      tag: 0.1.0", f"+      tag: {TAG}"]
    assert f"Promoted-From: dev {head}" in git(newer, "show", "--format=%B", "--no-patch", done["commit"])
    files = git(newer, "show", "--format=", "--name-only", done["commit"], "--", "charts").splitlines()
    assert sorted(done["charts"]) == sorted(dry["charts"]) == sorted(files) != []
    assert [one["versions"] for one in status(newer)["staging"]["behind"]] == [1]

    git(newer, "merge", "--quiet", "--ff-only", done["branch"])
    assert floe(newer, "charts", "sync", "--check").returncode == 0  # floe's own charts are updated by the same commit
    environments = status(newer)
    assert environments["staging"]["behind"] == []
    assert [one["there"] for one in environments["prod"]["behind"]] == [TAG]
    again = floe(newer, "promote", "dev", "staging")
    assert again.stdout.decode() == "✓ staging runs the same as dev: nothing to promote\n"
    done = promoted(newer, "staging", "prod", "--branch", "release/1")
    assert done["branch"] == "release/1"
    git(newer, "merge", "--quiet", "--ff-only", "release/1")
    assert not any(one["behind"] for one in status(newer).values())


def test_chart_versions_and_images_of_components_are_promoted(fork: Path) -> None:
    identify(fork)
    for environment in ("dev", "staging"):
        edit(fork / "overlays" / environment / "values" / "cubestore.yaml", 'tag: "1.28"', 'tag: "1.29"')
    edit(fork / "overlays" / "staging" / "objects" / "kustomization.yaml", "newTag: v7.15.3", "newTag: v7.16.0")
    for chart in ("cubestore-1.2.0", "cubestore-1.3.0"):
        source = ROOT / "tests" / "charts" / "cubestore"
        shutil.copytree(source, fork / "overlays" / "dev" / "charts" / chart / "cubestore", dirs_exist_ok=True)
        shutil.copytree(source, fork / "overlays" / "staging" / "charts" / chart / "cubestore", dirs_exist_ok=True)
    for environment in ("dev", "staging"):
        edit(fork / "overlays" / environment / "values" / "cubestore.yaml", "version: 1.2.0", "version: 1.3.0")
    commit(fork)
    done = promoted(fork, "staging", "prod")
    assert changed_lines(fork, done["commit"]) == [
        "-    newTag: v7.15.3",
        "+    newTag: v7.16.0",
        "-version: 1.2.0",
        "+version: 1.3.0",
        '-        tag: "1.28"',
        '+        tag: "1.29"',
    ]


def test_the_compiled_specification_of_an_app_is_promoted(fork: Path) -> None:
    identify(fork)
    floe_yaml = fork / "apps" / "ecommerce" / "floe.yaml"
    edit(floe_yaml, "lookback_days: 30", "lookback_days: 31")
    assert floe(fork, "compile", "dev").returncode == 0
    image_builds.pin(repo.current(), "dev", "dagster", TAG)
    commit(fork, "dev looks back another day")
    dev = artifacts.read(repo.current().artifacts_file("dev")).apps["ecommerce"].app
    wanted = artifacts.Specification.of(dev.model_copy(update={"synthetic": None}))  # staging has no synthetic data
    done = promoted(fork, "dev", "staging", "--app", "ecommerce")
    assert [(one["file"], one["place"]) for one in done["changes"]] == [
        ("compiled/CompiledArtifacts.json", "apps.ecommerce")
    ]
    assert len(changed_lines(fork, done["commit"])) == 4  # the value and the digest, each removed and added
    git(fork, "checkout", "--quiet", done["branch"])
    staging = artifacts.read(repo.current().artifacts_file("staging"))
    assert (staging.environment, staging.apps["ecommerce"]) == ("staging", wanted)
    assert artifacts.read(repo.current().artifacts_file("prod")).apps["ecommerce"] != wanted
    assert floe(fork, "compile", "--check", "staging").returncode == 0


REFUSED: dict[str, tuple[list[str], str]] = {
    "skips": (["dev", "prod"], "would skip staging"),
    "backwards": (["prod", "dev"], "prod comes after dev"),
    "itself": (["dev", "dev"], "cannot be promoted to itself"),
    "apart": (["dev", "demo"], "demo is not part of the promotion order"),
    "unknown source": (["nowhere", "prod"], "there is no overlay 'nowhere'"),
    "unknown target": (["dev", "../prod"], "there is no overlay '../prod'"),
    "unknown app": (["dev", "staging", "--app", "saas"], "does not run the app 'saas'"),
    "no branch": (["dev", "staging", "--branch", "a..b"], "is not a valid branch name"),
    "option as branch": (["dev", "staging", "--branch=-f"], "is not a valid branch name"),
    "taken branch": (["dev", "staging", "--branch", "main"], "the branch 'main' exists already"),
    "branch below a branch": (["dev", "staging", "--branch", "main/x"], "the branch 'main' exists already"),
    "no reason": (["dev", "prod", "--allow-unproven"], "--allow-unproven and --reason go together"),
    "short reason": (["dev", "prod", "--allow-unproven", "--reason", "because"], "at least ten characters"),
    "reason alone": (["dev", "prod", "--reason", REASON], "--allow-unproven and --reason go together"),
    "short reason alone": (["dev", "prod", "--reason", "x"], "--allow-unproven and --reason go together"),
    "empty reason alone": (["dev", "staging", "--reason", ""], "--allow-unproven and --reason go together"),
}


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
def test_invalid_arguments_are_refused(newer: Path, arguments: list[str], says: str) -> None:
    refused(newer, arguments, says)


def refused(folder: Path, arguments: list[str], says: str, code: int = 2, env: dict[str, str] | None = None) -> str:
    before = state(folder)
    done = floe(folder, "promote", *arguments, **(env or {}))
    words = done.stderr.decode()
    assert done.returncode == code, words
    assert says in words
    assert "next:" in words
    assert "Traceback" not in words
    assert not done.stdout
    assert state(folder) == before
    return words


def test_uncommitted_changes_are_refused(newer: Path) -> None:
    edit(newer / "overlays" / "prod" / "values" / "cube.yaml", "0.1.0", "0.1.1")
    refused(newer, ["dev", "staging", "--dry-run"], "uncommitted changes (1 file)")
    git(newer, "checkout", "--quiet", ".")
    (newer / "overlays" / "dev" / "new.yaml").write_text("a: b\n")
    refused(newer, ["dev", "staging"], "uncommitted changes (1 file)")


def test_a_merge_conflict_is_refused(newer: Path) -> None:
    git(newer, "checkout", "--quiet", "-b", "other", "HEAD~1")
    image_builds.pin(repo.current(), "dev", "dagster", f"0.3.0@{DIGEST}")
    commit(newer)
    with pytest.raises(subprocess.CalledProcessError):
        git(newer, "merge", "main")
    refused(newer, ["dev", "staging"], "a merge left conflicts in overlays/dev/values/dagster.yaml")


def test_a_detached_head_is_refused(newer: Path) -> None:
    git(newer, "checkout", "--quiet", "--detach")
    refused(newer, ["dev", "staging"], "HEAD is detached")


def test_no_commit(checkout: Path) -> None:
    git(checkout, "init", "--quiet")
    done = floe(checkout, "promote", *repo.current().settings.promotion[:2])
    assert done.returncode == 2
    assert "no commit yet" in done.stderr.decode()


def test_a_folder_without_a_git_repository_is_refused(checkout: Path) -> None:
    done = floe(
        checkout, "promote", *repo.current().settings.promotion[:2], GIT_CEILING_DIRECTORIES=str(checkout.parent)
    )
    assert done.returncode == 2
    assert "is not in a Git repository" in done.stderr.decode()


def test_a_missing_identity_for_commits_is_reported(newer: Path, tmp_path: Path) -> None:
    for key in ("user.name", "user.email"):
        git(newer, "config", "--unset", key)
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(tmp_path)}
    nobody |= {"GIT_AUTHOR_NAME": "", "GIT_COMMITTER_NAME": "", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_EMAIL": "a@b"}
    refused(newer, ["dev", "staging"], "git commit-tree failed", env=nobody)


def test_a_value_that_the_target_does_not_have_is_refused(newer: Path) -> None:
    edit(newer / "overlays" / "dev" / "values" / "cube.yaml", "    tag: 0.1.0\n", "    tag: 0.1.0\n    digest: 'x'\n")
    commit(newer)
    refused(newer, ["dev", "staging"], "but overlays/staging/values/cube.yaml does not")


def test_a_source_with_findings_is_refused(newer: Path) -> None:
    for environment in ("dev", "staging"):
        edit(newer / "overlays" / environment / "values" / "dagster.yaml", "14.6", "latest")
    commit(newer)
    words = refused(newer, ["dev", "staging"], "dev cannot be promoted", code=1)
    assert "FLOE010" in words
    # With a reason, findings of the source are accepted, but the target must still be valid.
    refused(newer, ["dev", "staging", "--allow-unproven", "--reason", REASON], "staging would not be valid", code=1)


def test_a_target_that_would_have_findings_is_refused(newer: Path) -> None:
    edit(newer / "overlays" / "staging" / "platform.yaml", "port: 8443", "port: 8444")
    commit(newer)
    words = refused(newer, ["dev", "staging"], "staging would not be valid", code=1)
    assert "FLOE021" in words


def test_an_unproven_version_is_promoted_with_a_reason_in_commit_and_waiver(newer: Path) -> None:
    done = promoted(newer, "dev", "prod", "--allow-unproven", "--reason", REASON)
    assert done["waived"] == ["FLOE023", "FLOE024"]
    assert f"Unproven: {REASON}" in git(newer, "show", "--format=%B", "--no-patch", done["commit"])
    git(newer, "merge", "--quiet", "--ff-only", done["branch"])
    namespace = load_file(newer / "overlays" / "prod" / "objects" / "namespace.yaml")
    assert namespace["metadata"]["annotations"]["floe-runtime.io/waive.FLOE024"].endswith(f": {REASON}")
    assert floe(newer, "status").returncode == 0
    # After a normal promotion, the waivers are removed.
    git(newer, "merge", "--quiet", promoted(newer, "dev", "staging")["branch"])
    image_builds.pin(repo.current(), "staging", "cube", TAG)
    image_builds.pin(repo.current(), "dev", "cube", TAG)
    commit(newer)
    done = promoted(newer, "staging", "prod")
    git(newer, "merge", "--quiet", "--ff-only", done["branch"])
    assert "waive" not in (newer / "overlays" / "prod" / "objects" / "namespace.yaml").read_text()


def test_text_output_of_promote_and_status(newer: Path) -> None:
    lines = floe(newer, "promote", "dev", "staging", "--dry-run").stdout.decode().splitlines()
    assert lines[0] == "overlays/staging/values/dagster.yaml"
    assert lines[1].strip() == "valuesInline.dagsterWebserver.image.tag: 0.1.0 → 0.2.0@sha256:abababababab"
    assert any("charts/floe-dagster/values-staging.yaml" in line for line in lines)
    assert any(line.startswith("staging: ") and " changed, 0 added, 0 removed" in line for line in lines)
    assert lines[-1] == "dry run: nothing is committed"
    shown = floe(newer, "status").stdout.decode()
    assert re.search(r"dagster  dagsterWebserver.image.tag +0.2.0@sha256:abababababab +0.1.0 +0.1.0", shown)
    assert "staging: 1 value differs from dev" in shown
    assert "(1 version behind)" in shown
    image_builds.pin(repo.current(), "dev", "cube", TAG)
    assert "(not committed yet)" in floe(newer, "status").stdout.decode()


def test_a_cluster_that_does_not_answer_is_reported(newer: Path, tmp_path: Path) -> None:
    cluster = {"server": "https://127.0.0.1:9"}
    config = {
        "clusters": [{"name": "a", "cluster": cluster}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "users": [{"name": "a", "user": {}}],
        "current-context": "a",
    }
    (tmp_path / "config").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
    done = floe(newer, "status", "--cluster", "--timeout", "2", KUBECONFIG=str(tmp_path / "config"))
    assert done.returncode == 2
    assert "the cluster does not answer" in done.stderr.decode()
    done = floe(newer, "status", "--context", "nowhere", KUBECONFIG=str(tmp_path / "config"))
    assert done.returncode == 2
    assert "nowhere" in done.stderr.decode()


def test_status_reports_an_overlay_that_cannot_be_read(newer: Path) -> None:
    (newer / "overlays" / "dev" / "values" / "cube.yaml").write_text("a: [\n")
    done = floe(newer, "status")
    words = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), words
    assert "overlays/dev/values/cube.yaml" in words
    assert "Traceback" not in words
