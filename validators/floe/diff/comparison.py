"""Run a comparison: render the working tree and a revision in parallel, the revision from a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from floe import charts, console
from floe.diff.changes import Comparison, Report
from floe.diff.compare import compare
from floe.errors import FloeError
from floe.git import open_repository
from floe.kubernetes.objects import Object, objects
from floe.render import started
from floe.repo import Checkout
from floe.yaml import documents


def report(checkout: Checkout, environments: Sequence[str], base: str = "HEAD") -> Report:
    """Compare the rendered objects of environments in the working tree with those of a revision.

    `environments`: if empty, all that exist on either side. If only one side has an environment, all its objects count
    as added or removed. Raises FloeError for a revision or environment that does not exist, and for a side that cannot
    be rendered.
    """
    repository = open_repository(checkout.root)
    commit = repository.commit(base)
    with temporary_folder() as temporary, ThreadPoolExecutor(1) as aside:
        status = aside.submit(repository.uncommitted)
        exported = cache(lambda: Checkout(repository.export(commit, temporary / "base").folder))
        names = list(dict.fromkeys(environments)) or sorted({*checkout.environments(), *exported().environments()})
        comparisons = []
        for name in names:
            with console.progress(f"diff: rendering {name} in the working tree and in {base}"):
                old, new = _both_sides(checkout, name, exported, f"{base} ({commit[:7]})")
                changes = compare(old, new)
            count = {kind: sum(change.change == kind for change in changes) for kind in ("changed", "added", "removed")}
            comparisons.append(Comparison(environment=name, base=base, commit=commit, objects=tuple(changes), **count))
        uncommitted = status.result()
    if uncommitted:
        files = f"{uncommitted} file{'s' * (uncommitted != 1)}"
        print(f"note: the working tree has uncommitted changes ({files}); they are included", file=sys.stderr)
    elif commit == repository.commit("HEAD"):
        print(
            f"note: the working tree is the same as {base}. Use --base HEAD~1 to compare with an earlier commit.",
            file=sys.stderr,
        )
    return Report(uncommitted=bool(uncommitted), environments=tuple(comparisons))


def _both_sides(
    checkout: Checkout, environment: str, exported: Callable[[], Checkout], base: str
) -> tuple[list[Object], list[Object]]:
    """The objects of the base and of the working tree; an empty list for a side without this environment."""
    head: Callable[[], bytes] | None = None
    old: list[Object] = []
    with ExitStack() as running:
        if environment in checkout.environments():  # first, so that it runs while the base is prepared
            with _errors_on("the working tree", checkout):
                head = running.enter_context(started(checkout, environment))
        before = exported()
        if environment in before.environments():
            with _errors_on(f"the base {base}", before):
                provide_charts(checkout, environment, before)
                old = objects_of(running.enter_context(started(before, environment))())
        elif head is None:
            checkout.overlay(environment)  # raises the error that lists the existing ones
        with _errors_on("the working tree", checkout):
            return old, objects_of(head()) if head else []


def objects_of(stream: bytes) -> list[Object]:
    """The objects in kustomize's output."""
    return list(objects(documents(stream, "what kustomize rendered"), "kustomize"))


def provide_charts(checkout: Checkout, environment: str, target: Checkout) -> None:
    """Provide the charts of an environment in the target: link those that a checkout has, pull the others."""
    missing = False
    for chart in charts.pinned(target, environment):
        if here := _pulled_chart(checkout, chart):
            _link(here.path, chart.path)
        else:
            missing = True
    if missing:
        # If the checkout has a stand-in, a real chart on the other side would make all of its objects differ.
        ours = charts.pinned(checkout, environment) if environment in checkout.environments() else []
        stand_ins = any(chart.is_stand_in() for chart in ours)
        for _ in charts.pull(
            target, [environment], os.environ.get(charts.MIRROR), stand_ins=stand_ins, source=checkout
        ):
            pass


def _pulled_chart(checkout: Checkout, chart: charts.Chart) -> charts.Chart | None:
    """The chart as pulled in an overlay of a checkout, preferably the same overlay; None if none has it."""
    names = sorted(checkout.environments(), key=lambda name: name != chart.environment)
    places = (replace(chart, environment=name, checkout=checkout) for name in names)
    return next((place for place in places if place.is_pulled()), None)


def _link(chart: Path, place: Path) -> None:
    """Link a chart's files to another place. values.yaml is copied: kustomize reads it and refuses symbolic links."""
    place.mkdir(parents=True)
    for part in chart.iterdir():
        if part.name == "values.yaml":
            shutil.copy(part, place)
        else:
            (place / part.name).symlink_to(part)


@contextmanager
def _errors_on(side: str, checkout: Checkout) -> Iterator[None]:
    """Add the side to errors of the block, and make paths relative to it, since the base's folder is temporary."""
    try:
        yield
    except FloeError as error:
        raise FloeError(f"in {side}: {error.message.replace(f'{checkout.root}/', '')}", error.hint) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A temporary folder that is removed with the block, also after SIGTERM and SIGHUP."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    kept = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with tempfile.TemporaryDirectory(prefix="floe-diff-") as folder:
            yield Path(folder).resolve()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
