"""Helpers for tests of what people do in their forks: Git repositories that are copies of this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from floe.tools import resolve

FLOE = Path(sys.executable).with_name("floe")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]
    command = [shutil.which("git") or "git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, message: str = "a change") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def floe(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [FLOE, *arguments], cwd=folder, env=os.environ | env, capture_output=True, check=False, timeout=120
    )


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file.name} no longer contains the text that this test replaces"
    file.write_text(text.replace(old, new, 1))


def keep_encrypted(folder: Path, environment: str, secret: dict[str, Any]) -> Path:
    """Write a Secret to an overlay, encrypted for the keys that .sops.yaml names; returns its file."""
    where = Path("overlays", environment, "secrets", f"{secret['metadata']['name']}.yaml")
    encrypted = sops("encrypt", "--input-type=json", f"--filename-override={where}", given=secret, folder=folder)
    (folder / where).write_bytes(encrypted)
    kustomization = folder / where.with_name("kustomization.yaml")
    kustomization.write_text(f"{kustomization.read_text()}  - {where.name}\n")
    return folder / where


def sops(*arguments: str, given: dict[str, Any], folder: Path) -> bytes:
    command = [str(resolve("sops")), *arguments, "/dev/stdin"]
    done = subprocess.run(command, input=json.dumps(given).encode(), capture_output=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
