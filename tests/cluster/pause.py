"""Builds the image of the container that holds the namespaces of a pod: catatonit, which only waits."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import tarfile
from pathlib import Path

PAUSE = "localhost/pause:1"
PROGRAM = "catatonit"  # Debian links it statically, so that the image needs nothing else
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def archive(path: Path) -> None:
    """Write the image as a docker-archive."""
    program = Path(shutil.which(PROGRAM) or PROGRAM).read_bytes()
    layer = _tar({"pause": program})
    config = {
        "architecture": _MACHINES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": ["/pause", "-P"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"]}]
    files = {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(_tar({**files, "layer.tar": layer}))


def _tar(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()
