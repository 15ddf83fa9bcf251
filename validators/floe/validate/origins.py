"""An overlay rendered with the names of the files that its objects were made from."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from floe import console, render, repo
from floe.errors import FloeError

_BUILD = {
    "apiVersion": "kustomize.config.k8s.io/v1beta1",
    "kind": "Kustomization",
    "buildMetadata": ["originAnnotations"],
}
_ORIGIN = re.compile(rb"(?<=\n)( +(?:path|configuredIn): )(\.\./\S+)")


def rendered(environment: str) -> bytes:
    """What `floe render` prints, with kustomize's origin annotation on each object; paths are relative to the overlay.

    Raises FloeError as `floe render` does.
    """
    overlay = repo.overlay(environment).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        # buildMetadata is a field of a kustomization, so one around the overlay asks for it.
        folder = Path(temporary).resolve()
        wrapper = {**_BUILD, "resources": [os.path.relpath(overlay, folder)]}
        (folder / "kustomization.yaml").write_text(json.dumps(wrapper))
        try:
            with render.started(environment, around=folder) as output, console.progress(f"rendering {environment}"):
                content = output()
        except FloeError:
            return render.render(environment)  # which is refused in the overlay's own words

    def from_overlay(match: re.Match[bytes]) -> bytes:
        return match[1] + os.path.relpath(folder / os.fsdecode(match[2]), overlay).encode()

    return _ORIGIN.sub(from_overlay, content)
