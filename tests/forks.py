"""Helpers for tests of what people do in their forks: Git repositories that are copies of this one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from floe import image_builds, settings
from floe.charts import packaging
from floe.repo import Checkout
from floe.tools import resolve
from floe.yaml import edit as yaml_edit

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


KNOWN = ("dev", "staging", "prod", "demo")
"""The environments of this repository, which tests that edit them name."""
_KNOWN_TAG = "0.1.0"


def with_known_values(folder: Path) -> None:
    """Give a copy of the repository the values that tests replace, and only the environments that they name.

    So a test that replaces `tag: 0.1.0`, or promotes from dev to staging, also passes in a fork that has other values,
    an environment between the two, and encrypted Secrets in Git. Nothing changes in a copy of upstream.
    """
    checkout = Checkout(folder)
    edits: dict[Path, str] = {}
    order = tuple(name for name in KNOWN if name != "demo")
    if checkout.settings.promotion != order:
        wanted = checkout.settings.model_copy(update={"promotion": order})
        file = folder / "floe.toml"
        edits[file] = settings.edited(file.read_text(), {"promotion": list(order)}, wanted)
    for name in checkout.environments():
        if name not in KNOWN:
            shutil.rmtree(folder / "overlays" / name)
            continue
        for file_name, steps in image_builds.PLACES.values():
            file = folder / "overlays" / name / "values" / file_name
            text = yaml_edit.replace(file.read_text(), {".".join(steps): _KNOWN_TAG}, file_name)
            edits[file] = re.sub(r"\breplicaCount: \d+", "replicaCount: 2", text)
    for file in folder.glob("overlays/*/secrets/*"):
        if file.name == "kustomization.yaml":
            before, first, _ = file.read_text().partition("  - namespace.yaml\n")
            edits[file] = before + first
        elif file.name != "namespace.yaml":
            file.unlink()
    changed = {file: text for file, text in edits.items() if file.read_text() != text}
    for file, text in changed.items():
        file.write_text(text)
    if changed:
        packaging.write(Checkout(folder), [*packaging.changes(Checkout(folder))])


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
