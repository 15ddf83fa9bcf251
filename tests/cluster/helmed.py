"""Deploys dev to a cluster with Helm: floe's own chart, next to the services that an environment needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cluster.deployed import OVERLAY, SERVICES, Deployed
from dagster_api import Dagster
from floe import repo
from floe.tools import resolve
from helm import Helm, values_of

RELEASE = "floe"
CHART = "floe-runtime"
VALUES = OVERLAY / "helm" / "values.yaml"
NAMED = ("floe-postgres", "floe-object-store", "floe-catalog", "floe-cube")
"""The Secrets that the NOTES of floe-runtime list for dev."""


@dataclass(frozen=True)
class Installed(Deployed):
    """Dev, whose services are applied by kubectl and everything else is installed by Helm."""

    helm: Helm | None = None

    @cached_property
    def manifests(self) -> bytes:
        """The namespace, the Secrets and the services, which must exist before the release."""
        for part in (OVERLAY, SERVICES):
            shutil.copytree(repo.current().root / part, self.folder / part, dirs_exist_ok=True)
        top = self.folder / OVERLAY / "helm"
        objects = [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}
            for name, content in self.secrets.items()
            if name in (*NAMED, "floe-services")
        ]
        (top / "secrets.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        return subprocess.run([resolve("kustomize"), "build", top], check=True, capture_output=True).stdout

    def do(self, verb: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a Helm command in the namespace and return the result, whether it succeeds or not."""
        assert self.helm
        context = ["--kube-context", self.kubectl.context] if self.kubectl.context else []
        return self.helm.run(verb, *options, "--namespace", self.namespace, *context)

    def done(self, verb: str, *options: str | Path) -> str:
        """Run a Helm command in the namespace and return its output. Raises AssertionError if it fails."""
        started = time.monotonic()
        done = self.do(verb, *options)
        shown = " ".join(str(one) for one in options)
        print(f"$ helm {verb} {shown} -n {self.namespace}    # {time.monotonic() - started:.1f} s\n{done.stdout}")
        assert done.returncode == 0, f"helm {verb}: {done.stderr}\n{done.stdout}\n{self.why()}"
        return done.stdout

    def release(self, verb: str, name: str = RELEASE, *options: str | Path, threads: int = 0) -> list[str | Path]:
        """The arguments to install or upgrade the release. `threads` changes the CompiledArtifacts."""
        assert self.helm
        charts = repo.current().root / "charts"
        artifacts = self.artifacts().model_dump(mode="json", exclude_none=True)
        if threads:
            artifacts["platform"]["compute"]["threads"] = threads
        file = self.folder / "CompiledArtifacts.json"
        file.write_text(json.dumps(artifacts))
        return [
            *(verb, name, charts / CHART),
            *values_of(charts, CHART, self.environment),
            *("--values", repo.current().root / VALUES),
            *("--set-file", f"floe-dagster.floe.compiledArtifacts.value={file}"),
            *self.helm.hardened(charts),
            *options,
        ]

    @property
    def dagster(self) -> Dagster:
        """Dagster's API, through the Service that is named after the release."""
        service = f"api/v1/namespaces/{self.namespace}/services/{RELEASE}-webserver:3000"
        return Dagster(f"{self.url}/{service}/proxy")
