"""`make cluster-up`, `cluster-status` and `cluster-down`: a Kubernetes node with real pods, for use by hand."""

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
  make cluster-up ARGS=dev           a node that runs overlays/dev with the images of this repository
  make cluster-up ARGS="--port 7443" a node with its API on a port of your choice
  make cluster-status
  make cluster-down
"""


def up(environment_name: str | None, port: int) -> None:
    """Start the node and, if an environment is named, deploy it and wait until it is ready.

    `port`: the port of the node's API on loopback; 0 picks a free one. Raises FloeError if the node cannot be started,
    if there is no such environment, or if its pods are not ready in time.
    """
    if environment_name:
        repo.current().overlay(environment_name)  # raises now, and not after minutes, if there is no such environment
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
                    raise FloeError(f"{one.namespace} is not ready: {error}", "Run `make cluster-status`.") from None
        console.out().print(f"[green]✓[/] {one.namespace} ready in {seconds:.0f} s")
    console.out().print(f"  next: Run `export KUBECONFIG={NODE.kubeconfig}; kubectl get pods -A`.")
    console.out().print("  To remove the node, run `make cluster-down`.")
    if environment_name:
        console.out().print(f"  Dagster: kubectl port-forward -n {one.namespace} service/dagster-webserver 3000")


def status() -> int:
    """Print the node and its pods; returns the exit code, which is 1 if no node runs."""
    keeper = NODE.keeper()
    if keeper is None:
        console.out().print("no node runs; start one with make cluster-up")
        return 1
    console.out().print(f"[green]✓[/] node kept by process {keeper}; KUBECONFIG={NODE.kubeconfig}")
    print(Kubectl(NODE.kubeconfig)("get", "nodes,pods", "--all-namespaces", "--output=wide"), end="")
    return 0


def main() -> None:
    """Run the command of the command line."""
    description = __doc__.splitlines()[0] if __doc__ else None
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("cluster", description=description, epilog=_EXAMPLES, formatter_class=formatter)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start the node", epilog=_EXAMPLES, formatter_class=formatter)
    starting.add_argument(
        "environment", nargs="?", help=f"environment to deploy: {', '.join(repo.current().environments())}"
    )
    starting.add_argument("--port", type=int, default=0, help="port of its API on loopback (0 picks a free one)")
    commands.add_parser("status", help="show the node and its pods")
    commands.add_parser("down", help="stop the node")
    chosen = parser.parse_args()
    if chosen.command == "up":
        up(chosen.environment, chosen.port)
    elif chosen.command == "status":
        sys.exit(status())
    else:
        ended = NODE.stop()
        console.out().print("[green]✓[/] node stopped and removed" if ended else "no node runs")


if __name__ == "__main__":
    console.run(main)
