"""The workflows: each pull request runs the suites, and a release is published only after they have passed."""

from __future__ import annotations

from typing import Any

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
