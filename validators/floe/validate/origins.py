"""Renders an overlay in such a way that each object names the file that it comes from."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from floe import console, render
from floe.errors import FloeError
from floe.repo import Checkout

_BUILD = {
    "apiVersion": "kustomize.config.k8s.io/v1beta1",
    "kind": "Kustomization",
    "buildMetadata": ["originAnnotations"],
}
_ORIGIN = re.compile(rb"(?<=\n)( +(?:path|configuredIn): )(\.\./\S+)")


def rendered(checkout: Checkout, environment: str) -> bytes:
    """The output of `floe render`, with kustomize's origin annotation on each object.

    The paths in these annotations are relative to the overlay. Raises FloeError as `floe render` does.
    """
    overlay = checkout.overlay(environment).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        # buildMetadata is a field of a kustomization, so a temporary one that includes the overlay sets it.
        folder = Path(temporary).resolve()
        wrapper = {**_BUILD, "resources": [os.path.relpath(overlay, folder)]}
        (folder / "kustomization.yaml").write_text(json.dumps(wrapper))
        try:
            with (
                render.started(checkout, environment, around=folder) as output,
                console.progress(f"rendering {environment}"),
            ):
                content = output()
        except FloeError:
            return render.render(
                checkout, environment
            )  # fails too, with a message that names the overlay and not the wrapper

    def from_overlay(match: re.Match[bytes]) -> bytes:
        return match[1] + os.path.relpath(folder / os.fsdecode(match[2]), overlay).encode()

    return _ORIGIN.sub(from_overlay, content)
