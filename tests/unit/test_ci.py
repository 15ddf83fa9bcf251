"""Tests of the runner that `.ci/run` calls, with small commands instead of suites."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

import ci
from forks import commit, git
from rendering import ROOT


def run(folder: Path, *suites: ci.Suite) -> tuple[ci.Run, bool]:
    """Run suites; returns the run, and whether all passed."""
    whole = ci.Run(suites, folder)
    return whole, whole.all()


def test_lanes_run_in_parallel_and_suites_of_a_lane_one_by_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each of the first two suites waits for a file that the other one creates."""
    script, one, other = (tmp_path / name for name in ("meet.sh", "one", "other"))
    script.write_text('touch "$1"; while [ ! -e "$2" ]; do sleep 0.01; done\n')
    suites = [
        ci.Suite("first", "pods", 1, f"sh {script} {one} {other}"),
        ci.Suite("second", "computing", 1, f"sh {script} {other} {one}"),
        ci.Suite("third", "pods", 1, "echo said"),
    ]
    whole, passed = run(tmp_path, *suites)
    assert passed
    assert set(whole.took) == {"first", "second", "third"}
    assert "== third\nsaid\n" in capfd.readouterr().out


def test_other_suites_run_after_a_failure_and_all_failures_are_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, passed = run(
        tmp_path,
        ci.Suite("other", "pods", 1, "sh -c 'sleep 0.5; exit 1'"),
        ci.Suite("broken", "computing", 1, "sh -c 'echo why; exit 3'"),
        ci.Suite("next", "computing", 1, "echo reached"),
    )
    assert not passed
    output = capfd.readouterr().out
    assert "== broken\nwhy\n" in output
    assert "FAILED: broken, exit code 3" in output
    assert "== next\nreached\n" in output
    assert whole.failed == ["broken", "other"]


def test_a_stopped_run_has_not_passed(tmp_path: Path) -> None:
    started = time.monotonic()
    whole = ci.Run([ci.Suite("slow", "pods", 1, "sleep 60"), ci.Suite("next", "pods", 1, "echo reached")], tmp_path)
    threading.Timer(0.5, whole.stop).start()
    assert not whole.all()
    assert time.monotonic() - started < 30
    assert set(whole.took) == {"slow"}


def test_a_missing_command_is_a_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, ci.Suite("absent", "pods", 1, "no-such-program-anywhere"))[1] is False
    assert "no-such-program-anywhere" in capfd.readouterr().out


def test_the_table_marks_suites_that_exceed_their_budget() -> None:
    suites = [ci.Suite("long", "pods", 1, ""), ci.Suite("short", "pods", 1, ""), ci.Suite("ended", "pods", 1, "")]
    lines = ci.table(suites, {"long": 90, "short": 30}).splitlines()
    assert lines[1].split() == ["1.5", "1.0", "pods", "long", "over", "its", "budget"]
    assert lines[2].split() == ["0.5", "1.0", "pods", "short"]
    assert lines[3].split()[0] == "-"


@pytest.mark.parametrize(
    ("files", "everything"),
    [
        (["docs/01-architecture.md", "README.md"], False),
        (["docs/01-architecture.md", "Makefile"], True),
        (["tests/docs/test_pages.py"], True),
    ],
)
def test_a_change_of_documentation_runs_only_the_suites_that_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], everything: bool
) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    (tmp_path / "a").write_text("a")
    commit(tmp_path, "before")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("changed")
    commit(tmp_path, "after")
    monkeypatch.setattr(ci, "ROOT", tmp_path)
    names = [suite.name for suite in ci.chosen("HEAD~1")]
    assert ("test-cluster" in names) is everything
    assert ("docs" in names) is not everything
    assert "lint" in names


def test_a_newcomer_has_the_working_tree_an_empty_home_and_no_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    git(tree, "init", "--quiet", "--initial-branch", "main")
    (tree / ".gitignore").write_text("ignored\n")
    for name in ("kept", "removed"):
        (tree / name).write_text(name)
    commit(tree, "before")
    (tree / "removed").unlink()
    (tree / "new").write_text("not committed")
    (tree / "ignored").write_text("left out")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").touch()
    monkeypatch.setattr(ci, "ROOT", tree)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "newcomer"
    folder.mkdir()
    copy, env, prefix = ci.newcomer(folder)
    assert {path.name for path in copy.iterdir()} == {".git", ".gitignore", "kept", "new"}
    assert list(Path(env["HOME"]).iterdir()) == []
    assert str(tmp_path / "bin") not in env["PATH"].split(os.pathsep)
    if os.geteuid() == 0:
        done = subprocess.run([*prefix, "id", "--user", "--name"], check=True, capture_output=True, text=True)
        assert done.stdout == "nobody\n"


def test_make_demo_is_the_demo_that_the_tests_run() -> None:
    """CI runs the demo once, in tests/integration/test_demo.py. `make demo` is the same command after the set-up."""
    command = ["make", "--dry-run", "--old-file=.venv/.installed", "demo", "ARGS=--once"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert printed[-1] == "exec .venv/bin/floe demo --once"
    assert ".venv/bin/python -m floe.demo.cube" in printed
