"""A promotion from its two names to a commit. The working tree stays as it is: all happens in a copy of HEAD."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from floe import console, repo
from floe.charts import packaging
from floe.diff import formats
from floe.diff.compare import compare
from floe.diff.model import Comparison
from floe.diff.model import Report as Diff
from floe.diff.run import objects_of, provide_charts, temporary_folder
from floe.errors import FloeError
from floe.git import Exported, Repository, open_repository
from floe.kubernetes.objects import Object
from floe.promote import carried
from floe.render import started
from floe.validate import output
from floe.validate.run import Report, validate
from floe.validate.schema import Schemas

_WAIVED_DAYS = 14
"""For how long what was not proven may stand: it is to come the usual way by then."""


class Refused(FloeError):
    """What would be promoted, or what would become of it, has findings."""

    exit_code = 1


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    source: str
    target: str
    apps: tuple[str, ...] = ()
    branch: str | None = None
    dry_run: bool = False
    reason: str | None = None
    """Why what is not proven goes all the same."""


@dataclass(frozen=True)
class Promotion:
    """What became of it. `commit`: None of a dry run, and where there was nothing to carry."""

    wish: Wish
    plan: carried.Plan
    diff: Diff | None = None
    waived: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()  # files of floe's own charts that follow
    branch: str | None = None
    commit: str | None = None


def promote(wish: Wish) -> Promotion:
    """Carry what `source` runs to `target`. Raises FloeError for what cannot be, Refused for what has findings."""
    _check_order(wish)
    repository = open_repository(repo.root())
    head = repository.commit("HEAD")
    _check_tree(repository)
    plan = carried.plan(wish.source, wish.target, wish.apps)
    if not plan.changes:
        return Promotion(wish, plan)
    branch = wish.branch or f"promote/{wish.source}-to-{wish.target}-{head[:7]}"
    repository.refuse_branch(branch)
    files = carried.edited(wish.source, wish.target, plan.changes)
    schemas = Schemas()
    with temporary_folder() as temporary, ExitStack() as running:
        name = f"promoting {wish.source} to {wish.target}"
        say = running.enter_context(console.progress(name))
        proof = running.enter_context(started(wish.source))
        before = running.enter_context(started(wish.target))
        exported = repository.export(head, temporary / "target")
        written = {path.relative_to(repo.root()): content for path, content in files.items()}
        namespace = carried.namespace_file(wish.target).relative_to(repo.root())
        content = (exported.folder / namespace).read_text()
        if (clean := carried.waived(content, {}, str(namespace))) != content:
            written[namespace] = clean
        _write(exported.folder, written)
        provide_charts(wish.target, exported.folder)  # those of the versions that it will have
        after = running.enter_context(started(wish.target, root=exported.folder))
        say(f"{name}: validating {wish.source}")
        _refuse(validate(proof(), f"overlays/{wish.source}", schemas), wish, "is not fit to be promoted")
        say(f"{name}: validating {wish.target} as it will be")
        old, stream = objects_of(before()), after()
        waived: tuple[str, ...] = ()
        report = _validated(stream, wish, exported, schemas)
        found = {finding.code for finding in report.findings if finding.severity == "error" and not finding.waived}
        if wish.reason and found and found <= set(carried.UNPROVEN):
            waived = tuple(sorted(found))
            written[namespace] = carried.waived(clean, dict.fromkeys(waived, _waiver(wish.reason)), str(namespace))
            _write(exported.folder, written)
            stream = running.enter_context(started(wish.target, root=exported.folder))()
            report = _validated(stream, wish, exported, schemas)
        _refuse(report, wish, "would not be valid")
        diff = _diff(wish.target, old, stream, head, repository)
        say(f"{name}: charts/")
        files_of_charts = tuple(map(str, _synchronised(exported)))
        commit = None
        if not wish.dry_run:
            message = _message(wish, plan, head)
            commit = repository.commit_beside(exported, [*map(str, written), *files_of_charts], message, branch)
    return Promotion(wish, plan, diff, waived, files_of_charts, branch, commit)


def _check_order(wish: Wish) -> None:
    source, target, order = wish.source, wish.target, " → ".join(repo.PROMOTION)
    for name in (source, target):
        repo.overlay(name)
    if source == target:
        raise FloeError(f"{source} cannot be promoted to itself", f"the order is {order}")
    for name in (source, target):
        if name not in repo.PROMOTION:
            raise FloeError(f"{name} stands apart: nothing is promoted from or to it", f"the order is {order}")
    first, last = repo.PROMOTION.index(source), repo.PROMOTION.index(target)
    if first > last:
        raise FloeError(
            f"{source} comes after {target}: the order is {order}",
            f"to take a version back, revert its commit: git log overlays/{source}",
        )
    skipped = repo.PROMOTION[first + 1 : last]
    if skipped and not wish.reason:
        steps = repo.PROMOTION[first : last + 1]
        way = ", then ".join(f"floe promote {a} {b}" for a, b in pairwise(steps))
        raise FloeError(
            f"{source} to {target} would skip {', '.join(skipped)}, where nobody has seen it run",
            f"{way}; in an emergency: --allow-unproven --reason …",
        )


def _check_tree(repository: Repository) -> None:
    if unmerged := repository.unmerged():
        raise FloeError(
            f"a merge left conflicts in {', '.join(unmerged[:3])}",
            "solve them, or: git merge --abort, git rebase --abort",
        )
    if count := repository.uncommitted():
        raise FloeError(
            f"the working tree has uncommitted changes ({count} file{'s' * (count != 1)}): only what is committed is "
            "promoted",
            "git status shows them; commit them, or: git stash --include-untracked",
        )
    if repository.branch() is None:
        raise FloeError("HEAD is detached: a branch made here may be of no branch's history", "git switch main")


def _write(folder: Path, files: dict[Path, str]) -> None:
    for path, content in files.items():
        (folder / path).write_text(content)


def _synchronised(exported: Exported) -> list[Path]:
    """Write what floe's own charts have from the overlays; returns the files that changed, none without charts/."""
    if not (exported.folder / "charts").is_dir():
        return []
    env = {name: value for name, value in exported.env.items() if name != "GIT_INDEX_FILE"}
    with repo.working_in(exported.folder, **env):
        changes = list(packaging.changes())
        packaging.write(changes)
    return [change.path for change in changes]


def _validated(stream: bytes, wish: Wish, exported: Exported, schemas: Schemas) -> Report:
    env = {name: value for name, value in exported.env.items() if name != "GIT_INDEX_FILE"}
    with repo.working_in(exported.folder, **env):
        return validate(stream, f"overlays/{wish.target}", schemas)


def _refuse(report: Report, wish: Wish, words: str) -> None:
    """Raise Refused where a stream has errors; the findings are printed."""
    count = report.count("error")
    if not count or (wish.reason and report.environment == wish.source):
        return
    with console.to_stderr():
        output.WRITERS["text"]([report])
    raise Refused(
        f"{report.environment} {words}: {count} finding{'s' * (count != 1)} of floe-validate",
        "mend them, commit, promote again" + ("" if wish.reason else "; in an emergency: --allow-unproven --reason …")
        if report.environment == wish.source
        else f"mend overlays/{wish.target} first, or overlays/{wish.source} where it comes from there; then commit",
    )


def _waiver(reason: str) -> str:
    last = datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=_WAIVED_DAYS)
    return f"until {last}: {reason}"


def _diff(target: str, old: list[Object], stream: bytes, head: str, repository: Repository) -> Diff:
    changes = compare(old, objects_of(stream))
    count = {kind: sum(change.change == kind for change in changes) for kind in ("changed", "added", "removed")}
    base = repository.branch() or "HEAD"
    comparison = Comparison(environment=target, base=base, commit=head, objects=tuple(changes), **count)
    return Diff(uncommitted=False, environments=(comparison,))


def _message(wish: Wish, plan: carried.Plan, head: str) -> str:
    lines = [f"Promote {wish.source} to {wish.target}{': ' + ', '.join(wish.apps) if wish.apps else ''}", ""]
    lines += [f"{change.file}: {change}" for change in plan.changes]
    lines += ["", f"Promoted-From: {wish.source} {head}"]
    if wish.reason:
        lines.append(f"Unproven: {wish.reason}")
    return "\n".join(lines) + "\n"


def show(promotion: Promotion) -> None:
    """Print what was carried, what it does to the rendered objects, and where it is."""
    wish, out = promotion.wish, console.out()
    for app in promotion.plan.absent:
        out.print(f"[yellow]-[/] {wish.target} does not run the app {app}: nothing of it is carried")
    if promotion.diff is None:
        out.print(f"[green]✓[/] {wish.target} runs what {wish.source} does: nothing to promote")
        return
    for file in dict.fromkeys(change.file for change in promotion.plan.changes):
        out.print(f"[bold]overlays/{wish.target}/{file}[/]")
        for change in promotion.plan.changes:
            if change.file == file:
                out.print(f"  {change}", markup=False)
    if promotion.charts:
        out.print(f"with it, as floe charts sync writes them: {', '.join(promotion.charts)}", markup=False)
    print()
    formats.text(promotion.diff)
    for code in promotion.waived:
        out.print(f"[yellow]-[/] {code} is waived for {_WAIVED_DAYS} days: {wish.reason}", markup=True)
    if promotion.commit:
        out.print(f"[green]✓[/] {promotion.commit[:7]} on the branch {promotion.branch}")
        out.print(f"  [dim]next: git push --set-upstream origin {promotion.branch}, and open a pull request[/]")
    else:
        out.print("[dim]a dry run: nothing is committed[/]")


def as_json(promotion: Promotion) -> None:
    """Print the same for a program."""
    wish = promotion.wish
    json.dump(
        {
            "from": wish.source,
            "to": wish.target,
            "changes": [asdict(change) for change in promotion.plan.changes],
            "absent": promotion.plan.absent,
            "waived": promotion.waived,
            "charts": promotion.charts,
            "branch": promotion.branch if promotion.commit else None,
            "commit": promotion.commit,
            "diff": promotion.diff.model_dump() if promotion.diff else None,
        },
        sys.stdout,
        indent=2,
        ensure_ascii=False,
    )
    print()


def names(apps: Collection[str] | None) -> tuple[str, ...]:
    """Apps as they were asked for, each once."""
    return tuple(dict.fromkeys(apps or ()))
