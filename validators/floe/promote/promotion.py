"""Run a promotion: plan, validate both environments, commit. It works in a copy of HEAD, not in the working tree."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from floe import console
from floe.charts import packaging
from floe.diff import formats
from floe.diff.changes import Comparison
from floe.diff.changes import Report as Diff
from floe.diff.compare import compare
from floe.diff.comparison import objects_of, provide_charts, temporary_folder
from floe.errors import FloeError
from floe.git import Repository, open_repository
from floe.kubernetes.objects import Object
from floe.promote import carried
from floe.render import started
from floe.repo import Checkout
from floe.validate import output
from floe.validate.schema import Schemas
from floe.validate.validation import Report, validate

_WAIVED_DAYS = 14
"""How long a waiver for an unproven version lasts. By then the version must have passed the environments it skipped."""


class Refused(FloeError):
    """The promotion is refused: the source has findings, or the target would have some."""

    exit_code = 1


@dataclass(frozen=True)
class Request:
    """The arguments of a promotion."""

    source: str
    target: str
    apps: tuple[str, ...] = ()
    branch: str | None = None
    dry_run: bool = False
    reason: str | None = None
    """Why an unproven version is promoted; None without --allow-unproven."""


@dataclass(frozen=True)
class Promotion:
    """The result of a promotion. `commit`: None after a dry run, or if there was nothing to promote."""

    request: Request
    plan: carried.Plan
    diff: Diff | None = None
    waived: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()  # files of floe's own charts that changed too
    branch: str | None = None
    commit: str | None = None


def promote(checkout: Checkout, request: Request) -> Promotion:
    """Promote what `source` runs to `target`. Raises Refused because of findings, FloeError if it cannot run."""
    _check_order(checkout, request)
    repository = open_repository(checkout.root)
    head = repository.commit("HEAD")
    _check_tree(repository)
    plan = carried.plan(checkout, request.source, request.target, request.apps)
    if not plan.changes:
        return Promotion(request, plan)
    branch = request.branch or f"promote/{request.source}-to-{request.target}-{head[:7]}"
    repository.refuse_branch(branch)
    files = carried.edited(checkout, request.source, request.target, plan.changes)
    schemas = Schemas()
    with temporary_folder() as temporary, ExitStack() as running:
        name = f"promoting {request.source} to {request.target}"
        say = running.enter_context(console.progress(name))
        proof = running.enter_context(started(checkout, request.source))
        before = running.enter_context(started(checkout, request.target))
        exported = repository.export(head, temporary / "target")
        changed = Checkout(exported.folder, {name: exported.env[name] for name in ("GIT_DIR", "GIT_WORK_TREE")})
        written = {path.relative_to(checkout.root): content for path, content in files.items()}
        namespace = carried.namespace_file(checkout, request.target).relative_to(checkout.root)
        content = console.read(exported.folder / namespace)
        if (clean := carried.waived(content, {}, str(namespace))) != content:
            written[namespace] = clean
        _write_files(exported.folder, written)
        provide_charts(checkout, request.target, changed)  # the charts in the versions that the target will have
        after = running.enter_context(started(changed, request.target))
        say(f"{name}: validating {request.source}")
        _refuse_errors(
            validate(proof(), f"overlays/{request.source}", schemas, checkout=checkout), request, "cannot be promoted"
        )
        say(f"{name}: validating {request.target} after the change")
        old, stream = objects_of(before()), after()
        waived: tuple[str, ...] = ()
        report = validate(stream, f"overlays/{request.target}", schemas, checkout=changed)
        errors = {finding.code for finding in report.findings if finding.severity == "error" and not finding.waived}
        if request.reason and errors and errors <= set(carried.UNPROVEN):
            waived = tuple(sorted(errors))
            written[namespace] = carried.waived(
                clean, dict.fromkeys(waived, _waiver_words(request.reason)), str(namespace)
            )
            _write_files(exported.folder, written)
            stream = running.enter_context(started(changed, request.target))()
            report = validate(stream, f"overlays/{request.target}", schemas, checkout=changed)
        _refuse_errors(report, request, "would not be valid")
        diff = _rendered_diff(request.target, old, stream, head, repository)
        say(f"{name}: updating charts/")
        files_of_charts = tuple(map(str, _sync_charts(changed)))
        commit = None
        if not request.dry_run:
            message = _commit_message(request, plan, head)
            commit = repository.commit_beside(exported, [*map(str, written), *files_of_charts], message, branch)
    return Promotion(request, plan, diff, waived, files_of_charts, branch, commit)


def _check_order(checkout: Checkout, request: Request) -> None:
    source, target, order = request.source, request.target, checkout.settings.promotion
    arrows = " → ".join(order)
    for name in (source, target):
        checkout.overlay(name)
    if source == target:
        raise FloeError(f"{source} cannot be promoted to itself", f"Promote in this order: {arrows}.")
    for name in (source, target):
        if name not in order:
            raise FloeError(
                f"{name} is not part of the promotion order, so nothing is promoted from or to it",
                f"Promote in this order: {arrows}.",
            )
    first, last = order.index(source), order.index(target)
    if first > last:
        raise FloeError(
            f"{source} comes after {target}: the order is {arrows}",
            f"To roll a version back, revert its commit: `git log overlays/{source}` shows it.",
        )
    skipped = order[first + 1 : last]
    if skipped and not request.reason:
        steps = order[first : last + 1]
        way = ", then ".join(f"`floe promote {a} {b}`" for a, b in pairwise(steps))
        raise FloeError(
            f"promoting {source} to {target} would skip {', '.join(skipped)}, so the version is unproven there",
            f"Run {way}. In an emergency, add --allow-unproven --reason ….",
        )


def _check_tree(repository: Repository) -> None:
    if unmerged := repository.unmerged():
        raise FloeError(
            f"a merge left conflicts in {', '.join(unmerged[:3])}",
            "Resolve them, or run `git merge --abort` or `git rebase --abort`.",
        )
    if count := repository.uncommitted():
        raise FloeError(
            f"the working tree has uncommitted changes ({count} file{'s' * (count != 1)}), and only commits are "
            "promoted",
            "Commit the changes that `git status` shows, or run `git stash --include-untracked`.",
        )
    if repository.branch() is None:
        raise FloeError(
            "HEAD is detached, so the promotion might start from a commit that is on no branch",
            "Run `git switch main`.",
        )


def _write_files(folder: Path, files: dict[Path, str]) -> None:
    for path, content in files.items():
        console.write(folder / path, content)


def _sync_charts(checkout: Checkout) -> list[Path]:
    """Update floe's own charts as `floe charts sync` does; returns the changed files, none without charts/."""
    if not (checkout.root / "charts").is_dir():
        return []
    changes = list(packaging.changes(checkout))
    packaging.write(checkout, changes)
    return [change.path for change in changes]


def _refuse_errors(report: Report, request: Request, words: str) -> None:
    """Print the findings and raise Refused if a report has errors.

    With a reason (--allow-unproven), errors of the source are accepted.
    """
    count = report.count("error")
    if not count or (request.reason and report.environment == request.source):
        return
    with console.to_stderr():
        output.WRITERS["text"]([report])
    raise Refused(
        f"{report.environment} {words}: {count} finding{'s' * (count != 1)} of floe-validate",
        "Fix them, commit, and promote again."
        + ("" if request.reason else " In an emergency, add --allow-unproven --reason ….")
        if report.environment == request.source
        else f"Fix overlays/{request.target}, or overlays/{request.source} if the cause is there. "
        "Commit, and promote again.",
    )


def _waiver_words(reason: str) -> str:
    last = datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=_WAIVED_DAYS)
    return f"until {last}: {reason}"


def _rendered_diff(target: str, old: list[Object], stream: bytes, head: str, repository: Repository) -> Diff:
    changes = compare(old, objects_of(stream))
    count = {kind: sum(change.change == kind for change in changes) for kind in ("changed", "added", "removed")}
    base = repository.branch() or "HEAD"
    comparison = Comparison(environment=target, base=base, commit=head, objects=tuple(changes), **count)
    return Diff(uncommitted=False, environments=(comparison,))


def _commit_message(request: Request, plan: carried.Plan, head: str) -> str:
    apps = f": {', '.join(request.apps)}" if request.apps else ""
    lines = [f"Promote {request.source} to {request.target}{apps}", ""]
    lines += [f"{change.file}: {change}" for change in plan.changes]
    lines += ["", f"Promoted-From: {request.source} {head}"]
    if request.reason:
        lines.append(f"Unproven: {request.reason}")
    return "\n".join(lines) + "\n"


def show(promotion: Promotion) -> None:
    """Print the changed values, the diff of the rendered objects, and the commit."""
    request, out = promotion.request, console.out()
    for app in promotion.plan.absent:
        out.print(f"[yellow]-[/] {request.target} does not run the app {app}, so its specification is not promoted")
    if promotion.diff is None:
        out.print(f"[green]✓[/] {request.target} runs the same as {request.source}: nothing to promote")
        return
    for file in dict.fromkeys(change.file for change in promotion.plan.changes):
        out.print(f"[bold]overlays/{request.target}/{file}[/]")
        for change in promotion.plan.changes:
            if change.file == file:
                out.print(f"  {change}", markup=False)
    if promotion.charts:
        out.print(f"also updated, as by `floe charts sync`: {', '.join(promotion.charts)}", markup=False)
    print()
    formats.text(promotion.diff)
    for code in promotion.waived:
        out.print(f"[yellow]-[/] {code} is waived for {_WAIVED_DAYS} days: {request.reason}", markup=True)
    if promotion.commit:
        out.print(f"[green]✓[/] {promotion.commit[:7]} on the branch {promotion.branch}")
        out.print(f"  [dim]next: Run `git push --set-upstream origin {promotion.branch}`, then open a pull request.[/]")
    else:
        out.print("[dim]dry run: nothing is committed[/]")


def as_json(promotion: Promotion) -> None:
    """Print the promotion as JSON."""
    request = promotion.request
    json.dump(
        {
            "from": request.source,
            "to": request.target,
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
    """The apps without duplicates, in the order given."""
    return tuple(dict.fromkeys(apps or ()))
