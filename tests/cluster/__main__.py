"""`make cluster-up`, `cluster-status` and `cluster-down`: a Kubernetes node with real pods, for a person to look at."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from cluster.deployed import environment
from cluster.kubectl import Kubectl
from cluster.node import Node
from floe import console, repo
from floe.errors import FloeError
from images.build import archives

NODE = Node("floe")
_EXAMPLES = """examples:
  make cluster-up                    an empty node
  make cluster-up ARGS=dev           with the images of this repository and what overlays/dev prints, running
  make cluster-up ARGS="--port 7443" its API on a port of your choice
  make cluster-status
  make cluster-down
"""


def up(environment_name: str | None, port: int) -> None:
    """Bring the node up and, where an environment is named, that on it."""
    if environment_name:
        repo.overlay(environment_name)  # named wrongly: said before minutes are spent
    started = time.monotonic()
    NODE.start(port, tied=False)
    console.out().print(f"[green]✓[/] node up in {time.monotonic() - started:.1f} s")
    if environment_name:
        NODE.load(archives())
        with tempfile.TemporaryDirectory() as folder:
            one = environment(environment_name, Kubectl(NODE.kubeconfig), Path(folder))
            console.err().print(one.apply(), end="")
            with console.progress(f"{one.namespace}: waiting for its pods"):
                try:
                    seconds = one.wait_ready()
                except AssertionError as error:
                    raise FloeError(f"{one.namespace} is not ready: {error}", "make cluster-status") from None
        console.out().print(f"[green]✓[/] {one.namespace} ready in {seconds:.0f} s")
    console.out().print(f"  next: export KUBECONFIG={NODE.kubeconfig}; kubectl get pods -A; make cluster-down")
    if environment_name:
        console.out().print(f"  Dagster: kubectl port-forward -n {one.namespace} service/dagster-webserver 3000")


def status() -> int:
    """Say what runs; 1 where nothing does."""
    keeper = NODE.keeper()
    if keeper is None:
        console.out().print("no node runs; make cluster-up starts one")
        return 1
    console.out().print(f"[green]✓[/] node kept by process {keeper}; KUBECONFIG={NODE.kubeconfig}")
    print(Kubectl(NODE.kubeconfig)("get", "nodes,pods", "--all-namespaces", "--output=wide"), end="")
    return 0


def main() -> None:
    """The command line."""
    description = __doc__.splitlines()[0] if __doc__ else None
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("cluster", description=description, epilog=_EXAMPLES, formatter_class=formatter)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start it", epilog=_EXAMPLES, formatter_class=formatter)
    starting.add_argument("environment", nargs="?", help=f"what to run on it: {', '.join(repo.environments())}")
    starting.add_argument("--port", type=int, default=0, help="of its API on loopback (0 picks a free one)")
    commands.add_parser("status", help="show it")
    commands.add_parser("down", help="end it")
    chosen = parser.parse_args()
    if chosen.command == "up":
        up(chosen.environment, chosen.port)
    elif chosen.command == "status":
        sys.exit(status())
    else:
        ended = NODE.stop()
        console.out().print("[green]✓[/] node ended, nothing is left of it" if ended else "no node runs")


if __name__ == "__main__":
    console.run(main)
