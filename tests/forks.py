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
from urllib.parse import urlsplit

from floe import image_builds, settings
from floe.charts import packaging
from floe.contract.compiling import compile_environment
from floe.repo import Checkout
from floe.tools import resolve
from floe.yaml import edit as yaml_edit
from floe.yaml import load_file

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
_ORDER = KNOWN[:3]
_NO_ENVIRONMENTS = ("all", "base")
"""Folders of clusters/ that belong to no single environment."""
_APP = "ecommerce"
_TAG = "0.1.0"
_SERVICES = {
    "compute.host": "trino.floe-{}.svc.cluster.local",
    "storage.bucket": "floe-{}",
    "storage.region": "eu-central-1",
    "storage.endpoint": "http://object-store.floe-{}.svc.cluster.local:8333",
    "catalog.uri": "polaris.floe-{}.svc.cluster.local:8181",
    "catalog.warehouse": "floe_{}",
    "metadata.host": "postgresql.floe-{}.svc.cluster.local",
}
"""Fields of platform.yaml whose values belong to the services of one of _ORDER; {} stands for its name.

Of a URL that has only a host here, the rest differs between environments.
"""


def with_known_values(folder: Path, *, charts: bool = False) -> None:
    """Give a copy of the repository the values that tests replace, and only the environments and app that they name.

    So a test that replaces `tag: 0.1.0`, promotes from dev to staging, or names the bucket of dev also passes in a fork
    that has other images and services, an environment between the two, and encrypted Secrets in Git. In a copy of
    upstream, only the second app is removed, which makes these tests faster.
    `charts`: whether charts/ follows, which takes a second.
    """
    before = {file: file.read_text() for file in _edited(folder)}
    folders = [path for name in ("overlays", "clusters", "apps") for path in folder.glob(f"{name}/*") if path.is_dir()]
    others = [path for path in folders if path.name not in (*KNOWN, *_NO_ENVIRONMENTS, _APP)]
    for path in others:
        shutil.rmtree(path)
    for file in folder.glob("overlays/*/secrets/*"):
        if file.name not in ("kustomization.yaml", "namespace.yaml"):
            file.unlink()
    after = {file: _known(file, text, others) for file, text in before.items() if file.exists()}
    for environment in _ORDER:
        after |= _with_known_services(after, folder / "overlays" / environment)
    changed = {file: text for file, text in after.items() if text != before[file]}
    for file, text in changed.items():
        file.write_text(text)
    checkout = Checkout(folder)
    for name in checkout.environments() if (changed or others) and checkout.apps() else ():
        checkout.artifacts_file(name).write_text(compile_environment(checkout, name).text())
    if charts and (changed or others):
        packaging.write(checkout, [*packaging.changes(checkout)])


def _edited(folder: Path) -> list[Path]:
    """The files with values that a fork changes."""
    wanted = ("platform.yaml", "values/*.yaml", "secrets/kustomization.yaml")
    files = [file for name in wanted for file in folder.glob(f"overlays/*/{name}")]
    return [*files, *folder.glob("platform.yaml"), *folder.glob("floe.toml")]


def _known(file: Path, text: str, removed: list[Path]) -> str:
    """The text of such a file with known values."""
    if file.name == "floe.toml":
        wanted = settings.load(file).model_copy(update={"promotion": _ORDER})
        return text if settings.load(file) == wanted else settings.edited(text, {"promotion": [*_ORDER]}, wanted)
    if file.parent.name == "secrets":
        return "".join(text.partition("  - namespace.yaml\n")[:2])
    if file.name == "kustomization.yaml":
        for app in removed:
            text = yaml_edit.without_item(text, "components", f"../../../apps/{app.name}/deploy", file.name)
        return text
    if file.name == "platform.yaml":
        text = yaml_edit.without_key(text, "apps", file.name)
        synthetic = file.parent.name not in _ORDER[1:]
        if load_file(file).get("synthetic", False) != synthetic:
            text = yaml_edit.without_key(text, "synthetic", file.name) + ("synthetic: true\n" if synthetic else "")
        return text
    places = {".".join(steps): _TAG for name, steps in image_builds.PLACES.values() if name == file.name}
    return re.sub(r"\breplicaCount: \d+", "replicaCount: 2", yaml_edit.replace(text, places, file.name))


def _with_known_services(texts: dict[Path, str], overlay: Path) -> dict[Path, str]:
    """The texts of an overlay's platform.yaml and values with known hosts, bucket, region and warehouse."""
    platform = yaml_edit.located(texts.get(overlay / "platform.yaml", ""), "platform.yaml")
    new: dict[str, str] = {}
    for field, known in _SERVICES.items():
        value, wanted = platform.get(field, (0, ""))[1], known.format(overlay.name)
        if "//" not in wanted:
            value = urlsplit(value).netloc or value
        if value not in ("", wanted):
            new |= {value: wanted, value.partition("//")[2] or value: wanted.partition("//")[2] or wanted}
    if not new:
        return {}
    words = "|".join(re.escape(value) for value in sorted(new, key=len, reverse=True))
    pattern = re.compile(rf"(?:(?<![\w./-])|(?<=://))(?:{words})(?![\w.-])")
    return {
        file: yaml_edit.substitute(text, {".*": pattern}, lambda found: new[found[0]], file.name)
        for file, text in texts.items()
        if file.is_relative_to(overlay) and file.parent.name != "secrets"
    }


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
