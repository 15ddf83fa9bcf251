"""The image's health check. The main process of the container determines what is checked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from floe_runtime.start import PROGRAMS

_SECONDS = 10
_DAEMON_SECONDS = 25  # includes the start of Python; the image's limit for the whole check is 30


def main() -> None:
    """Exit with 0 if the container's main process is healthy, otherwise with 1."""
    words = [word for word in Path("/proc/1/cmdline").read_bytes().decode().split("\0") if word]
    sys.exit(0 if healthy(words) else 1)


def healthy(words: Sequence[str]) -> bool:
    """Whether the process with this command line is healthy. One that has no health check is healthy while it runs."""
    names = [Path(word).name for word in words]
    if "dagster-webserver" in names:
        return _answers(int(_option(words, "-p", "--port") or 3000))
    if "dagster-daemon" in names:
        return _lives([str(PROGRAMS / "dagster-daemon"), "liveness-check"])
    if "grpc" in names:
        return _serves(int(_option(words, "-p", "--port") or 4000))
    return True


def _option(words: Sequence[str], *names: str) -> str | None:
    for name, value in pairwise(words):
        if name in names:
            return value
    return None


def _lives(command: list[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_DAEMON_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _answers(port: int) -> bool:
    from urllib.request import urlopen

    try:
        with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=_SECONDS) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def _serves(port: int) -> bool:
    import grpc
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
    from grpc_health.v1.health_pb2_grpc import HealthStub

    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            reply = HealthStub(channel).Check(HealthCheckRequest(service="DagsterApi"), timeout=_SECONDS)
    except grpc.RpcError:
        return False
    return bool(reply.status == HealthCheckResponse.SERVING)


if __name__ == "__main__":
    main()
