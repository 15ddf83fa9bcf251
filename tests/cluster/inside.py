"""Process 1 of a node. It starts all programs of the node in separate namespaces, so that they end with this process.

`cluster.node` calls it with the folder of the node, the name of its control group and the file descriptor of a socket
that listens on the machine's loopback. This socket is the only connection into the node. There is none out of it,
because the node's network has no interface that leads to the machine or to another network.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from apiserver import server as apiserver
from apiserver.client import ApiServer
from cluster.pause import PAUSE, archive
from debian import CNI_PLUGINS
from floe.demo.processes import answers
from floe.errors import FloeError
from toolbox import resolve

NODE = "node"
ADDRESS = "10.88.77.1"
POD_NETWORK = "10.88.77.0/24"
BRIDGE = "floe0"
API_PORT, ETCD_PORT, ETCD_PEERS = 6443, 2379, 2380
VOLUMES = Path("/mnt")  # in the node's mount namespace; the machine's own /mnt is not touched
VOLUME_COUNT = 12
CGROUPS = Path("/sys/fs/cgroup")
HIDDEN = ("/run/netns", "/var/lib/cni", "/var/log/containers", "/var/log/pods")
"""Folders that kubelet, containerd and the network plugins always write to, whatever their configuration says."""
READY = "ready"
_UP_SECONDS = 60


@dataclass
class Inside:
    """The programs of one node."""

    folder: Path
    cgroup: str
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def log(self, name: str) -> Path:
        """The log file of a program."""
        return self.folder / "log" / f"{name}.log"

    def start(self, name: str, command: list[str]) -> None:
        """Start a program and write its output to log/NAME.log."""
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self.running[name] = process

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait until `ready` returns true. Raises FloeError if a program ends or this takes too long."""
        deadline = time.monotonic() + _UP_SECONDS
        while not ready():
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise FloeError(f"{name} ended with {process.returncode}", f"Read {self.log(name)}.")
            if time.monotonic() > deadline:
                raise FloeError(
                    f"{what} is not ready after {_UP_SECONDS} s", f"Read the logs in {self.folder / 'log'}."
                )
            time.sleep(0.05)

    def up(self) -> None:
        """Start all programs of the node. Raises FloeError if one of them does not start."""
        _network()
        _control_groups(self.cgroup)
        _file_system(self.folder)
        self.start("etcd", apiserver.etcd_command(_made(self.folder / "etcd"), ETCD_PORT, ETCD_PEERS))
        self.start("containerd", ["containerd", "--config", self._containerd()])
        self.wait("etcd", lambda: answers(f"http://127.0.0.1:{ETCD_PORT}/version"))
        server = self._api_server()
        _say("API server")
        self.wait("containerd", lambda: self._ctr("version").returncode == 0)
        self._images()
        self.wait("kube-apiserver", server.ready)
        _say("controllers, DNS, kubelet")
        for name, options in self._options(server).items():
            self.start(name, apiserver.command(name, options))
        self.start("coredns", [str(resolve("coredns")), "-conf", self._corefile(server)])
        self._volumes(server)
        self.wait("the node", lambda: self._node_ready(server))

    def watch(self) -> str:
        """Reap processes that end, until a program of the node ends; returns a message about that program."""
        names = {process.pid: name for name, process in self.running.items()}
        while True:
            pid, status = os.wait()
            if pid in names:
                return f"{names[pid]} ended with {os.waitstatus_to_exitcode(status)}; read {self.log(names[pid])}"

    def _api_server(self) -> ApiServer:
        folder = _made(self.folder / "kubernetes")
        certificate = folder / apiserver.CERTIFICATE
        token = secrets.token_urlsafe()
        server = ApiServer("localhost", API_PORT, token, certificate, self.folder / "inside.kubeconfig")
        options = {
            "bind-address": "0.0.0.0",  # noqa: S104 # of the node's own network
            "advertise-address": ADDRESS,
            "kubelet-preferred-address-types": "InternalIP",
        }
        command = apiserver.server_command(server, folder, f"http://127.0.0.1:{ETCD_PORT}", options)
        self.start("kube-apiserver", command)
        return server

    def _options(self, server: ApiServer) -> dict[str, dict[str, str]]:
        kubeconfig = {"kubeconfig": str(server.kubeconfig), "leader-elect": "false"}
        return {
            "kubelet": {
                "config": self._config("kubelet", self._kubelet()),
                "kubeconfig": str(server.kubeconfig),
                "root-dir": str(self.folder / "kubelet"),
                "cert-dir": str(self.folder / "kubelet-certificates"),
                "hostname-override": NODE,
                "node-ip": ADDRESS,
            },
            "kube-controller-manager": kubeconfig
            | {
                "service-account-private-key-file": str(apiserver.signing_key(self.folder / "kubernetes")),
                "root-ca-file": str(server.authority),
                "use-service-account-credentials": "true",
                "controllers": "*,-nodeipam,-cloud-node-lifecycle",
            },
            "kube-scheduler": kubeconfig | {"secure-port": "0"},
            "kube-proxy": {"config": self._config("kube-proxy", self._kube_proxy(server))},
        }

    def _kubelet(self) -> dict[str, Any]:
        (self.folder / "resolv.conf").touch()
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failSwapOn": False,
            "failCgroupV1": False,
            "containerRuntimeEndpoint": f"unix://{self.folder / 'containerd.sock'}",
            "oomScoreAdj": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "address": ADDRESS,
            "healthzPort": 0,
            "readOnlyPort": 0,
            "clusterDomain": "cluster.local",
            "clusterDNS": [ADDRESS],
            "resolvConf": str(self.folder / "resolv.conf"),
            "podLogsDir": str(self.folder / "pod-logs"),
        }

    def _kube_proxy(self, server: ApiServer) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(server.kubeconfig)},
            "clusterCIDR": POD_NETWORK,
            "conntrack": {"maxPerCore": 0},
            "hostnameOverride": NODE,
        }

    def _config(self, name: str, content: dict[str, Any]) -> str:
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    def _corefile(self, server: ApiServer) -> str:
        path = self.folder / "Corefile"
        path.write_text(
            f"cluster.local:53 in-addr.arpa:53 {{\n  bind {ADDRESS}\n"
            f"  kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {server.kubeconfig}\n  }}\n}}\n"
        )
        return str(path)

    def _containerd(self) -> str:
        network = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True}
        span = {"subnet": POD_NETWORK, "rangeStart": "10.88.77.10", "rangeEnd": "10.88.77.250"}
        network["ipam"] = {
            "type": "host-local",
            "dataDir": str(self.folder / "addresses"),
            "ranges": [[span]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        plugins = [network, {"type": "portmap", "capabilities": {"portMappings": True}}]
        cni = _made(self.folder / "cni")
        (cni / "10-bridge.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": "floe", "plugins": plugins}))
        path = self.folder / "containerd.toml"
        path.write_text(
            "version = 2\n"
            f'root = "{self.folder / "images"}"\n'
            f'state = "{self.folder / "containerd"}"\n'
            f'[grpc]\n  address = "{self.folder / "containerd.sock"}"\n'
            '[plugins."io.containerd.grpc.v1.cri"]\n'
            f'  sandbox_image = "{PAUSE}"\n'
            "  restrict_oom_score_adj = true\n"  # a container must not get more rights than this process has
            "  disable_apparmor = true\n"
            '  [plugins."io.containerd.grpc.v1.cri".cni]\n'
            f'    bin_dir = "{next(one for one in CNI_PLUGINS if Path(one).is_dir())}"\n'
            f'    conf_dir = "{cni}"\n'
        )
        return str(path)

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ctr(self.folder, *arguments)

    def _images(self) -> None:
        """Import the pause image if it is missing, and remove containers that a killed node left behind."""
        for container in self._ctr("containers", "ls", "-q").stdout.split():
            self._ctr("containers", "rm", container)
        if PAUSE not in self._ctr("images", "ls", "-q").stdout.split():
            file = self.folder / "pause.tar"
            archive(file)
            self._ctr("images", "import", str(file)).check_returncode()
            file.unlink()

    def _volumes(self, server: ApiServer) -> None:
        """Create volumes for claims that name no class, as a provisioner would."""
        name = {"name": "volumes"}
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        storage_class = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {**name, "annotations": default},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        volumes = [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"volume-{number}"},
                "spec": {
                    "storageClassName": "volumes",
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "20Gi"},
                    "hostPath": {"path": str(VOLUMES / str(number)), "type": "Directory"},
                },
            }
            for number in range(VOLUME_COUNT)
        ]
        refused = [one for one in server.create([storage_class, *volumes]) if not one.accepted]
        if refused:
            raise FloeError(f"the API server refuses a volume: {refused[0].message}")

    def _node_ready(self, server: ApiServer) -> bool:
        done = server.kubectl("get", "node", NODE, "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')
        account = server.kubectl("get", "serviceaccount", "default", "--output=name")
        return done.stdout == b"True" and account.returncode == 0


def ctr(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ctr, the client of containerd, on the containerd of a node."""
    command = ["ctr", "--address", str(folder / "containerd.sock"), "--namespace", "k8s.io", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _network() -> None:
    """Create a bridge with the node's address, and a default route to nowhere, because kubelet needs one."""
    for words in (
        "link set lo up",
        f"link add {BRIDGE} type bridge",
        f"addr add {ADDRESS}/24 dev {BRIDGE}",
        f"link set {BRIDGE} up",
        f"route add default via 10.88.77.254 dev {BRIDGE}",
    ):
        _do("ip", *words.split())
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _file_system(folder: Path) -> None:
    """Change the mount namespace so that what the node mounts and writes is not visible on the machine."""
    for hidden in HIDDEN:
        Path(hidden).mkdir(parents=True, exist_ok=True)
        _do("mount", "-t", "tmpfs", "tmpfs", hidden)
    for number in range(VOLUME_COUNT):
        _made(folder / "volumes" / str(number)).chmod(0o777)  # pods run as different users
    _do("mount", "--bind", str(folder / "volumes"), str(VOLUMES))
    _do("mount", "--make-rshared", "/")  # lets later mounts of the node appear in the volumes of pods


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


def _control_groups(name: str) -> None:
    """Create the node's control group in every hierarchy (version 1) or in the only one (version 2).

    The kubelet requires this group and does not create it.
    """
    one_hierarchy = (CGROUPS / "cgroup.controllers").is_file()
    for hierarchy in [CGROUPS] if one_hierarchy else [path for path in CGROUPS.iterdir() if not path.is_symlink()]:
        group = _made(hierarchy / name)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in version 1, which lets no process run there
            if not one_hierarchy and (group / setting).is_file():
                (group / setting).write_text((hierarchy / setting).read_text())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _serve(door: socket.socket) -> None:
    """Forward every connection from the socket, which is in the machine's network, to the API server in the node's."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        with suppress(OSError):
            target.write_eof()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            answers_, asks = await asyncio.open_connection("127.0.0.1", API_PORT)
            await asyncio.gather(copy(reader, asks), copy(answers_, writer))
            asks.close()
        writer.close()

    server = await asyncio.start_server(connected, sock=door)
    await server.serve_forever()


def _say(word: str) -> None:
    print(word, flush=True)


def main() -> None:
    """Start the node, print READY, and stay until one of its programs or this process is terminated."""
    folder, cgroup, door = Path(sys.argv[1]), sys.argv[2], socket.socket(fileno=int(sys.argv[3]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 ignores signals without a handler
    inside = Inside(folder, cgroup)
    try:
        inside.up()
    except (FloeError, OSError, subprocess.CalledProcessError) as error:
        _say(f"error: {error}{f'; {error.hint}' if isinstance(error, FloeError) else ''}")
        sys.exit(1)
    threading.Thread(target=lambda: asyncio.run(_serve(door)), daemon=True).start()
    _say(READY)
    _say(f"error: {inside.watch()}")
    sys.exit(1)


if __name__ == "__main__":
    main()
