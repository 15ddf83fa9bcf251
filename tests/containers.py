"""Runs containers of the images under test with Podman, from buildah's store and as confined as the pods are."""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import debian
from floe.errors import FloeError
from images.build import builder, stored

_LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=8192:8192")  # a sandbox must not raise its own limits
_CONFINED = ("--read-only", "--user=1000:1000", "--cap-drop=all", "--security-opt=no-new-privileges")
_ENGINE = ("--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file")


@dataclass(frozen=True)
class Podman:
    """Podman with the image that it runs."""

    image: str

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of Podman; the result has both outputs in `stdout`. Raises FloeError without Podman."""
        program = shutil.which("podman")
        if program is None:
            raise FloeError("running the images needs podman", f"Run `{debian.remedy(debian.RUNNER)}`.")
        command = [program, *builder().globally, *_ENGINE, *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def run(
        self, command: Sequence[str], env: Mapping[str, str], *options: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a container to its end, on the network of the machine."""
        return self.call("run", "--rm", *self._options(env), *options, self.image, *command, check=check)

    def _options(self, env: Mapping[str, str]) -> list[str]:
        variables = [f"--env={name}={value}" for name, value in env.items()]
        return ["--pull=never", "--network=host", "--no-healthcheck", *_LIMITS, *_CONFINED, *variables]

    @contextmanager
    def started(self, command: Sequence[str], env: Mapping[str, str], *options: str) -> Iterator[Container]:
        """Run a container in the background and remove it after the block."""
        name = f"floe-test-{uuid.uuid4().hex[:8]}"
        self.call("run", "--detach", f"--name={name}", *self._options(env), *options, self.image, *command)
        try:
            yield Container(self, name)
        finally:
            self.call("rm", "--force", "--time=0", name)


@dataclass(frozen=True)
class Container:
    """A running container."""

    podman: Podman
    name: str

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.podman.call("exec", self.name, *command, check=False)

    def log(self) -> str:
        return self.podman.call("logs", self.name).stdout

    def until(self, ready: Callable[[], bool], seconds: float) -> float:
        """Wait until `ready` returns true; returns the seconds. Fails if the container ends or takes too long."""
        started = time.monotonic()
        while not ready():
            running = self.podman.call("inspect", "--format={{.State.Running}}", self.name).stdout.strip()
            assert running == "true", self.log()
            assert time.monotonic() - started < seconds, f"not ready after {seconds} s: {self.log()}"
            time.sleep(0.2)
        return time.monotonic() - started

    def stop(self, seconds: int) -> tuple[int, float]:
        """Send SIGTERM; returns the exit code and the seconds until the end. A code of 137 means that it was killed."""
        started = time.monotonic()
        self.podman.call("stop", f"--time={seconds}", self.name)
        took = time.monotonic() - started
        return int(self.podman.call("inspect", "--format={{.State.ExitCode}}", self.name).stdout), took


def podman(name: str) -> Podman:
    """Podman with the image of a recipe, which is built if it does not exist yet."""
    return Podman(stored(name))


def readable(path: Path) -> Path:
    """Let the user of the image read a file of a test, and enter the folders above it."""
    path.chmod(path.stat().st_mode | 0o444)
    for folder in path.parents:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o111)
    return path
