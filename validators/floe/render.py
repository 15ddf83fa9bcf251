"""Rendering an overlay: what `kustomize build --enable-helm overlays/ENV` prints."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from floe import charts, console, process, repo, tools
from floe.charts.chart import GENERATOR
from floe.errors import FloeError
from floe.yaml import documents

FORMS = {"manifests": "", "flux": "flux"}
"""What an overlay renders to, by the folder in it: plain manifests, or what makes Flux install the charts."""


def command(environment: str, form: str = "manifests", root: Path | None = None) -> list[str]:
    """The kustomize call that renders an overlay, with the resolved tools.

    Raises FloeError for an overlay or a form that does not exist.
    """
    if form not in FORMS:
        raise FloeError(f"there is no form {form!r}", f"forms: {', '.join(FORMS)}")
    folder = repo.overlay(environment, root) / FORMS[form]
    if not (folder / "kustomization.yaml").is_file():
        raise FloeError(
            f"overlays/{environment} has no form {form!r}: there is no {FORMS[form]}/kustomization.yaml in it",
            f"floe render {environment}, without --form, prints its manifests",
        )
    return _kustomize(folder)


def _kustomize(folder: Path) -> list[str]:
    kustomize, helm = str(tools.resolve("kustomize")), str(tools.resolve("helm"))
    return [kustomize, "build", "--enable-helm", "--helm-command", helm, str(folder)]


@contextmanager
def started(
    environment: str, form: str = "manifests", root: Path | None = None, around: Path | None = None
) -> Iterator[Callable[[], bytes]]:
    """A kustomize that runs beside us, so that two can run at once; what is yielded waits for it and is its output.

    `root`: another checkout than `repo.root()`. `around`: a kustomization around the overlay's, built in its place.
    Raises FloeError where a chart is not pulled yet; the yielded function, where kustomize refuses. No process outlives
    the block.
    """
    arguments = command(environment, form, root)
    if around is not None:
        arguments[-1] = str(around)
    if absent := [str(chart) for chart in charts.pinned(environment, root=root) if not chart.is_pulled()]:
        raise FloeError(
            f"overlays/{environment} needs charts that are not pulled: {', '.join(absent)}", "floe charts pull"
        )
    with _running(arguments, f"overlays/{environment}") as output:
        yield output


@contextmanager
def _running(arguments: list[str], name: str) -> Iterator[Callable[[], bytes]]:
    env = {name: os.environ.get(name, value) for name, value in _GO.items()}
    with process.started(
        arguments,
        seconds=_SECONDS,
        env=env,
        apart=True,  # with the helm that it starts
        what=f"{name} cannot be rendered",
    ) as ended:

        def output() -> bytes:
            done = ended()
            if done.returncode:
                reason = process.complaint(done, _LINES)
                raise FloeError(f"kustomize cannot render {name}:\n{reason}", "mend what it names, then render again")
            return done.stdout

        yield output


_SECONDS = 300  # what takes a second anywhere; beyond, kustomize waits for something that will not come
_LINES = 30  # of what kustomize and helm say, the last
_GO = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""kustomize and helm end before collecting their garbage pays: it takes a quarter of their time. Both are Go's own."""


def render(environment: str, form: str = "manifests") -> bytes:
    """The rendered manifests as a YAML stream.

    Raises FloeError where a chart is not pulled yet or kustomize refuses; nothing is rendered halfway.
    """
    with started(environment, form) as output, console.progress(f"rendering {environment}"):
        return output()


def build(folder: Path) -> bytes:
    """What `kustomize build` of a folder prints. Raises FloeError where kustomize refuses."""
    with _running(_kustomize(folder), str(folder.relative_to(repo.root()))) as output:
        return output()


def print_manifests(environment: str, form: str = "manifests") -> None:
    """The rendered manifests to stdout, byte for byte."""
    sys.stdout.buffer.write(render(environment, form))


def chart_generators(environment: str) -> list[dict[str, Any]]:
    """The chart generators of an overlay with their final values, as its folder `values/` makes them."""
    what = f"overlays/{environment}/values"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        values = os.path.relpath((repo.overlay(environment) / "values").resolve(), folder)
        # kustomize prints no local-config resource, so the annotation goes.
        (folder / "kustomization.yaml").write_text(
            f"resources: [{json.dumps(values)}]\npatches:\n- target: {{kind: {GENERATOR}}}\n  patch: |\n"
            "    - {op: remove, path: /metadata/annotations/config.kubernetes.io~1local-config}\n"
        )
        with _running(_kustomize(folder), what) as output:
            found = [document.value for document in documents(output(), what)]
    return [one for one in found if one.get("kind") == GENERATOR]
