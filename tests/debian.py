"""The programs that tests need on PATH, and their Debian packages; `python tests/debian.py` lists the missing ones."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

NODE = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "catatonit": "catatonit",
    "openssl": "openssl",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "the network's plugins": "containernetworking-plugins",
}
"""Programs for a Kubernetes node, with their packages."""
FORGE = {"redis-server": "redis-server", "docker-registry": "docker-registry"}
"""Further programs for clusters that follow Git: Argo CD's cache, and the OCI registry for floe's own chart."""
BUILDER = {
    "buildah": "buildah",
    "skopeo": "skopeo",
    "mmdebstrap": "mmdebstrap",
    "runc": "runc",
    "fuse-overlayfs": "fuse-overlayfs",
    "newuidmap": "uidmap",
}
"""Programs to build images if none can be pulled."""
RUNNER = {"podman": "podman", "runc": "runc"}
"""Programs to run single images. They use the network of the machine, so netavark is not needed."""
CNI_PLUGINS = ("/usr/lib/cni", "/opt/cni/bin")
"""Folders of the network plugins, which are not on PATH."""


def absent(programs: Mapping[str, str]) -> list[str]:
    """The packages whose programs are missing, sorted. `programs`: packages by the name of their program."""
    return sorted({package for program, package in programs.items() if not _there(program)})


def remedy(programs: Mapping[str, str]) -> str:
    """The command that installs the packages of the missing programs."""
    return f"apt-get install --no-install-recommends {' '.join(absent(programs))}"


def _there(program: str) -> bool:
    if program == "the network's plugins":
        return any(Path(folder).is_dir() for folder in CNI_PLUGINS)
    return shutil.which(program) is not None


if __name__ == "__main__":
    print(*absent(NODE | FORGE | BUILDER | RUNNER))
