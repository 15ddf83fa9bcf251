"""What revisions hold, whether the working tree holds more, and a commit beside it that leaves the tree alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from floe import process
from floe.errors import FloeError

_OURS_ALONE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
"""Set by Git for its hooks, in one of which we may run: they would make Git look at an index that is not ours."""

_SECONDS = 300  # a person may have to type the passphrase of the key that signs
_HISTORY_SECONDS = 120  # to print a history; one of thousands of commits takes seconds
_PLAIN = ("-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false")
_HINTS = {
    "commit-tree": "git config user.name and user.email say who commits; a key that signs must be at hand",
    "update-ref": "name another branch: --branch NAME",
}


@dataclass(frozen=True)
class Exported:
    """A commit's files in a folder of their own."""

    commit: str
    folder: Path  # where in it ours is
    env: dict[str, str]
    """By which Git sees the folder as its working tree, with an index of its own."""


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
            raise FloeError("the repository has no commit yet", "git commit what is there first")
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

    def unmerged(self) -> list[str]:
        """Files that a merge or rebase left with conflicts."""
        done = _git(["--no-optional-locks", "diff", "--name-only", "--diff-filter=U"], self.folder)
        return _checked(done).splitlines()

    def branch(self) -> str | None:
        """The branch that is checked out; None where HEAD is detached."""
        return _git(["symbolic-ref", "--quiet", "--short", "HEAD"], self.folder).stdout.strip() or None

    def refuse_branch(self, name: str) -> None:
        """Raise FloeError for what is no name of a branch, and for one that exists."""
        if _git(["check-ref-format", "--branch", name], self.folder).returncode or name.startswith("-"):
            raise FloeError(f"{name!r} is no name of a branch", "--branch NAME, as in promote/staging")
        parts = name.split("/")
        for count in range(1, len(parts) + 1):  # a branch a/b cannot be beside a branch a
            taken = "/".join(parts[:count])
            if not _git(["show-ref", "--verify", "--quiet", f"refs/heads/{taken}"], self.folder).returncode:
                raise FloeError(f"there is a branch {taken!r} already", "name another one: --branch NAME")

    def commit_beside(self, exported: Exported, files: Sequence[str], message: str, branch: str) -> str:
        """Commit files of an export on top of what was exported, as a new branch; returns the commit's hash.

        Neither the working tree nor its index nor its branch changes. Raises FloeError with Git's own reason.
        """

        def call(*arguments: str) -> str:
            done = _git([*_PLAIN, *arguments], exported.folder, exported.env)
            if done.returncode:
                raise FloeError(f"git {arguments[0]} failed: {_last_line(done)}", _HINTS.get(arguments[0], "git fsck"))
            return done.stdout.strip()

        call("add", "--", *files)
        signed = ["-S"] if call("config", "--type=bool", "--default=false", "commit.gpgsign") == "true" else []
        commit = call("commit-tree", *signed, "-p", exported.commit, "-m", message, call("write-tree"))
        call("update-ref", "-m", "floe promote", f"refs/heads/{branch}", commit, "0" * len(commit))
        return commit

    def export(self, commit: str, target: Path) -> Exported:
        """Write a commit's files to a new folder as a checkout would."""
        target.mkdir()
        env = {
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(target),
            "GIT_INDEX_FILE": str(target.with_name(f"{target.name}.index")),
        }
        for command in (["read-tree", commit], ["checkout-index", "--all"]):
            _checked(_git([*_PLAIN, *command], target, env))
        return Exported(commit, target / self.prefix, env)


def open_repository(folder: Path) -> Repository:
    """The Git repository around a folder. Raises FloeError where there is none, or no Git."""
    question = ["rev-parse", "--absolute-git-dir", "--is-shallow-repository", "--show-prefix"]
    done = _git(question, folder)
    if done.returncode:
        raise FloeError(
            f"{folder} is not in a Git repository that can be read: {_last_line(done)}",
            "run it in a clone of your fork",
        )
    git_dir, shallow, prefix = [*done.stdout.splitlines(), "", "", ""][:3]
    if shallow not in ("true", "false"):
        raise FloeError(f"git does not say where the repository of {folder} is", "see which git is first on PATH")
    return Repository(folder, Path(git_dir), prefix, shallow == "true")


def history(folder: Path, path: str) -> Generator[tuple[str, bytes], None, None]:
    """(file name, content) of each version of the files under a path, the newest first, by one call of Git.

    Raises FloeError with Git's own reason, such as that the folder is in no repository, and where Git does not end.
    """
    # With all lines as context a patch holds the whole file; nothing else has to be asked for.
    options = ["--format=", "--patch", "--unified=1000000", "--no-color", "--no-ext-diff", "--no-renames"]
    command = ["git", "log", *options, "--", path]
    what = f"the history of {path} cannot be read"
    # The reader may have seen enough.
    with closing(
        process.lines(command, seconds=_HISTORY_SECONDS, folder=folder, env=_ours(_named()), what=what)
    ) as printed:
        yield from _written(printed)


def _written(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file that Git's patches write."""
    name, content, inside = "", b"", False
    for line in lines:
        if line.startswith(b"diff --git "):
            if content:
                yield name, content
            name, content, inside = Path(line.decode(errors="replace").rstrip().rstrip('"')).name, b"", False
        elif line.startswith(b"@@"):
            inside = True
        elif inside and line[:1] in (b"+", b" "):
            content += line[1:]
    if content:
        yield name, content


def is_shallow(folder: Path) -> bool:
    """Whether the clone around a folder lacks the older part of the history.

    Raises FloeError where Git does not say.
    """
    done = process.run(
        ["git", "rev-parse", "--is-shallow-repository"],
        seconds=_HISTORY_SECONDS,
        folder=folder,
        env=_ours(_named()),
        what="whether the history is whole cannot be told",
    )
    return done.stdout.strip() == "true"


def _named() -> dict[str, str]:
    """The repository that the process's variables name: of what a promotion exported, while it validates that."""
    return {name: os.environ[name] for name in ("GIT_DIR", "GIT_WORK_TREE") if name in os.environ}


def _ours(env: dict[str, str]) -> process.Env:
    """What changes in the environment of every call of Git."""
    return dict.fromkeys(_OURS_ALONE) | {"LC_ALL": "C"} | env


def _git(arguments: list[str], folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return process.run(["git", *arguments], seconds=_SECONDS, folder=folder, env=_ours(env or {}), check=False)


def _checked(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        raise FloeError(f"git {done.args[-1]} failed: {_last_line(done)}", "git fsck, or a fresh clone")
    return done.stdout


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return process.complaint(done).removeprefix("fatal: ")
