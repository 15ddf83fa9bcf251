"""Runs every test suite and prints the minutes that each one took next to its budget; `.ci/run` calls it after setup.

`python tests/ci.py` runs all suites; `--list` prints the table; `--since REVISION` runs only the suites that read the
files changed since that revision. A suite is one entry of SUITES. Suites of the same lane run one after the other, and
lanes run in parallel: on two cores, the suites that wait for pods leave time for those that compute. Lanes with a
higher niceness yield to the others, so that pods start in time. The other suites go on after a failure, so that one
run names everything that fails.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTATION = ("docs/*", "*.md")
"""If a change touches only these files, only the suites that read documentation run."""
LANES = {"pods": 0, "images": 0, "computing": 5, "building": 5}
"""Niceness of each lane."""
_BUSY_SECONDS = 60
"""Interval at which the names of the running suites are printed."""


@dataclass(frozen=True)
class Suite:
    """One command. `minutes` is its budget on two cores with full caches, while the other lanes run too."""

    name: str
    lane: str
    minutes: float
    command: str
    reads_documentation: bool = False
    as_newcomer: bool = False
    """Whether to run in a copy of the working tree, with an empty home and without Go on PATH; root becomes nobody."""


SUITES = (
    Suite("servers", "building", 0.1, "make servers"),
    Suite("lint", "computing", 0.5, "make lint", reads_documentation=True),
    Suite("types", "computing", 1.5, "make types"),
    Suite("fork", "computing", 3, ".venv/bin/python tests/forked.py"),
    Suite("charts", "computing", 0.5, ".venv/bin/floe charts sync --check", reads_documentation=True),
    Suite("test", "computing", 13, 'make test ARGS="--durations=10"', as_newcomer=True),
    Suite("test-engines", "computing", 8, 'make test-engines ARGS="--durations=10"'),
    Suite("test-built", "computing", 1, 'make test-built ARGS="--durations=10"'),
    Suite("test-apiserver", "images", 4, 'make test-apiserver ARGS="--durations=10"'),
    Suite("test-cluster", "pods", 25, 'make test-cluster ARGS="--durations=10"'),
    Suite("test-images", "images", 6, 'make test-images ARGS="--durations=10"'),
    Suite("test-gitops", "images", 12, 'make test-gitops ARGS="--durations=10"'),
)
DOCUMENTATION_SUITE = Suite("docs", "computing", 0.5, "make test ARGS=tests/docs", reads_documentation=True)
"""Replaces the suite `test`, which includes it, if only documentation changed."""


class Run:
    """One run of the chosen suites."""

    def __init__(self, suites: Sequence[Suite], logs: Path) -> None:
        """`logs` is the folder for log files and for the copies of newcomers. The caller removes it."""
        self.suites, self.logs = suites, logs
        self.took: dict[str, float] = {}
        self.failed: list[str] = []
        self._stopped = False
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def all(self) -> bool:
        """Run all suites; returns whether all of them passed."""
        lanes = [
            threading.Thread(target=self._lane, args=([one for one in self.suites if one.lane == lane],))
            for lane in LANES
        ]
        for thread in lanes:
            thread.start()
        printed_at = time.monotonic()
        try:
            while any(thread.is_alive() for thread in lanes):
                time.sleep(0.2)
                if time.monotonic() - printed_at > _BUSY_SECONDS:
                    printed_at = time.monotonic()
                    print(f"   … {', '.join(self._running)}", flush=True)
        except KeyboardInterrupt:
            self.stop()
            for thread in lanes:
                thread.join()
        return not self.failed and not self._stopped

    def _lane(self, suites: Sequence[Suite]) -> None:
        for suite in suites:
            if self._stopped:
                return
            started = time.monotonic()
            try:
                code = self._one(suite)
            except (OSError, subprocess.CalledProcessError) as error:  # no room for a copy, no such program
                print(f"{suite.name} cannot be started: {error}", flush=True)
                code = 2
            self.took[suite.name] = time.monotonic() - started
            self._end(suite, code)

    def _one(self, suite: Suite) -> int:
        if not suite.as_newcomer:
            return self._call(suite, ROOT, {}, [])
        folder = self.logs / f"newcomer-{suite.name}"
        folder.mkdir()
        return self._call(suite, *newcomer(folder))

    def _call(self, suite: Suite, folder: Path, env: Mapping[str, str], prefix: Sequence[str]) -> int:
        command = ["nice", "-n", str(LANES[suite.lane]), *prefix, *shlex.split(suite.command)]
        with (self.logs / f"{suite.name}.log").open("wb") as log, self._lock:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running[suite.name] = process
        return process.wait()

    def _end(self, suite: Suite, code: int) -> None:
        """Print the output of a suite, and whether it failed."""
        with self._lock:
            self._running.pop(suite.name, None)
            log = self.logs / f"{suite.name}.log"
            print(f"\n== {suite.name}\n{log.read_text(errors='replace') if log.exists() else ''}", flush=True)
            if code:
                self.failed.append(suite.name)
                print(f"\nFAILED: {suite.name}, exit code {code}, after {self.took[suite.name]:.0f} s", flush=True)

    def stop(self) -> None:
        """Terminate the running suites, and start no further one."""
        with self._lock:
            self._stopped = True
            for process in self._running.values():
                os.killpg(process.pid, signal.SIGTERM)


def copy_tree(copy: Path) -> None:
    """Copy the repository with the files of its working tree, committed or not, to a folder that does not exist yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    shutil.copytree(ROOT / ".git", copy / ".git", symlinks=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():  # Git also lists files whose removal is not committed yet
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)


def newcomer(folder: Path) -> tuple[Path, dict[str, str], list[str]]:
    """Copy the working tree to a folder, for a suite that runs as on a newcomer's machine.

    Returns the copy, and the environment variables and the prefix of the command to run there.
    """
    copy, home = folder / "floe", folder / "home"
    home.mkdir()
    copy_tree(copy)
    path = [one for one in os.get_exec_path() if not Path(one, "go").exists()]
    prefix = ["env", *(f"--unset={name}" for name in os.environ if name.startswith(("XDG_", "GO")))]
    if os.geteuid() == 0:
        folder.chmod(0o755)
        nobody = pwd.getpwnam("nobody")
        for place, _, files in os.walk(folder):
            for name in (".", *files):
                os.chown(Path(place, name), nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
        prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--", *prefix]
        path = [one for one in path if Path(one).is_dir() and _open_to_all(Path(one).resolve())]
    return copy, {"HOME": str(home), "PATH": os.pathsep.join(path)}, prefix


def _open_to_all(folder: Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents))


def chosen(since: str | None) -> list[Suite]:
    """All suites, or with a revision only those that read the files changed since then."""
    if since is None:
        return list(SUITES)
    command = ["git", "diff", "--name-only", f"{since}...HEAD"]
    changed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    documentation = bool(changed) and all(any(fnmatch(name, one) for one in DOCUMENTATION) for name in changed)
    return [one for one in (*SUITES, DOCUMENTATION_SUITE) if one.reads_documentation] if documentation else list(SUITES)


def table(suites: Sequence[Suite], took: Mapping[str, float]) -> str:
    """A table with one line for each suite: its minutes, its budget, its lane, and whether it exceeded the budget."""
    lines = ["minutes  budget  lane       suite"]
    for one in suites:
        minutes = f"{took[one.name] / 60:7.1f}" if one.name in took else "      -"
        over = "  over its budget" if took.get(one.name, 0) > one.minutes * 60 else ""
        lines.append(f"{minutes}  {one.minutes:6.1f}  {one.lane:<9}  {one.name}{over}")
    return "\n".join(lines)


def main() -> int:
    """Run the command; returns the exit code: 0 if all suites passed, else 1."""
    parser = argparse.ArgumentParser("tests/ci.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--list", action="store_true", help="print the suites and their budgets")
    parser.add_argument("--since", metavar="REVISION", help="run only suites that read files changed since then")
    parser.add_argument("suite", nargs="*", help="run only these suites")
    options = parser.parse_args()
    suites = [one for one in chosen(options.since) if not options.suite or one.name in options.suite]
    if options.list:
        print(table(suites, {}))
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="floe-ci-", ignore_cleanup_errors=True) as logs:
        Path(logs).chmod(0o755)  # a newcomer has to get to its folder
        run = Run(suites, Path(logs))
        signal.signal(signal.SIGTERM, lambda *_: run.stop())
        passed = run.all()
    print(f"\n{table(suites, run.took)}\n\n{(time.monotonic() - started) / 60:.1f} minutes in all", flush=True)
    if run.failed:
        print(f"FAILED: {', '.join(run.failed)}", file=sys.stderr)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
