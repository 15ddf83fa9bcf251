"""Runs Helm 3 and Helm 4 on floe's charts, and returns what they render or the message with which they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from floe import tools
from floe.charts import parity
from floe.charts.packaged import UMBRELLA, UPSTREAM
from floe.kubernetes.objects import Object
from rendering import Identity, Values, by_identity, parse

CHARTS = (*UPSTREAM, UMBRELLA)
KUBERNETES = "1.34.0"
HOOK = parity.HOOK
SECONDS = 120
HARDENING = {"Deployment", "StatefulSet"}
"""The kinds that base/hardening patches."""


@dataclass(frozen=True)
class Helm:
    """One version of Helm with folders of its own, so that the user's configuration has no effect."""

    path: Path
    major: int
    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run Helm and return the result, whether it succeeds or not."""
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
        """Run Helm and return its output. Raises AssertionError with its error message if it fails."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"helm {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def template(self, chart: Path, *options: str | Path, release: str, namespace: str = "floe") -> list[Object]:
        """The objects that Helm renders for a release."""
        return parse(self(*self.call(chart, *options, release=release, namespace=namespace)))

    def refusal(self, chart: Path, *options: str | Path, release: str = "floe", namespace: str = "floe") -> str:
        """The error message for a release that Helm must not render. Raises AssertionError if it renders."""
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
        """The options that apply base/hardening, as docs/10-helm.md describes."""
        if self.major == 3:
            return ["--post-renderer", str(charts / "post-renderer" / "harden")]
        if "floe-harden" not in self("plugin", "list"):
            self("plugin", "install", charts / "post-renderer")
        return ["--post-renderer", "floe-harden"]


def values_of(charts: Path, chart: str, environment: str) -> list[str | Path]:
    """The option with the values file of a chart for an environment."""
    return ["--values", charts / chart / f"values-{environment}.yaml"]


@dataclass(frozen=True)
class Form:
    """A way to install everything: the chart of each release, by the name of the release."""

    name: str
    releases: dict[str, str]

    def __str__(self) -> str:
        return self.name

    def render(self, helm: Helm, charts: Path, environment: str, *options: str | Path) -> list[Object]:
        """The objects of all releases."""
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
"""The release of Dagster has the same name as under kustomize, because Dagster's chart uses it in names of objects."""


def comparable(found: list[Object], namespace: str) -> dict[Identity, Values]:
    """Objects by their identity, without what depends on the form."""
    return by_identity(parity.comparable(found, namespace))


def written(values: Values, folder: Path) -> Path:
    """Write values to a new file in a folder; returns the file."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=folder, delete=False) as file:
        json.dump(values, file, ensure_ascii=False)  # YAML does not support JSON's surrogate pairs
    return Path(file.name)
