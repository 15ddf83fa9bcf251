"""The CustomResourceDefinitions of the kinds that overlays use, each from a pinned release of its controller.

The files come from the controller's Go module. Its content is pinned here by the hash that Go computes for a module.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from floe import credentials, process
from floe.console import progress
from floe.errors import FloeError
from floe.kubernetes.objects import mapping
from floe.tools import sources

_DOWNLOAD_SECONDS = 600


@dataclass(frozen=True)
class Definitions:
    """The CustomResourceDefinitions of one controller."""

    module: str
    version: str
    sum: str  # hash of the module, as in go.sum
    path: str  # glob pattern of the files in the module

    def files(self) -> list[Path]:
        """The sorted files, each with one definition. Go downloads the module the first time.

        Raises FloeError if Go is not installed, if the module cannot be downloaded, and if its hash differs from `sum`.
        """
        named = f"{self.module}@{self.version}"
        # The checksum database does not have every module, and the pinned hash makes it unnecessary.
        env = {"GONOSUMDB": self.module, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        command = [sources.go(), "mod", "download", "-json", named]
        with progress(f"{named}: downloading"):
            done = process.run(
                command,
                seconds=_DOWNLOAD_SECONDS,
                env=env,
                check=False,
                what=f"{named} cannot be downloaded",
                hint="check GOPROXY",
            )
        try:
            answer = mapping(json.loads(done.stdout))
        except ValueError:
            answer = {}
        if "Dir" not in answer:
            problem = answer.get("Error")  # this text may contain the URL of a proxy with its password
            reason = credentials.masked(problem, os.environ) if isinstance(problem, str) else process.complaint(done)
            raise FloeError(f"{named} cannot be downloaded: {reason}", "check GOPROXY")
        if answer.get("Sum") != self.sum:
            raise FloeError(
                f"{named} has the hash {answer.get('Sum')}, but {Path(__file__).name} pins {self.sum}",
                "find out who changed the module before you pin the new hash",
            )
        return sorted(Path(answer["Dir"]).glob(self.path))


FLUX = "flux"
CONTROLLERS: dict[str, tuple[Definitions, ...]] = {
    FLUX: (
        Definitions(
            "github.com/fluxcd/source-controller",
            "v1.7.3",
            "h1:gFfeBiNUgF0kFFGap/rrMeJqz+0Tod0ARENJO8w/UA8=",
            "config/crd/bases/*.yaml",
        ),
        Definitions(
            "github.com/fluxcd/kustomize-controller",
            "v1.7.3",
            "h1:SzNnGn/4ObAPEHHleM5U7y/AKxKXph3Vj6ZhteeXw8M=",
            "config/crd/bases/*.yaml",
        ),
        Definitions(
            "github.com/fluxcd/helm-controller",
            "v1.4.3",
            "h1:449LcGJXLCylvrNCq8ycevwa5mxE1Mn9vxTwlsj/no8=",
            "config/crd/bases/*.yaml",
        ),
    ),
    "argocd": (
        Definitions(
            "github.com/argoproj/argo-cd/v3",
            "v3.2.6",
            "h1:nDCjBnHyxUf6JFuCKjuuXHS23LFj6/TjuO/APrS1ku4=",
            "manifests/crds/*-crd.yaml",
        ),
    ),
    "external-secrets": (
        Definitions(
            "github.com/external-secrets/external-secrets",
            "v1.3.2",
            "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
            "config/crds/bases/*external-secrets.io_*.yaml",
        ),
    ),
    "sealed-secrets": (
        Definitions(
            "github.com/bitnami-labs/sealed-secrets",
            "v0.36.0",
            "h1:UIAXiGdZJVanVLuAxz6jaQR/WQ6p04ZDdzrBu4FZHiU=",
            "helm/sealed-secrets/crds/*.yaml",
        ),
    ),
}
"""Definitions by the controller that handles their objects."""
