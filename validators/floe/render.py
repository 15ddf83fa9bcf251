"""Rendering an overlay: what `kustomize build --enable-helm overlays/ENV` prints."""

from __future__ import annotations

import subprocess

from floe import charts, repo, tools
from floe.errors import FloeError


def command(environment: str) -> list[str]:
    """The kustomize call that renders an overlay, with the resolved tools."""
    kustomize, helm = str(tools.resolve("kustomize")), str(tools.resolve("helm"))
    return [kustomize, "build", "--enable-helm", "--helm-command", helm, str(repo.overlay(environment))]


def render(environment: str) -> bytes:
    """The rendered manifests as a YAML stream.

    Raises FloeError where a chart is not pulled yet or kustomize refuses; nothing is rendered halfway.
    """
    if absent := [str(chart) for chart in charts.pinned(environment) if not chart.is_pulled()]:
        raise FloeError(
            f"overlays/{environment} needs charts that are not pulled: {', '.join(absent)}", "floe charts pull"
        )
    done = subprocess.run(command(environment), capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise FloeError(
            f"kustomize cannot render overlays/{environment}:\n{reason}", "mend what it names, then render again"
        )
    return done.stdout
