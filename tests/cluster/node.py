"""A Kubernetes node with real pods on this machine, for tests and, with `cluster.__main__`, for use by hand.

A keeper process holds a lock in the folder of the node while the node runs. The lock shows whether it runs; a process
id would not be enough, because another process may have it later. Everything else runs below the keeper in separate
namespaces for processes, mounts and network (`cluster.inside`). If the keeper ends, the kernel ends all of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import debian
import toolbox
from cluster import inside
from floe import repo
from floe.console import progress
from floe.demo.ports import HOST, claim
from floe.demo.processes import tied_to_us
from floe.errors import FloeError

BUILT = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns", "kubectl")
KEPT = ("images", "log", "lock")
"""The parts of a node's folder that are kept when it stops: images, so that they are imported only once, and logs."""
_UP_SECONDS = 120


@dataclass(frozen=True)
class Node:
    """A node by its name. Nodes with different names can run at the same time."""

    name: str

    @property
    def folder(self) -> Path:
        """The folder with the state of the node."""
        return repo.cache_dir() / "nodes" / self.name

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig for programs on this machine."""
        return self.folder / "kubeconfig"

    @property
    def inner_kubeconfig(self) -> Path:
        """The kubeconfig for programs in the network of the node."""
        return self.folder / "inside.kubeconfig"

    @property
    def cgroup(self) -> str:
        """The name of the control group that contains all pods of the node."""
        return f"floe-{self.name}"

    def enter(self) -> list[str]:
        """The prefix of a command that runs a program in the network of the node, which must be running."""
        process = (self.folder / "process").read_text()
        return ["nsenter", f"--net=/proc/{process}/ns/net", "--"]

    def cgroups(self) -> list[Path]:
        """The folders of that control group, one in each hierarchy."""
        return [path for pattern in ("", "*/") for path in inside.CGROUPS.glob(pattern + self.cgroup)]

    def keeper(self) -> int | None:
        """The id of the keeper process; None if the node does not run."""
        path = self.folder / "lock"
        if not path.is_file():
            return None
        with path.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0) or None
        return None

    def start(self, port: int, *, tied: bool) -> subprocess.Popen[str]:
        """Start the node; returns the keeper process.

        `port`: the port of its API on loopback; 0 picks a free one. `tied`: end the node together with this process,
        even if that is killed. Raises FloeError if the node cannot be started.
        """
        if reason := missing():
            raise FloeError(
                f"no node: {reason}", "Install what is missing, or set FLOE_TEST_CLUSTER to the context of a cluster."
            )
        if self.keeper():
            raise FloeError(
                f"the node {self.name} runs already",
                "Show it with `make cluster-status`, or stop it with `make cluster-down`.",
            )
        if len(str(self.folder)) > 80:
            raise FloeError(f"the path {self.folder} is too long for sockets", "Set XDG_CACHE_HOME to a shorter path.")
        for name in BUILT:
            toolbox.resolve(name)
        port = claim(port, "the node's API", "--port")
        prefix = tied_to_us() if tied else []
        command = [*prefix, sys.executable, "-m", "cluster.node", self.name, str(port)]
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        logs = self.folder / "log"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        with (logs / "keeper.log").open("wb") as log:
            keeper = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert keeper.stdout
        with progress(f"node {self.name}: etcd, containerd") as say:
            for line in keeper.stdout:
                word = line.strip()
                if word == inside.READY:
                    return keeper
                if word.startswith("error: "):
                    keeper.wait()
                    raise FloeError(f"the node {self.name} cannot be started: {word.removeprefix('error: ')}")
                say(f"node {self.name}: {word}")
        raise FloeError(f"the node {self.name} did not start", f"Read the logs in {self.folder / 'log'}.")

    def stop(self) -> bool:
        """Stop the node and wait until it is gone; returns whether it was running."""
        keeper = self.keeper()
        if keeper is None:
            self.clean()
            return False
        os.kill(keeper, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while self.keeper():
            if time.monotonic() > deadline:
                raise FloeError(
                    f"process {keeper}, which keeps the node {self.name}, does not end", f"Run `kill -9 {keeper}`."
                )
            time.sleep(0.05)
        return True

    def tag(self, image: str, name: str) -> None:
        """Give an image of the node another name. Raises FloeError if the node does not have the image."""
        done = inside.ctr(self.folder, "images", "tag", "--force", image, name)
        if done.returncode:
            raise FloeError(f"containerd has no image {image}: {done.stderr.strip()}")

    def clean(self) -> None:
        """Remove what the kernel does not remove: the contents of the folder except KEPT, and empty control groups."""
        for group in self.cgroups():
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
        if self.folder.is_dir():
            for entry in self.folder.iterdir():
                if entry.name in KEPT:
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)

    def load(self, archives: Iterable[Path]) -> None:
        """Import images from docker-archives, except those that the node already has."""
        with progress(f"node {self.name}: images") as say:
            present = set(inside.ctr(self.folder, "images", "list", "--quiet").stdout.split())
            for archive in archives:
                status = archive.stat()
                mark = self.folder / "images" / f"{archive.stem}.loaded"
                stamp = f"{status.st_mtime_ns} {status.st_size}"
                known = mark.read_text().splitlines() if mark.is_file() else []
                # The names are checked because a full disk may have made the node lose images.
                if known[:1] == [stamp] and known[1:] and present.issuperset(known[1:]):
                    continue
                say(f"node {self.name}: {archive.stem}")
                done = inside.ctr(self.folder, "images", "import", str(archive))
                if done.returncode:
                    raise FloeError(f"containerd cannot import {archive}: {done.stderr.strip()}")
                mark.write_text("\n".join([stamp, *_names(archive)]))


def _names(archive: Path) -> list[str]:
    """The names of the images in a docker-archive."""
    with tarfile.open(archive) as content:
        manifest = content.extractfile("manifest.json")
        if manifest is None:
            raise FloeError(f"{archive} is not a docker-archive", "Delete the file. It will be created again.")
        return [name for image in json.load(manifest) for name in image["RepoTags"]]


def load_into_kind(name: str, archives: Iterable[Path]) -> None:
    """Load images from docker-archives into a cluster of kind. Raises FloeError if kind fails."""
    for archive in archives:
        command = ["kind", "load", "image-archive", str(archive), "--name", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FloeError(f"kind cannot load {archive}: {done.stderr.strip()}")


@contextmanager
def node(name: str) -> Iterator[Node]:
    """Run a node during the block; it also ends if this process is killed. Waits while another process runs it."""
    one = Node(name)
    with progress(f"node {name}: waiting until another process has stopped it"):
        while one.keeper():
            time.sleep(1)
    keeper = one.start(0, tied=True)
    try:
        yield one
    finally:
        one.stop()
        keeper.wait()


def missing() -> str:
    """The reason why no node can run on this machine; empty if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it needs root on Linux"
    if debian.absent(debian.NODE):
        return debian.remedy(debian.NODE)
    unbuilt = [name for name in BUILT if toolbox.find(name) is None]
    if unbuilt and shutil.which("go") is None:
        return f"{', '.join(unbuilt)} not on PATH, and no Go to build with"
    return ""


def keep(name: str, port: int) -> None:
    """Run the keeper: hold the lock, start the node, wait until it ends or a signal comes, then clean up."""
    one = Node(name)
    one.folder.mkdir(parents=True, exist_ok=True)
    with (one.folder / "lock").open("a+") as lock, socket.socket() as door:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        one.clean()  # removes what a killed keeper left behind
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((HOST, port))
        door.listen(128)
        # With setpriv and --kill-child, the kernel ends process 1 of the node and everything below it when we end.
        command = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", "--pid", "--mount-proc"]
        command += ["--fork", "--kill-child", sys.executable, "-m", "cluster.inside"]
        command += [str(one.folder), one.cgroup, str(door.fileno())]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=[door.fileno()])
        door.close()
        (one.folder / "process").write_text(str(process.pid))
        try:
            assert process.stdout
            for line in process.stdout:
                if line.strip() == inside.READY:
                    _write_kubeconfig(one, port)
                with suppress(BrokenPipeError):  # the process that started us has ended
                    print(line, end="", flush=True)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            process.kill()
            process.wait()
            _wait_for_end(one)
            one.clean()


def _write_kubeconfig(one: Node, port: int) -> None:
    """Write the kubeconfig for this machine: that of the node, with the port of the socket on loopback."""
    path = one.kubeconfig
    path.touch(mode=0o600)
    own = one.inner_kubeconfig.read_text()
    path.write_text(own.replace(f":{inside.API_PORT}", f":{port}"))


def _wait_for_end(one: Node) -> None:
    """Wait until no process is left in the node's control group; processes of pods end last."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(path.read_text() for group in one.cgroups() for path in group.rglob("cgroup.procs")):
            return
        time.sleep(0.05)


if __name__ == "__main__":
    keep(sys.argv[1], int(sys.argv[2]))
