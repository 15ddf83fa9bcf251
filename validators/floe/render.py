"""Rendering an overlay: what `kustomize build --enable-helm overlays/ENV` prints."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from floe import charts, repo, tools
from floe.errors import FloeError

FORMS = {"manifests": "", "flux": "flux"}
"""What an overlay renders to, by the folder in it: plain manifests, or the objects by which Flux installs the charts."""


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
    kustomize, helm = str(tools.resolve("kustomize")), str(tools.resolve("helm"))
    return [kustomize, "build", "--enable-helm", "--helm-command", helm, str(folder)]


class Build:
    """A kustomize that runs beside us from the moment this is made, so that two can run at once.

    Raises FloeError where a chart is not pulled yet. Use it as a context: no process outlives the block.
    """

    def __init__(self, environment: str, form: str = "manifests", root: Path | None = None) -> None:
        self._environment = environment
        arguments = command(environment, form, root)
        if absent := [str(chart) for chart in charts.pinned(environment, root) if not chart.is_pulled()]:
            raise FloeError(
                f"overlays/{environment} needs charts that are not pulled: {', '.join(absent)}", "floe charts pull"
            )
        # Files, not pipes: nobody reads while both run, and a full pipe would stop kustomize.
        self._out: IO[bytes] = tempfile.TemporaryFile()
        self._err: IO[bytes] = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env=_GO | os.environ,
            start_new_session=True,  # its group holds the helm that it starts
        )

    def __enter__(self) -> Build:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._out.close()
        self._err.close()

    def result(self) -> bytes:
        """The rendered manifests as a YAML stream. Raises FloeError where kustomize refuses."""
        code = self._process.wait()
        self._err.seek(0)
        self._out.seek(0)
        if code:
            reason = self._err.read().decode(errors="replace").strip()
            raise FloeError(
                f"kustomize cannot render overlays/{self._environment}:\n{reason}",
                "mend what it names, then render again",
            )
        return self._out.read()


_GO = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""kustomize and helm end before their garbage is worth collecting: a quarter of their time. Both settings are Go's own."""


def render(environment: str, form: str = "manifests") -> bytes:
    """The rendered manifests as a YAML stream.

    Raises FloeError where a chart is not pulled yet or kustomize refuses; nothing is rendered halfway.
    """
    with Build(environment, form) as build:
        return build.result()
