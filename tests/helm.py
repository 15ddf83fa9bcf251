"""Helm 3 and Helm 4 over floe's charts: what they render, and what they say where they refuse."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from floe import tools
from floe.charts.packaged import UMBRELLA, UPSTREAM
from floe.kubernetes.objects import ENVIRONMENT, Object
from rendering import Identity, Values, by_identity, parse

CHARTS = (*UPSTREAM, UMBRELLA)
KUBERNETES = "1.34.0"
HOOK = "helm.sh/hook"
SECONDS = 120
HARDENING = {"Deployment", "StatefulSet"}
"""Kinds that base/hardening patches."""


@dataclass(frozen=True)
class Helm:
    """One Helm, with state of its own, so that what a person configured has no say."""

    path: Path
    major: int
    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        homes = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        folder = tools.resolve("kubectl").parent  # the post-renderer's kustomize
        path = f"{os.environ['PATH']}{os.pathsep}{folder}"
        command = [str(self.path), *map(str, arguments)]
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS * 5,
            env=os.environ | homes | {"PATH": path} | dict(self.env),
        )

    def __call__(self, *arguments: str | Path) -> str:
        """What it prints. Raises AssertionError with what it says where it fails."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"helm {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def template(self, chart: Path, *options: str | Path, release: str, namespace: str = "floe") -> list[Object]:
        """The objects of a release."""
        return parse(self(*self.call(chart, *options, release=release, namespace=namespace)))

    def refusal(self, chart: Path, *options: str | Path, release: str = "floe", namespace: str = "floe") -> str:
        """What it says of a release that it does not render."""
        done = self.run(*self.call(chart, *options, release=release, namespace=namespace))
        assert done.returncode != 0, "rendered"
        return done.stderr

    @staticmethod
    def call(chart: Path, *options: str | Path, release: str, namespace: str) -> list[str | Path]:
        """The arguments that render a release."""
        place = ["--namespace", namespace]
        version = [] if "--kube-version" in options else ["--kube-version", KUBERNETES]
        return ["template", release, chart, *place, *version, *options]

    def hardened(self, charts: Path) -> list[str]:
        """The options by which base/hardening is applied, as docs/10-helm.md says."""
        if self.major == 3:
            return ["--post-renderer", str(charts / "post-renderer" / "harden")]
        if "floe-harden" not in self("plugin", "list"):
            self("plugin", "install", charts / "post-renderer")
        return ["--post-renderer", "floe-harden"]


def values_of(charts: Path, chart: str, environment: str) -> list[str | Path]:
    """The option that names an environment's values."""
    return ["--values", charts / chart / f"values-{environment}.yaml"]


@dataclass(frozen=True)
class Form:
    """A way to install everything: releases by name, each of a chart."""

    name: str
    releases: dict[str, str]

    def __str__(self) -> str:
        return self.name

    def render(self, helm: Helm, charts: Path, environment: str, *options: str | Path) -> list[Object]:
        """The objects of all its releases."""
        return [
            one
            for release, chart in self.releases.items()
            for one in helm.template(
                charts / chart,
                *values_of(charts, chart, environment),
                *options,
                release=release,
                namespace=f"floe-{environment}",
            )
        ]


FORMS = (
    Form("umbrella", {"dagster": UMBRELLA}),
    Form("two releases", {"dagster": "floe-dagster", "floe": "floe-cube"}),
)
"""The release of Dagster has the name that kustomize gives it, which Dagster's chart names objects after."""

DIFFERENCES: dict[str, Callable[[Object], bool]] = {
    "the Namespace, which Helm leaves to --create-namespace": lambda one: one.kind == "Namespace",
    "hooks of helm test": lambda one: HOOK in one.annotations,
}
"""Objects that one form alone has, and why."""
LABELS = ("app.kubernetes.io/instance",)
"""Says which release an object is of: with Helm one name for all."""


def comparable(found: list[Object], namespace: str) -> dict[Identity, Values]:
    """Objects without what differs by form: DIFFERENCES, the annotation of the environment, the release's name."""
    kept = [copy.deepcopy(one.value) for one in found if not any(differs(one) for differs in DIFFERENCES.values())]
    for value in kept:
        if value["kind"] == "ConfigMap":  # Helm 3 trims the end of what it hands to a post-renderer
            value["data"] = {key: text.rstrip() for key, text in (value.get("data") or {}).items()}
        metadata = value["metadata"]
        metadata.setdefault("namespace", namespace)  # a chart leaves it to Helm
        annotations = {
            key: text for key, text in (metadata.pop("annotations", None) or {}).items() if key != ENVIRONMENT
        }
        if annotations:
            metadata["annotations"] = annotations
        for mapping in _mappings(value):
            for label in LABELS:
                mapping.pop(label, None)
    return by_identity(parse(json.dumps({"apiVersion": "v1", "kind": "List", "items": kept})))


def _mappings(node: Any) -> Iterator[Values]:
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _mappings(part)


def written(values: Values, folder: Path) -> Path:
    """A values file."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=folder, delete=False) as file:
        json.dump(values, file, ensure_ascii=False)  # YAML knows no pairs of escapes
    return Path(file.name)
