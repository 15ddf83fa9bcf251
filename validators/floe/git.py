"""Git: revisions, uncommitted changes, history, and commits that do not touch the working tree."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from floe import process
from floe.errors import FloeError

_OURS_ALONE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
"""Variables that Git sets for its hooks. If floe runs in a hook, they would make Git use another repository."""

_SECONDS = 300  # long enough for a person to type the passphrase of a signing key
_HISTORY_SECONDS = 120  # to print a history; thousands of commits take a few seconds
_PLAIN = ("-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false")
_HINTS = {
    "commit-tree": "Set user.name and user.email with `git config`. If commits are signed, provide the signing key.",
    "update-ref": "Choose another branch: --branch NAME.",
}


@dataclass(frozen=True)
class Exported:
    """The files of a commit, written to a separate folder."""

    commit: str
    folder: Path  # the exported counterpart of Repository.folder
    env: dict[str, str]
    """Variables that make Git use the folder as its working tree, with a separate index."""


@dataclass(frozen=True)
class Repository:
    """The Git repository that contains a folder."""

    folder: Path
    git_dir: Path
    prefix: str  # path of the folder in the repository: "" at its top, otherwise with a slash at the end
    shallow: bool

    def commit(self, revision: str) -> str:
        """The full hash of the commit that a revision names. Raises FloeError if there is no such revision."""
        if not revision.startswith("-"):  # Git would read it as an option
            done = _run_git(["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], self.folder)
            if done.returncode == 0:
                return done.stdout.strip()
        if _run_git(["rev-parse", "--verify", "--quiet", "HEAD"], self.folder).returncode:
            raise FloeError("the repository has no commit yet", "Commit the files first: `git add . && git commit`.")
        if self.shallow:
            raise FloeError(
                f"the revision {revision!r} is not in this shallow clone",
                "Run `git fetch --unshallow`. In CI, check out the whole history (fetch-depth: 0).",
            )
        raise FloeError(
            f"there is no revision {revision!r} in this repository",
            "Run `git fetch --all --tags` to get new revisions. `git log --oneline`, `git branch --all` and `git tag` "
            "list those that exist.",
        )

    def has(self, revision: str) -> bool:
        """Whether a revision exists here."""
        return not _run_git(["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], self.folder).returncode

    def changed_since(self, commit: str) -> list[str]:
        """The files under the folder that the working tree has changed since its common ancestor with a commit.

        Uncommitted and untracked files count, ignored ones do not. Paths are relative to the folder.
        """
        ancestor = _output_or_error(_run_git(["merge-base", commit, "HEAD"], self.folder)).strip()
        diff = _run_git(["diff", "--name-only", "--no-renames", "--relative", "-z", ancestor, "--", "."], self.folder)
        new = self.listed(".", kinds=("--others", "--exclude-standard"))
        return sorted({*_output_or_error(diff).split("\0")[:-1], *new})

    def uncommitted(self) -> int:
        """The number of files under the folder that differ from HEAD or are untracked; ignored files do not count."""
        return len(self.changed("."))

    def changed(self, *paths: str) -> list[str]:
        """The files under some paths that differ from HEAD or are untracked, relative to the folder, sorted.

        A file of which a commit would store nothing new does not count, such as one with CRLF instead of LF where
        .gitattributes says that the repository has LF.
        """
        # Without the first option `git status` would write the index that it has refreshed.
        options = ["--porcelain", "-z", "--untracked-files=all", "--no-renames"]
        done = _run_git(["--no-optional-locks", "status", *options, "--", *paths], self.folder)
        lines = _output_or_error(done).split("\0")[:-1]
        names = {line[3:] for line in lines}  # after two letters for the kind of change
        if edited := {line[3:] for line in lines if line.startswith(" M")}:
            # `git status` goes by size and time for these; with this option `git diff` compares what would be stored.
            options = ["--no-optional-locks", "-c", "diff.autoRefreshIndex=true"]
            done = _run_git([*options, "diff", "--name-only", "-z", "--", *paths], self.folder)
            names -= edited.difference(_output_or_error(done).split("\0"))
        return sorted(name.removeprefix(self.prefix) for name in names)

    def listed(self, *paths: str, kinds: Sequence[str] = ("--cached",)) -> list[str]:
        """The files under some paths that `git ls-files` lists, relative to the folder, by default the tracked ones."""
        done = _run_git(["ls-files", "-z", *kinds, "--", *paths], self.folder)
        return _output_or_error(done).split("\0")[:-1]

    def unmerged(self) -> list[str]:
        """The files that a merge or rebase left with conflicts."""
        done = _run_git(["--no-optional-locks", "diff", "--name-only", "--diff-filter=U"], self.folder)
        return _output_or_error(done).splitlines()

    def branch(self) -> str | None:
        """The branch that is checked out; None if HEAD is detached."""
        return _run_git(["symbolic-ref", "--quiet", "--short", "HEAD"], self.folder).stdout.strip() or None

    def refuse_branch(self, name: str) -> None:
        """Raise FloeError if a new branch of this name cannot be created: invalid name, or it exists already."""
        if _run_git(["check-ref-format", "--branch", name], self.folder).returncode or name.startswith("-"):
            raise FloeError(
                f"{name!r} is not a valid branch name", "Choose another name, such as --branch promote/staging."
            )
        parts = name.split("/")
        for count in range(1, len(parts) + 1):  # Git cannot have branches `a` and `a/b` at once
            taken = "/".join(parts[:count])
            if not _run_git(["show-ref", "--verify", "--quiet", f"refs/heads/{taken}"], self.folder).returncode:
                raise FloeError(f"the branch {taken!r} exists already", "Choose another branch: --branch NAME.")

    def commit_beside(self, exported: Exported, files: Sequence[str], message: str, branch: str) -> str:
        """Commit files of an export on a new branch, on top of the exported commit; returns the new commit's hash.

        The working tree, its index and its branch do not change. Raises FloeError with Git's reason if Git refuses.
        """

        def call(*arguments: str) -> str:
            done = _run_git([*_PLAIN, *arguments], exported.folder, exported.env)
            if done.returncode:
                hint = _HINTS.get(arguments[0], "Check the repository with `git fsck`.")
                raise FloeError(f"git {arguments[0]} failed: {_last_line(done)}", hint)
            return done.stdout.strip()

        call("add", "--", *files)
        signed = ["-S"] if call("config", "--type=bool", "--default=false", "commit.gpgsign") == "true" else []
        commit = call("commit-tree", *signed, "-p", exported.commit, "-m", message, call("write-tree"))
        call("update-ref", "-m", "floe promote", f"refs/heads/{branch}", commit, "0" * len(commit))
        return commit

    def export(self, commit: str, target: Path) -> Exported:
        """Write a commit's files to `target`, a folder that does not exist yet, as a checkout would."""
        target.mkdir()
        env = {
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(target),
            "GIT_INDEX_FILE": str(target.with_name(f"{target.name}.index")),
        }
        for command in (["read-tree", commit], ["checkout-index", "--all"]):
            _output_or_error(_run_git([*_PLAIN, *command], target, env))
        return Exported(commit, target / self.prefix, env)


def open_repository(folder: Path) -> Repository:
    """The Git repository that contains a folder. Raises FloeError if there is none or Git is not installed."""
    question = ["rev-parse", "--absolute-git-dir", "--is-shallow-repository", "--show-prefix"]
    done = _run_git(question, folder)
    if done.returncode:
        raise FloeError(
            f"{folder} is not in a Git repository that can be read: {_last_line(done)}",
            "Run this in a clone of your fork.",
        )
    git_dir, shallow, prefix = [*done.stdout.splitlines(), "", "", ""][:3]
    if shallow not in ("true", "false"):
        raise FloeError(
            f"git does not report the repository of {folder}", "Check which git is first on PATH: `type -a git`."
        )
    return Repository(folder, Path(git_dir), prefix, shallow == "true")


def history(
    folder: Path, path: str, env: Mapping[str, str], until: str = "HEAD"
) -> Generator[tuple[str, bytes], None, None]:
    """Yield (file name, content) for each version of the files under a path, newest first, with a single call of Git.

    `env`: variables that name the repository if the folder is not in it. `until`: the last commit of the history.
    Raises FloeError if Git fails, for instance because the folder is in no repository, or does not end in time.
    """
    # With all lines as context, a patch contains the whole file, so that no further call is needed.
    options = ["--format=", "--patch", "--unified=1000000", "--no-color", "--no-ext-diff", "--no-renames"]
    command = ["git", "log", *options, until, "--", path]
    what = f"the history of {path} cannot be read"
    # `closing` ends Git when the caller stops iterating early.
    with closing(
        process.lines(command, seconds=_HISTORY_SECONDS, folder=folder, env=_environment(env), what=what)
    ) as printed:
        yield from _versions_in_patches(printed)


def first_commit(folder: Path, path: str, env: Mapping[str, str]) -> str | None:
    """The hash of the first commit in which the path exists; None if there is none. Raises FloeError if Git fails.

    `env`: variables that name the repository if the folder is not in it.
    """
    what = f"the history of {path} cannot be read"
    command = ["git", "log", "--format=%H", "--reverse", "--", path]
    done = process.run(command, seconds=_HISTORY_SECONDS, folder=folder, env=_environment(env), what=what)
    return next(iter(done.stdout.split()), None)


def _versions_in_patches(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of each file version in Git's patches."""
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


def is_shallow(folder: Path, env: Mapping[str, str]) -> bool:
    """Whether the clone that contains a folder is shallow: it lacks the older part of the history.

    `env`: variables that name the repository if the folder is not in it.
    Raises FloeError if Git fails.
    """
    done = process.run(
        ["git", "rev-parse", "--is-shallow-repository"],
        seconds=_HISTORY_SECONDS,
        folder=folder,
        env=_environment(env),
        what="cannot tell whether the clone is shallow",
    )
    return done.stdout.strip() == "true"


def _environment(env: Mapping[str, str]) -> process.Env:
    """The changes to the environment that every call of Git gets."""
    return dict.fromkeys(_OURS_ALONE) | {"LC_ALL": "C", **env}


def _run_git(arguments: list[str], folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return process.run(["git", *arguments], seconds=_SECONDS, folder=folder, env=_environment(env or {}), check=False)


def _output_or_error(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        raise FloeError(f"git {done.args[-1]} failed: {_last_line(done)}", "Run `git fsck`, or use a fresh clone.")
    return done.stdout


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return process.complaint(done).removeprefix("fatal: ")
