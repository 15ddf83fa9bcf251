"""The workflows: each pull request runs the suites, and a release is published only after they have passed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import ROOT

SUITES = "./.github/workflows/ci.yml"


def workflow(name: str) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    return content


def test_a_pull_request_runs_every_suite() -> None:
    ci = workflow("ci")
    assert {"pull_request", "workflow_call"} <= set(ci["on"])
    (job,) = ci["jobs"].values()
    (run,) = [step for step in job["steps"] if ".ci/run" in step.get("run", "")]
    assert run["run"].endswith('.ci/run ${BASE:+--since "$BASE"}')
    assert run["env"]["BASE"] == "${{ github.event.pull_request.base.sha }}"
    assert "FLOE_REQUIRED" in run["run"]
    assert run["env"]["FLOE_REQUIRED"] == "${{ inputs.required == true }}"
    assert not any("continue-on-error" in part for part in (job, *job["steps"]))


def test_a_release_of_the_charts_waits_for_the_suites_and_for_a_node() -> None:
    """If tests are skipped because no node is available, the release fails."""
    jobs = workflow("charts")["jobs"]
    assert jobs["release"]["needs"] == ["drift", "suites"]
    assert "always" not in jobs["release"]["if"]
    assert jobs["suites"]["if"] == jobs["release"]["if"]
    assert jobs["suites"]["uses"] == SUITES
    assert jobs["suites"]["with"] == {"required": True}


def test_images_are_pushed_after_the_suites() -> None:
    """For a pull request, ci.yml runs the suites, and no image is pushed."""
    jobs = workflow("images")["jobs"]
    assert jobs["suites"]["uses"] == SUITES
    assert jobs["suites"]["if"] == "github.event_name != 'pull_request'"
    assert jobs["build"]["needs"] == "suites"
    assert "needs.suites.result == 'success'" in jobs["build"]["if"]
    assert jobs["pin"]["needs"] == "build"
    for step in jobs["build"]["steps"]:
        if step.get("with", {}).get("push"):
            assert step["if"] == "github.event_name != 'pull_request'"


@pytest.mark.parametrize(("name", "job"), [("images", "build"), ("charts", "release")])
def test_images_and_charts_are_pushed_to_the_registry_in_floe_toml(tmp_path: Path, name: str, job: str) -> None:
    steps = workflow(name)["jobs"][job]["steps"]
    (script,) = [step["run"] for step in steps if "floe.toml" in step.get("run", "")]
    (tmp_path / "floe.toml").write_text("registry = 'r.acme.io:5000/data/images' # ours\n")
    written = tmp_path / "environment"
    env = {"GITHUB_ENV": str(written), "PATH": os.environ["PATH"]}
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env, check=True)  # noqa: S607 # found on PATH
    assert written.read_text() == "REGISTRY=r.acme.io:5000/data/images\nHOST=r.acme.io:5000\n"
    assert "github.repository_owner" not in str(workflow(name))
