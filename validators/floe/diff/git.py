"""What a revision holds, and whether the working tree holds more. Nothing in .git changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from floe.errors import FloeError

_OURS_ALONE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
"""Set by Git for its hooks, in one of which we may run: they would make Git look at an index that is not ours."""


@dataclass(frozen=True)
class Repository:
    """The Git repository that a folder is in."""

    folder: Path
    git_dir: Path
    prefix: str  # of the folder in the repository: "" at its top, else with a slash at the end
    shallow: bool

    def commit(self, revision: str) -> str:
        """Full hash of the commit that a revision names. Raises FloeError that says how to get one."""
        if not revision.startswith("-"):  # which Git would take for an option
            done = _git(["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], self.folder)
            if done.returncode == 0:
                return done.stdout.strip()
        if _git(["rev-parse", "--verify", "--quiet", "HEAD"], self.folder).returncode:
            raise FloeError("the repository has no commit yet, so there is nothing to compare with", "git commit")
        if self.shallow:
            raise FloeError(
                f"the base {revision!r} is not in this shallow clone",
                "git fetch --unshallow (in CI: check out with the whole history, fetch-depth: 0)",
            )
        raise FloeError(
            f"there is no revision {revision!r} in this repository",
            "git log --oneline, git branch --all and git tag list those that exist; git fetch --all --tags brings "
            "what others have pushed",
        )

    def uncommitted(self) -> int:
        """Number of files under the folder that differ from HEAD, or that no commit has; ignored ones left out."""
        # Without optional locks: status would write the index that it has refreshed.
        done = _git(["--no-optional-locks", "status", "--porcelain", "--untracked-files=all", "--", "."], self.folder)
        return len(_checked(done).splitlines())

    def export(self, commit: str, target: Path) -> Path:
        """Write a commit's files to a new folder as a checkout would; returns where in it ours is."""
        target.mkdir()
        env = {
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(target),
            "GIT_INDEX_FILE": str(target.with_name(f"{target.name}.index")),
        }
        quiet = ["-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false"]
        for command in (["read-tree", commit], ["checkout-index", "--all"]):
            _checked(_git([*quiet, *command], target, env))
        return target / self.prefix


def open_repository(folder: Path) -> Repository:
    """The Git repository around a folder. Raises FloeError where there is none, or no Git."""
    if shutil.which("git") is None:
        raise FloeError("git is not on PATH, and the base is read from Git", "install git")
    question = ["rev-parse", "--absolute-git-dir", "--is-shallow-repository", "--show-prefix"]
    done = _git(question, folder)
    if done.returncode:
        raise FloeError(
            f"{folder} is not in a Git repository that can be read: {_last_line(done)}",
            "floe diff compares with a commit; run it in a clone of your fork",
        )
    git_dir, shallow, *prefix = done.stdout.splitlines()
    return Repository(folder, Path(git_dir), prefix[0] if prefix else "", shallow == "true")


def _git(arguments: list[str], folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
    return subprocess.run(
        ["git", *arguments],  # noqa: S607 # the git of PATH is the one that a person uses here
        cwd=folder,
        env=inherited | {"LC_ALL": "C"} | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _checked(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        raise FloeError(f"git {done.args[-1]} failed: {_last_line(done)}", "git fsck, or a fresh clone")
    return done.stdout


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["it gave no reason"])[-1].removeprefix("fatal: ")
