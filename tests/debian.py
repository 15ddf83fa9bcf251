"""Programs that tests take from PATH, and their packages on Debian; `python tests/debian.py` lists what lacks."""

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
"""For a Kubernetes node."""
FORGE = {"redis-server": "redis-server", "docker-registry": "docker-registry"}
"""For clusters that follow Git, besides a node: Argo CD's cache, and the OCI registry of floe's own chart."""
BUILDER = {
    "buildah": "buildah",
    "skopeo": "skopeo",
    "mmdebstrap": "mmdebstrap",
    "runc": "runc",
    "fuse-overlayfs": "fuse-overlayfs",
    "newuidmap": "uidmap",
}
"""To build images where nothing can be pulled."""
RUNNER = {"podman": "podman", "runc": "runc"}
"""To run them one by one. Their network is the machine's, so netavark is not among them."""
CNI_PLUGINS = ("/usr/lib/cni", "/opt/cni/bin")
"""Where the network's plugins lie, which are not on PATH."""


def absent(programs: Mapping[str, str]) -> list[str]:
    """Packages whose programs are not there, sorted."""
    return sorted({package for program, package in programs.items() if not _there(program)})


def remedy(programs: Mapping[str, str]) -> str:
    """How to get them."""
    return f"apt-get install --no-install-recommends {' '.join(absent(programs))}"


def _there(program: str) -> bool:
    if program == "the network's plugins":
        return any(Path(folder).is_dir() for folder in CNI_PLUGINS)
    return shutil.which(program) is not None


if __name__ == "__main__":
    print(*absent(NODE | FORGE | BUILDER | RUNNER))
