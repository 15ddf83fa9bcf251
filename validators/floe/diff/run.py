"""From a revision's name to a report: both sides rendered at once, the base in a folder that is gone afterwards."""

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
    """Compare what environments render to in the working tree with what they did in a revision.

    Without any, all that one of the two sides has. An environment that only one side has counts as added, or removed,
    object by object. Raises FloeError for a revision or an environment that does not exist, and where a side cannot be
    rendered, saying which.
    """
    repository = open_repository(repo.root())
    commit = repository.commit(base)
    with temporary_folder() as temporary, ThreadPoolExecutor(1) as aside:
        status = aside.submit(repository.uncommitted)
        exported = cache(lambda: repository.export(commit, temporary / "base").folder)
        names = list(dict.fromkeys(environments)) or sorted({*repo.environments(), *repo.environments(exported())})
        found = []
        for name in names:
            with console.progress(f"diff: rendering {name}, then and now"):
                old, new = _render(name, exported, f"{base} ({commit[:7]})")
                changes = compare(old, new)
            count = {kind: sum(change.change == kind for change in changes) for kind in ("changed", "added", "removed")}
            found.append(Comparison(environment=name, base=base, commit=commit, objects=tuple(changes), **count))
        uncommitted = status.result()
    if uncommitted:
        files = f"{uncommitted} file{'s' * (uncommitted != 1)}"
        print(f"note: the working tree has uncommitted changes ({files}); they are included", file=sys.stderr)
    elif commit == repository.commit("HEAD"):
        print(f"note: the working tree is {base} as committed; --base HEAD~1 names an earlier one", file=sys.stderr)
    return Report(uncommitted=bool(uncommitted), environments=tuple(found))


def _render(environment: str, exported: Callable[[], Path], base: str) -> tuple[list[Object], list[Object]]:
    """The objects of both sides, the base's first; none where a side has no such environment."""
    head: Callable[[], bytes] | None = None
    old: list[Object] = []
    with ExitStack() as running:
        if environment in repo.environments():  # first, so that it runs while the base is made ready
            with _on("the working tree", repo.root()):
                head = running.enter_context(started(environment))
        before = exported()
        if environment in repo.environments(before):
            with _on(f"the base {base}", before):
                provide_charts(environment, before)
                old = objects_of(running.enter_context(started(environment, root=before))())
        elif head is None:
            repo.overlay(environment)  # says which ones exist
        with _on("the working tree", repo.root()):
            return old, objects_of(head()) if head else []


def objects_of(stream: bytes) -> list[Object]:
    """What kustomize printed, object by object."""
    return list(objects(documents(stream, "what kustomize rendered"), "kustomize"))


def provide_charts(environment: str, before: Path) -> None:
    """Put the charts of another checkout in place: those that an overlay of this one has, else from where all come."""
    missing = False
    for chart in charts.pinned(environment, root=before):
        if here := _pulled_here(chart):
            _link(here.path, chart.path)
        else:
            missing = True
    if missing:
        # Beside stand-ins a real chart would make all of its objects differ.
        ours = charts.pinned(environment) if environment in repo.environments() else []
        stand_ins = any(chart.is_stand_in() for chart in ours)
        for _ in charts.pull([environment], os.environ.get(charts.MIRROR), stand_ins=stand_ins, root=before):
            pass


def _pulled_here(chart: charts.Chart) -> charts.Chart | None:
    """The chart as an overlay of the working tree has it, the same overlay first."""
    names = sorted(repo.environments(), key=lambda name: name != chart.environment)
    places = (replace(chart, environment=name, root=repo.root()) for name in names)
    return next((place for place in places if place.is_pulled()), None)


def _link(chart: Path, place: Path) -> None:
    """A chart in another place, of symbolic links where kustomize takes them: it reads values.yaml, Helm the rest."""
    place.mkdir(parents=True)
    for part in chart.iterdir():
        if part.name == "values.yaml":
            shutil.copy(part, place)
        else:
            (place / part.name).symlink_to(part)


@contextmanager
def _on(side: str, root: Path) -> Iterator[None]:
    """Name the side in what goes wrong on it, and files by their place in it: the base's folder will be gone."""
    try:
        yield
    except FloeError as error:
        raise FloeError(f"in {side}: {error.message.replace(f'{root}/', '')}", error.hint) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes with the block, also where we are told to end."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    kept = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with tempfile.TemporaryDirectory(prefix="floe-diff-") as folder:
            yield Path(folder).resolve()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
