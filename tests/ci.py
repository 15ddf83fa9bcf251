"""What `.ci/run` does once the checkout is set up: every suite, its minutes beside its budget.

`python tests/ci.py` runs all of them; `--list` prints the table; `--since REVISION` runs only the suites that read
what changed since then. A suite is one entry of SUITES. Those of one lane run one after the other, the lanes beside
each other: on two cores the suites that wait for pods leave room for those that compute. A lane with a higher
niceness gives way, so that pods are not late. After a failure no further suite starts, and what runs is ended.
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
"""What a change may touch without more than the suites that read documentation."""
LANES = {"pods": 0, "images": 0, "computing": 5, "building": 5}
"""Niceness of each lane."""
_BUSY_SECONDS = 60
"""How often a log says what runs."""


@dataclass(frozen=True)
class Suite:
    """One command. `minutes` is its budget on two cores where everything is cached, other lanes beside it."""

    name: str
    lane: str
    minutes: float
    command: str
    reads_documentation: bool = False
    as_newcomer: bool = False
    """In a copy of the working tree with an empty home and no Go on PATH, and by nobody where we are root."""


SUITES = (
    Suite("servers", "building", 0.1, "make servers"),
    Suite("lint", "computing", 0.5, "make lint", reads_documentation=True),
    Suite("types", "computing", 1, "make types"),
    Suite("charts", "computing", 0.5, ".venv/bin/floe charts sync --check", reads_documentation=True),
    Suite("demo", "computing", 1.5, 'make demo ARGS="--once --dagster-port 0 --cube-port 0"'),
    Suite("test", "computing", 8, 'make test ARGS="--durations=10"', as_newcomer=True),
    Suite("test-engines", "computing", 3, 'make test-engines ARGS="--durations=10"'),
    Suite("test-built", "computing", 3, 'make test-built ARGS="--durations=10"'),
    Suite("test-cluster", "pods", 12, 'make test-cluster ARGS="--durations=10"'),
    Suite("test-images", "images", 5, 'make test-images ARGS="--durations=10"'),
    Suite("test-gitops", "images", 7, 'make test-gitops ARGS="--durations=10"'),
)
DOCUMENTATION_SUITE = Suite("docs", "computing", 0.5, "make test ARGS=tests/docs", reads_documentation=True)
"""In the place of `test`, which holds it, where documentation alone changed."""


class Run:
    """The suites that were chosen, while they run."""

    def __init__(self, suites: Sequence[Suite], logs: Path) -> None:
        """`logs` gets a file a suite, and the folders of newcomers. Whoever made it removes it."""
        self.suites, self.logs = suites, logs
        self.took: dict[str, float] = {}
        self.failed: list[str] = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def all(self) -> bool:
        """Run them; returns whether all passed."""
        lanes = [
            threading.Thread(target=self._lane, args=([one for one in self.suites if one.lane == lane],))
            for lane in LANES
        ]
        for thread in lanes:
            thread.start()
        said = time.monotonic()
        try:
            while any(thread.is_alive() for thread in lanes):
                time.sleep(0.2)
                if time.monotonic() - said > _BUSY_SECONDS:
                    said = time.monotonic()
                    print(f"   … {', '.join(self._running)}", flush=True)
        except KeyboardInterrupt:
            self.stop()
            for thread in lanes:
                thread.join()
        return not self.failed and len(self.took) == len(self.suites)

    def _lane(self, suites: Sequence[Suite]) -> None:
        for suite in suites:
            if self.failed:
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
        """Print what a suite said; of the first that fails, end the others."""
        with self._lock:
            self._running.pop(suite.name, None)
            if code and self.failed:  # one that we ended
                return
            log = self.logs / f"{suite.name}.log"
            print(f"\n== {suite.name}\n{log.read_text(errors='replace') if log.exists() else ''}", flush=True)
            if code:
                self.failed.append(suite.name)
                print(f"\nFAILED: {suite.name}, exit code {code}, after {self.took[suite.name]:.0f} s", flush=True)
                for process in self._running.values():
                    os.killpg(process.pid, signal.SIGTERM)

    def stop(self) -> None:
        """End what runs."""
        with self._lock:
            self.failed.append("interrupted")
            for process in self._running.values():
                os.killpg(process.pid, signal.SIGTERM)


def newcomer(folder: Path) -> tuple[Path, dict[str, str], list[str]]:
    """A copy of the working tree in a folder, the environment and the prefix with which a newcomer runs there."""
    copy, home = folder / "floe", folder / "home"
    home.mkdir()
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    shutil.copytree(ROOT / ".git", copy / ".git", symlinks=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():  # else removed and not committed yet
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
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
    """All suites, or those that read what changed since a revision."""
    if since is None:
        return list(SUITES)
    command = ["git", "diff", "--name-only", f"{since}...HEAD"]
    changed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    documentation = bool(changed) and all(any(fnmatch(name, one) for one in DOCUMENTATION) for name in changed)
    return [one for one in (*SUITES, DOCUMENTATION_SUITE) if one.reads_documentation] if documentation else list(SUITES)


def table(suites: Sequence[Suite], took: Mapping[str, float]) -> str:
    """A line a suite: what it took, its budget, its lane, and whether it took more."""
    lines = ["minutes  budget  lane       suite"]
    for one in suites:
        minutes = f"{took[one.name] / 60:7.1f}" if one.name in took else "      -"
        over = "  over its budget" if took.get(one.name, 0) > one.minutes * 60 else ""
        lines.append(f"{minutes}  {one.minutes:6.1f}  {one.lane:<9}  {one.name}{over}")
    return "\n".join(lines)


def main() -> int:
    """The command line; returns the exit code: 0 all passed, 1 one failed."""
    parser = argparse.ArgumentParser("tests/ci.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--list", action="store_true", help="print the suites and their budgets")
    parser.add_argument("--since", metavar="REVISION", help="only what reads what changed since then")
    parser.add_argument("suite", nargs="*", help="only these")
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
        print(f"FAILED: {run.failed[0]}", file=sys.stderr)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
