"""Render an overlay: the output of `kustomize build --enable-helm overlays/ENV`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from floe import charts, console, process, tools
from floe.charts.chart import GENERATOR
from floe.errors import FloeError
from floe.repo import Checkout
from floe.yaml import documents

FORMS = {"manifests": "", "flux": "flux"}
"""The forms that an overlay renders to, with the folder of each in the overlay.

`manifests` are plain objects. `flux` are the objects with which Flux installs the charts.
"""


def command(checkout: Checkout, environment: str, form: str = "manifests") -> list[str]:
    """The kustomize command that renders an overlay, with the paths of kustomize and helm.

    Raises FloeError if the overlay or the form does not exist, or a tool is missing.
    """
    if form not in FORMS:
        raise FloeError(f"there is no form {form!r}", f"Use one of these forms: {', '.join(FORMS)}.")
    folder = checkout.overlay(environment) / FORMS[form]
    if not (folder / "kustomization.yaml").is_file():
        raise FloeError(
            f"overlays/{environment} has no form {form!r}: {FORMS[form]}/kustomization.yaml does not exist",
            f"Run `floe render {environment}` without --form to print its manifests.",
        )
    return _kustomize_command(folder)


def _kustomize_command(folder: Path) -> list[str]:
    kustomize, helm = str(tools.resolve("kustomize")), str(tools.resolve("helm"))
    return [kustomize, "build", "--enable-helm", "--helm-command", helm, str(folder)]


@contextmanager
def started(
    checkout: Checkout, environment: str, form: str = "manifests", around: Path | None = None
) -> Iterator[Callable[[], bytes]]:
    """Start rendering an overlay in the background, so that two can run at once.

    The yielded function waits for kustomize and returns its output.
    `around`: a kustomization that includes the overlay's and is built instead.
    Raises FloeError if a chart is not pulled yet; the yielded function raises it if kustomize fails. The process ends
    with the block.
    """
    arguments = command(checkout, environment, form)
    if around is not None:
        arguments[-1] = str(around)
    if absent := [str(chart) for chart in charts.pinned(checkout, environment) if not chart.is_pulled()]:
        raise FloeError(
            f"overlays/{environment} needs charts that are not pulled: {', '.join(absent)}",
            f"Run `floe charts pull {environment}`.",
        )
    with _running_kustomize(arguments, f"overlays/{environment}") as output:
        yield output


@contextmanager
def _running_kustomize(arguments: list[str], name: str) -> Iterator[Callable[[], bytes]]:
    env = {name: os.environ.get(name, value) for name, value in _GO.items()}
    with process.started(
        arguments,
        seconds=_SECONDS,
        env=env,
        own_session=True,  # so that the helm processes that it starts end with it
        what=f"{name} cannot be rendered",
    ) as ended:

        def output() -> bytes:
            done = ended()
            if done.returncode:
                reason = process.complaint(done, _LINES)
                raise FloeError(f"kustomize cannot render {name}:\n{reason}", "Fix the cause above, then render again.")
            return done.stdout

        yield output


_SECONDS = 300  # a rendering takes about a second; after this time kustomize must be stuck
_LINES = 30  # the last lines of kustomize's and helm's messages, shown in an error
_GO = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""Settings of Go's runtime for kustomize and helm. Garbage collection would take a quarter of their time, and both end
before they need the memory."""


def render(checkout: Checkout, environment: str, form: str = "manifests") -> bytes:
    """The rendered manifests as a YAML stream.

    Raises FloeError if a chart is not pulled yet or kustomize fails; it never returns a partial stream.
    """
    with started(checkout, environment, form) as output, console.progress(f"rendering {environment}"):
        return output()


def build(checkout: Checkout, folder: Path) -> bytes:
    """The output of `kustomize build` for a folder of a checkout. Raises FloeError if kustomize fails."""
    with _running_kustomize(_kustomize_command(folder), checkout.relative(folder)) as output:
        return output()


def print_manifests(checkout: Checkout, environment: str, form: str = "manifests") -> None:
    """Write the rendered manifests to stdout, byte for byte."""
    sys.stdout.buffer.write(render(checkout, environment, form))


def chart_generators(checkout: Checkout, environment: str) -> list[dict[str, Any]]:
    """The chart generators of an overlay with their final values, after all patches of its folder `values/`."""
    what = f"overlays/{environment}/values"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        values = os.path.relpath((checkout.overlay(environment) / "values").resolve(), folder)
        # kustomize leaves out resources with the annotation local-config, so the patch removes it.
        (folder / "kustomization.yaml").write_text(
            f"resources: [{json.dumps(values)}]\npatches:\n- target: {{kind: {GENERATOR}}}\n  patch: |\n"
            "    - {op: remove, path: /metadata/annotations/config.kubernetes.io~1local-config}\n"
        )
        with _running_kustomize(_kustomize_command(folder), what) as output:
            resources = [document.value for document in documents(output(), what)]
    return [resource for resource in resources if resource.get("kind") == GENERATOR]
