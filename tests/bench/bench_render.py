"""`floe render`, `diff` and `promote`, compared with `kustomize build --enable-helm`: whole processes, same binaries.

They take turns after a warm-up. Render: each renders every overlay, with one process for each overlay. Diff: one value
is changed in a copy of the repository; the peer runs the two builds of a comparison one after the other. Promote, up to
the commit: the peer runs its three builds. Each turn gives a ratio, and the result is the median of the ratios, so that
other load on the machine affects both sides alike.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from floe import repo
from floe.tools import resolve
from forks import commit, git

ROUNDS = 9
FLOE = str(Path(sys.executable).with_name("floe"))


def seconds(commands: Sequence[Sequence[str]], env: dict[str, str]) -> float:
    """The seconds that processes take, one after the other. None of them may fail."""
    start = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def copy(target: Path) -> None:
    """A copy of the repository with its pulled charts, as a Git repository with one commit and one later change."""
    for part in ("base", "overlays", "apps", "tests/charts"):
        shutil.copytree(repo.current().root / part, target / part)
    (target / ".gitignore").write_text("overlays/*/charts/\n")
    git(target, "init", "--quiet", "--initial-branch", "main")
    commit(target)
    values = target / "overlays" / "prod" / "values" / "dagster.yaml"
    text = values.read_text()
    changed = text.replace("maxConcurrentRuns: 10", "maxConcurrentRuns: 11")
    if changed == text:
        raise SystemExit(f"{values.name} no longer has the value that this benchmark changes")
    values.write_text(changed)


def newer(target: Path) -> None:
    """Let dev run another image than staging, and commit the change."""
    values = target / "overlays" / "dev" / "values" / "cube.yaml"
    values.write_text(values.read_text().replace("tag: 0.1.0", "tag: 0.1.1"))
    commit(target)


def run() -> dict[str, float]:
    """Medians in seconds, and the ratio of floe to kustomize; below 1, floe is faster."""
    build = [str(resolve("kustomize")), "build", "--enable-helm", "--helm-command", str(resolve("helm"))]
    environments = repo.current().environments()
    figures: dict[str, float] = {"overlays": len(environments)}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "repository"
        copy(root)
        env = os.environ | {"FLOE_ROOT": str(root)}
        overlays = root / "overlays"
        pairs = {
            "render": (
                [[FLOE, "render", name] for name in environments],
                [[*build, str(overlays / name)] for name in environments],
            ),
            "diff": ([[FLOE, "diff", "prod"]], [[*build, str(overlays / "prod")]] * 2),
            "promote": (
                [[FLOE, "promote", "dev", "staging", "--dry-run"]],
                [[*build, str(overlays / name)] for name in ("dev", "staging", "staging")],
            ),
        }
        for name, (ours, peer) in pairs.items():
            if name == "promote":
                newer(root)
            seconds(ours, env), seconds(peer, env)
            turns = [(seconds(ours, env), seconds(peer, env)) for _ in range(ROUNDS)]
            figures |= {
                f"{name}_floe_seconds": round(median(mine for mine, _ in turns), 3),
                f"{name}_kustomize_seconds": round(median(other for _, other in turns), 3),
                f"{name}_ratio": round(median(mine / other for mine, other in turns), 2),
            }
    return figures


if __name__ == "__main__":
    print(json.dumps(run()))
