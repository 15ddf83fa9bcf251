"""Changes several files of a checkout as if at once: prepares them in a copy, then moves them into place.

A run that is interrupted before the move has changed nothing. After that, the next run finishes the move. The copy
stays until every file is in place, so that this works too if somebody has removed a part of what was made.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from floe import console
from floe.errors import FloeError
from floe.git import open_repository
from floe.repo import Checkout
from floe_runtime.contract.model import Model

PARTS = ("overlays", "clusters", "charts", "base", "apps", "platform.yaml", "floe.toml", "charts.lock")
"""What is copied: everything that an environment or an app consists of, and what reading them needs."""


class Report(Model):
    """What a command did, for people and as JSON: `set` holds values to look at, with their files and lines."""

    command: str
    done: tuple[str, ...]
    set: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    next: tuple[str, ...] = ()


class Move(Model):
    """A file that changes, and the sha256 of its content before and after; None if it does not exist then."""

    path: str
    before: str | None
    after: str | None


class Plan(Model):
    """What is to be moved into the checkout. `made`: the environment or app that is new; None for a removal."""

    report: Report
    made: str | None
    removed: tuple[str, ...]
    """Folders that are removed with all that Git ignores in them."""
    moves: tuple[Move, ...]


def _folder(checkout: Checkout) -> Path:
    return checkout.state / "new"


def _plan_file(checkout: Checkout) -> Path:
    return _folder(checkout) / "plan.json"


def _copy(checkout: Checkout) -> Path:
    return _folder(checkout) / "copy"


@contextmanager
def only_one(checkout: Checkout) -> Iterator[None]:
    """Wait until no other process changes the checkout in this way."""
    _folder(checkout).mkdir(parents=True, exist_ok=True)
    with (_folder(checkout) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copied(checkout: Checkout) -> Checkout:
    """A copy of the checkout's files that Git does not ignore, as a checkout of its own; replaces an earlier copy."""
    target = _copy(checkout)
    shutil.rmtree(target, ignore_errors=True)
    for name in _files(checkout):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout.root / name, target / name, follow_symlinks=False)
    return Checkout(target)


def _files(checkout: Checkout) -> list[str]:
    kinds = ("--cached", "--others", "--exclude-standard")
    names = open_repository(checkout.root).listed(*PARTS, kinds=kinds)
    return sorted({name for name in names if (checkout.root / name).is_file()})


def move(checkout: Checkout, report: Report, made: str | None = None, removed: tuple[str, ...] = ()) -> Report:
    """Move what differs in the copy into the checkout; the report then lists the changed files of charts/ too."""
    copy = _copy(checkout)
    names = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()} | set(_files(checkout))
    moves = [Move(path=name, before=_sha256(checkout.root / name), after=_sha256(copy / name)) for name in names]
    changed = [one for one in moves if one.before != one.after]
    # New files first, then edits of files that others read, then removals: a reader sees nothing that lacks a part.
    changed.sort(key=lambda one: (one.after is None, one.before is not None, one.path))
    if charts := [one.path for one in changed if one.path.startswith("charts/")]:
        report = report.model_copy(update={"done": (*report.done, f"charts/: {len(charts)} files, by charts sync")})
    plan = Plan(report=report, made=made, removed=removed, moves=tuple(changed))
    console.write(_plan_file(checkout), plan.model_dump_json(indent=2))
    _carry_out(checkout, plan)
    return report


def after_interrupt(checkout: Checkout) -> str:
    """What an interrupted run left, and what a person does next, as one sentence."""
    if (plan := _plan(checkout)) is None:
        return "interrupted: nothing has changed"
    kind, _, name = (plan.made or "").partition("/")
    undo = f", or `floe remove {_KINDS[kind]} {name}` to remove what it has made" if plan.made else ""
    return f"interrupted before every file was in place: run the same command again to finish{undo}"


_KINDS = {"overlays": "env", "apps": "app"}
"""What the commands call that which is in a folder."""


def _plan(checkout: Checkout) -> Plan | None:
    """The plan of a run that has begun to change the checkout and has not ended."""
    file = _plan_file(checkout)
    return Plan.model_validate_json(file.read_bytes()) if file.is_file() else None


def finished(checkout: Checkout) -> Report | None:
    """Finish what an interrupted run left, and return its report; None if nothing of it is in the checkout.

    Raises FloeError if one of the files has changed since, or if a file that is missing cannot be made again.
    """
    plan = _plan(checkout)
    if plan is None or all(_sha256(checkout.root / one.path) == one.before for one in plan.moves):
        shutil.rmtree(_copy(checkout), ignore_errors=True)
        _plan_file(checkout).unlink(missing_ok=True)
        _drop_empty_folders(checkout, plan.moves if plan else ())
        return None
    for one in plan.moves:
        now = _sha256(checkout.root / one.path)
        if now not in (one.before, one.after):
            raise _cannot_be_finished(checkout, plan, f"{one.path} has changed since")
        if now != one.after and _sha256(_copy(checkout) / one.path) != one.after:
            raise _cannot_be_finished(checkout, plan, f"{one.path} has been removed since")
    _carry_out(checkout, plan)
    return plan.report


def _cannot_be_finished(checkout: Checkout, plan: Plan, reason: str) -> FloeError:
    return FloeError(
        f"`{plan.report.command}` was interrupted, and {reason}",
        f"Remove {checkout.relative(_plan_file(checkout))} to forget that run; `git status` shows what it left.",
    )


def _carry_out(checkout: Checkout, plan: Plan) -> None:
    part = _folder(checkout) / "part"
    for one in plan.moves:
        new, place = _copy(checkout) / one.path, checkout.root / one.path
        if one.after is None:
            place.unlink(missing_ok=True)
        elif _sha256(place) != one.after:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(new, part)
            part.replace(place)
    for folder in plan.removed:
        shutil.rmtree(checkout.root / folder, ignore_errors=True)
        record(checkout, folder).unlink(missing_ok=True)
    _drop_empty_folders(checkout, plan.moves)
    for one in plan.moves:
        if _sha256(checkout.root / one.path) != one.after:
            raise _cannot_be_finished(checkout, plan, f"{one.path} has changed since")
    shutil.rmtree(_copy(checkout), ignore_errors=True)
    if plan.made:
        _plan_file(checkout).replace(record(checkout, plan.made))
    else:
        _plan_file(checkout).unlink()


def _drop_empty_folders(checkout: Checkout, moves: tuple[Move, ...]) -> None:
    files = [checkout.root / one.path for one in moves]
    for folder in sorted({folder for file in files for folder in file.parents}, key=lambda one: -len(one.parts)):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def record(checkout: Checkout, folder: str) -> Path:
    """The file that keeps the plan by which a folder such as overlays/qa was made."""
    return _folder(checkout) / f"{folder.replace('/', '-')}.json"


def refuse_loss(checkout: Checkout, folders: tuple[str, ...], made: str) -> None:
    """Raise FloeError if removing these folders would lose work that is in no commit and that `floe new` did not make.

    `made`: the folder that names the record of `floe new`.
    """
    repository, file = open_repository(checkout.root), record(checkout, made)
    plan = Plan.model_validate_json(file.read_bytes()) if file.is_file() else None
    ours = {one.path: one.after for one in plan.moves} if plan else {}
    ignored = repository.listed(*folders, kinds=("--others", "--ignored", "--exclude-standard"))
    lost = [name for name in repository.changed(*folders) if ours.get(name) != _sha256(checkout.root / name)]
    lost += [name for name in ignored if not _GENERATED & set(Path(name).parts[2:])]
    lost = [name for name in lost if (checkout.root / name).exists()]
    if lost:
        raise FloeError(
            f"removing {folders[0]} would lose {len(lost)} file{'s' * (len(lost) != 1)} that are in no commit: "
            f"{', '.join(lost[:5])}{' …' * (len(lost) > 5)}",
            "Commit them or move them away. To lose them, add --force.",
        )


_GENERATED = {"charts", "target", "logs", "__pycache__", ".user.yml"}
"""Names of ignored files and folders that a command makes again."""


def _sha256(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
