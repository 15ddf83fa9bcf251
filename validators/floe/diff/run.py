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

from floe import charts, console, repo
from floe.diff.compare import compare
from floe.diff.model import Comparison, Report
from floe.errors import FloeError
from floe.git import open_repository
from floe.kubernetes.objects import Object, objects
from floe.render import started
from floe.yaml import documents


def report(environments: Sequence[str], base: str = "HEAD") -> Report:
    """Compare the rendered objects of environments in the working tree with those of a revision.

    `environments`: if empty, all that exist on either side. If only one side has an environment, all its objects count
    as added or removed. Raises FloeError for a revision or environment that does not exist, and for a side that cannot
    be rendered.
    """
    repository = open_repository(repo.root())
    commit = repository.commit(base)
    with temporary_folder() as temporary, ThreadPoolExecutor(1) as aside:
        status = aside.submit(repository.uncommitted)
        exported = cache(lambda: repository.export(commit, temporary / "base").folder)
        names = list(dict.fromkeys(environments)) or sorted({*repo.environments(), *repo.environments(exported())})
        found = []
        for name in names:
            with console.progress(f"diff: rendering {name} in the working tree and in {base}"):
                old, new = _render(name, exported, f"{base} ({commit[:7]})")
                changes = compare(old, new)
            count = {kind: sum(change.change == kind for change in changes) for kind in ("changed", "added", "removed")}
            found.append(Comparison(environment=name, base=base, commit=commit, objects=tuple(changes), **count))
        uncommitted = status.result()
    if uncommitted:
        files = f"{uncommitted} file{'s' * (uncommitted != 1)}"
        print(f"note: the working tree has uncommitted changes ({files}); they are included", file=sys.stderr)
    elif commit == repository.commit("HEAD"):
        print(
            f"note: the working tree is the same as {base}. Use --base HEAD~1 to compare with an earlier commit.",
            file=sys.stderr,
        )
    return Report(uncommitted=bool(uncommitted), environments=tuple(found))


def _render(environment: str, exported: Callable[[], Path], base: str) -> tuple[list[Object], list[Object]]:
    """The objects of the base and of the working tree; an empty list for a side without this environment."""
    head: Callable[[], bytes] | None = None
    old: list[Object] = []
    with ExitStack() as running:
        if environment in repo.environments():  # first, so that it runs while the base is prepared
            with _on("the working tree", repo.root()):
                head = running.enter_context(started(environment))
        before = exported()
        if environment in repo.environments(before):
            with _on(f"the base {base}", before):
                provide_charts(environment, before)
                old = objects_of(running.enter_context(started(environment, root=before))())
        elif head is None:
            repo.overlay(environment)  # raises the error that lists the existing ones
        with _on("the working tree", repo.root()):
            return old, objects_of(head()) if head else []


def objects_of(stream: bytes) -> list[Object]:
    """The objects in kustomize's output."""
    return list(objects(documents(stream, "what kustomize rendered"), "kustomize"))


def provide_charts(environment: str, before: Path) -> None:
    """Provide the charts of an environment in another checkout: link those of this checkout, pull the others.

    `before`: the other checkout.
    """
    missing = False
    for chart in charts.pinned(environment, root=before):
        if here := _pulled_here(chart):
            _link(here.path, chart.path)
        else:
            missing = True
    if missing:
        # If this checkout has a stand-in, a real chart on the other side would make all of its objects differ.
        ours = charts.pinned(environment) if environment in repo.environments() else []
        stand_ins = any(chart.is_stand_in() for chart in ours)
        for _ in charts.pull([environment], os.environ.get(charts.MIRROR), stand_ins=stand_ins, root=before):
            pass


def _pulled_here(chart: charts.Chart) -> charts.Chart | None:
    """The chart as pulled in an overlay of the working tree, preferably the same overlay; None if none has it."""
    names = sorted(repo.environments(), key=lambda name: name != chart.environment)
    places = (replace(chart, environment=name, root=repo.root()) for name in names)
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
def _on(side: str, root: Path) -> Iterator[None]:
    """Add the side to errors of the block, and make paths relative to it, since the base's folder is temporary."""
    try:
        yield
    except FloeError as error:
        raise FloeError(f"in {side}: {error.message.replace(f'{root}/', '')}", error.hint) from error


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
