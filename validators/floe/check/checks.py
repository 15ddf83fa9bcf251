"""The checks of `floe check`. To add one, write a function and add it to CHECKS or SHARED."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from floe import render
from floe.charts import audit, packaging
from floe.check import code_location, cube_model, semantic_layer
from floe.contract.applications import application
from floe.contract.compiling import committed, compile_environment
from floe.errors import FloeError
from floe.repo import Checkout
from floe.validate import origins
from floe.validate.schema import Schemas
from floe.validate.validation import Report, validate
from floe_runtime.contract.artifacts import CompiledArtifacts


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do next. `file`: the file to edit, relative to the checkout; empty if unknown."""

    message: str
    remedy: str
    file: str = ""
    line: int = 0  # in that file, counts from 1; 0 if unknown
    is_error: bool = True


@dataclass(frozen=True)
class Result:
    """The outcome of one check. `subject`: the environment, or `all` for a check that concerns all of them.

    `left_out`: why the check could not run, because of a problem that another check reports.
    """

    subject: str
    check: str
    seconds: float
    problems: tuple[Problem, ...]
    left_out: str = ""

    @property
    def failed(self) -> bool:
        """Whether a problem is an error; warnings do not make a check fail."""
        return any(problem.is_error for problem in self.problems)


class _LeftOut(Exception):
    """A check cannot run, because of a problem that another check reports."""


def run(checkout: Checkout, environments: list[str], say: Callable[[str], None]) -> Iterator[Result]:
    """Run every check on each environment, then the shared ones; yields each result as soon as it is known.

    `say` is called with the name of the check that starts. A FloeError that a check raises becomes a problem.
    """
    for name in environments:
        for check, function in CHECKS.items():
            say(f"check {name}: {check}")
            yield _run_one(name, check, partial(function, checkout, name))
    for check, shared in SHARED.items():
        say(f"check: {check}")
        yield _run_one("all", check, partial(shared, checkout))


def _run_one(subject: str, check: str, problems: Callable[[], Iterator[Problem]]) -> Result:
    started, left_out = time.monotonic(), ""
    collected: tuple[Problem, ...] = ()
    try:
        collected = tuple(problems())
    except FloeError as error:
        collected = (Problem(error.message, error.hint),)
    except _LeftOut as reason:
        left_out = str(reason)
    return Result(subject, check, round(time.monotonic() - started, 2), collected, left_out)


def _artifacts(checkout: Checkout, environment: str) -> CompiledArtifacts:
    try:
        return compile_environment(checkout, environment)
    except FloeError:
        raise _LeftOut(f"{environment} cannot be compiled") from None


def _compiled(checkout: Checkout, environment: str) -> Iterator[Problem]:
    if committed(checkout, environment) != compile_environment(checkout, environment).text():
        where = checkout.relative(checkout.artifacts_file(environment))
        yield Problem(
            f"{where} is out of date with floe.yaml and platform.yaml", f"Run `floe compile {environment}`.", where
        )


def _charts(checkout: Checkout, environment: str) -> Iterator[Problem]:
    # Stand-ins are accepted here, because floe-validate warns of each (FLOE020).
    for finding in audit.verify(checkout, environment, stand_ins=True):
        yield Problem(f"{finding.chart}: {finding.message}", finding.remedy)


def _objects(checkout: Checkout, environment: str) -> Iterator[Problem]:
    content = origins.rendered(checkout, environment)
    yield from _findings(validate(content, f"overlays/{environment}", Schemas(), checkout=checkout))


def _bootstrap(checkout: Checkout, environment: str) -> Iterator[Problem]:
    """The folders that a person or Flux applies beside the overlay: the environment's bootstrap and its Secrets."""
    folders = sorted((checkout.root / "clusters" / environment).glob("*/kustomization.yaml"))
    folders += (checkout.overlay(environment) / "secrets").glob("kustomization.yaml")
    schemas = Schemas(strict_kinds=True)
    for file in folders:
        name = checkout.relative(file.parent)
        if file.parent.name != "environment":  # an input of the other folders, not an object of a cluster
            yield from _findings(validate(render.build(checkout, file.parent), name, schemas, checkout=checkout))


def _findings(report: Report) -> Iterator[Problem]:
    for finding in report.findings:
        if not finding.waived:
            message = f"{finding.code} {finding.object}: {finding.message}"
            is_error = finding.severity == "error"
            yield Problem(message, finding.remedy, finding.file, finding.file_line, is_error)


def _code_locations(checkout: Checkout, environment: str) -> Iterator[Problem]:
    artifacts = _artifacts(checkout, environment)
    for app in artifacts.apps:
        if complaint := code_location.load(checkout, artifacts, app):
            remedy = f"Correct apps/{app}, then run `floe check {environment}` again."
            yield Problem(f"the code location {app} cannot be loaded: {complaint}", remedy, f"apps/{app}")


def _cube_model(checkout: Checkout, environment: str) -> Iterator[Problem]:
    apps = {name: one.app for name, one in _artifacts(checkout, environment).apps.items()}
    if complaint := cube_model.compile_model(checkout, apps):
        folders = ", ".join(f"apps/{name}/{app.semantic_layer.model}" for name, app in apps.items())
        yield Problem(f"Cube cannot compile the model: {complaint}", f"Correct the cubes that it names, in {folders}.")


def _in_sync(checkout: Checkout) -> Iterator[Problem]:
    if names := [change.path.as_posix() for change in packaging.changes(checkout)]:
        message = f"generated files are out of date with base/ and overlays/: {', '.join(names)}"
        yield Problem(message, "Run `floe charts sync`.", names[0])


def _semantic_layers(checkout: Checkout) -> Iterator[Problem]:
    for name in checkout.apps():
        try:
            gaps = list(semantic_layer.gaps(checkout, name, application(checkout, name)))
        except FloeError:
            continue  # the other checks report what is wrong with the app's files
        for gap in gaps:
            yield Problem(gap.message, gap.remedy, gap.file, gap.line)


CHECKS: dict[str, Callable[[Checkout, str], Iterator[Problem]]] = {
    "compiled": _compiled,
    "charts": _charts,
    "objects": _objects,
    "bootstrap": _bootstrap,
    "code locations": _code_locations,
    "Cube model": _cube_model,
}
"""What is checked for each environment."""
SHARED: dict[str, Callable[[Checkout], Iterator[Problem]]] = {
    "Helm charts": _in_sync,
    "semantic layers": _semantic_layers,
}
"""What is checked once for all environments."""
