"""`floe fork`: write the registry, the repository and the domain of a fork into every file that names them.

floe.toml is written first. So an interrupted run, like a merge that brought values of upstream, is only a checkout in
which some files differ from floe.toml, and the next run finishes it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

from pydantic import ValidationError
from rich.markup import escape

from floe import console, git
from floe.charts import packaging
from floe.contract.compiling import committed, compile_environment
from floe.contract.files import load
from floe.errors import FloeError
from floe.repo import Checkout
from floe.settings import Settings, edited
from floe.validate.written import Written
from floe_runtime.contract.model import problems
from floe_runtime.contract.platform import Platform

_GENERATED = ("charts/*/values*.yaml", "charts/*/objects/*", "charts/post-renderer/hardening/*")
"""Files that `floe charts sync` writes as a whole, so that conflicts in them need no decision."""


@dataclass(frozen=True)
class Place:
    """The files below `folders` that contain a setting's value, and what may stand around it there."""

    folders: tuple[str, ...]
    before: str
    after: str
    not_for: str = "$^"
    """Keys whose values only a person can decide."""


PLACES = {
    "registry": Place(("apps", "base", "clusters", "docs", "overlays"), r"(?<![\w.-])", r"(?![\w-]|\.\w)"),
    "repository": Place(("apps", "base", "clusters", "docs"), r"(?<![\w.-])", r"(?![\w-]|\.(?!git\b)\w)"),
    # Hosts end in the domain, and so do Secrets with their certificates, as in cube.example.com-tls.
    "domain": Place(("overlays",), r"(?<![\w@-])", r"(?!\w|\.\w|-(?!tls\b))", "(?i)issuer|e-?mail"),
}
_BY_HAND = {
    "objects/environment.yaml": ("spec.login.issuer", "spec.login.emailDomains"),
    "platform.yaml": (
        *("compute.host", "compute.account", "compute.database", "compute.project", "compute.keyfile"),
        *("storage.bucket", "storage.region", "storage.endpoint", "catalog.uri", "catalog.warehouse", "metadata.host"),
    ),
}
"""Values of an overlay that no setting can tell: the file, and the fields if the overlay has them."""


@dataclass(frozen=True)
class Replacement:
    """A value that another one replaces in a file, `count` times."""

    file: str
    before: str
    after: str
    count: int

    @property
    def words(self) -> str:
        """The replacement for a person."""
        return f"{self.before} → {self.after}{f'  ({self.count} times)' if self.count > 1 else ''}"


@dataclass(frozen=True)
class ByHand:
    """A value that only a person can fill in."""

    file: str
    line: int
    field: str
    value: str


@dataclass(frozen=True)
class Forked:
    """The result of `fork`: changed files, and what is left to do. `dry_run`: nothing was written."""

    changed: list[str]
    replacements: list[Replacement]
    """What was replaced in the changed files, except for those that are generated."""
    by_hand: list[ByHand]
    secrets: dict[str, list[str]]
    """The names of the Secrets that an environment needs, by the file that names them."""
    dry_run: bool


def fork(checkout: Checkout, wanted: Mapping[str, str], *, allow_dirty: bool = False, dry_run: bool = False) -> Forked:
    """Change settings in floe.toml, and replace their shipped and former values by the current ones in every file.

    `wanted`: new values of registry, repository and domain; a setting that is not given keeps its value.
    Raises FloeError if a value is invalid, if a merge left conflicts, or, unless `allow_dirty`, if floe.toml would
    change while there are uncommitted changes.
    """
    repository = git.open_repository(checkout.root)
    conflicts = [name for name in repository.unmerged() if not any(fnmatch(name, one) for one in _GENERATED)]
    if conflicts:
        raise FloeError(
            f"a merge left conflicts in {', '.join(conflicts)}",
            "Resolve them, then run `floe fork` again. Conflicts in what `floe charts sync` writes may stay.",
        )
    settings, text = _changed_settings(checkout, wanted)
    edits = {} if text is None else {"floe.toml": text}
    if edits and not allow_dirty and not dry_run and (count := repository.uncommitted()):
        raise FloeError(
            f"there {'is 1 uncommitted change' if count == 1 else f'are {count} uncommitted changes'}",
            "Commit or stash them, so that `git diff` shows what the fork changes; --allow-dirty goes on without.",
        )
    before = checkout.settings
    replacements = [
        Replacement("floe.toml", getattr(before, name), getattr(settings, name), 1)
        for name in PLACES
        if getattr(before, name) != getattr(settings, name)
    ]
    for name, (content, found) in _edits(checkout, repository, settings).items():
        edits[name] = content
        replacements += found
    changed = list(edits)
    if not dry_run:
        for name, content in edits.items():
            console.write(checkout.root / name, content)
        checkout = Checkout(checkout.root)  # which reads the new settings
        changed += [name for name in _generate(checkout) if name not in edits]
    secrets = {
        checkout.relative(file): sorted(load(Platform, file).secret_names())
        for file in map(checkout.platform_file, checkout.in_promotion_order())
    }
    return Forked(changed, replacements, list(_by_hand(checkout)), secrets, dry_run)


def _changed_settings(checkout: Checkout, wanted: Mapping[str, str]) -> tuple[Settings, str | None]:
    """The settings with new values, and the text of floe.toml with them; None if it does not change."""
    before = checkout.settings
    changes = {name: value for name, value in wanted.items() if value != getattr(before, name)}
    former = {
        name: [*dict.fromkeys([*getattr(before.former, name), getattr(before, name)])]
        for name in changes
        if getattr(before, name) != Settings.model_fields[name].default
    }
    content = before.model_dump() | changes | {"former": before.former.model_dump() | former}
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise FloeError(
            f"a value cannot be used:{problems(error, content)}",
            "Give values as in --registry ghcr.io/acme --repository https://github.com/acme/data-platform "
            "--domain data.acme.io.",
        ) from None
    if not changes:
        return settings, None
    file = checkout.root / "floe.toml"
    text = console.read(file) if file.is_file() else ""
    return settings, edited(text, changes | {f"former.{name}": values for name, values in former.items()}, settings)


def _edits(
    checkout: Checkout, repository: git.Repository, settings: Settings
) -> dict[str, tuple[str, list[Replacement]]]:
    """The new text of each file that names a shipped or former value of a setting, and what is replaced in it."""
    edits = {}
    folders = {folder for place in PLACES.values() for folder in place.folders}
    for name in repository.listed(*folders, kinds=("--cached", "--others", "--exclude-standard", "--deduplicate")):
        file = checkout.root / name
        if file.is_symlink() or not file.is_file():
            continue
        try:
            text = console.read(file)
        except UnicodeDecodeError:
            continue
        replacements = []
        for setting, place in PLACES.items():
            if Path(name).parts[0] in place.folders:
                former = (Settings.model_fields[setting].default, *getattr(settings.former, setting))
                current = getattr(settings, setting)
                text, counts = replaced(text, place, current, former)
                replacements += [Replacement(name, value, current, count) for value, count in counts.items()]
        if replacements:
            edits[name] = text, replacements
    return edits


def replaced(text: str, place: Place, current: str, former: tuple[str, ...]) -> tuple[str, Counter[str]]:
    """The text with the current value of a setting in place of former ones, and how often each of them was replaced.

    The current value may contain a former one, or be contained in it: the longest value that matches counts.
    """
    values = "|".join(re.escape(value) for value in sorted({current, *former}, key=len, reverse=True))

    def new(found: re.Match[str]) -> str:
        keys = re.findall(r"([\w.-]+)[\"']?\s*:\s", text[text.rfind("\n", 0, found.start()) + 1 : found.start()])
        if found[0] == current or (keys and re.search(place.not_for, keys[-1])):
            return found[0]
        counts[found[0]] += 1
        return current

    counts: Counter[str] = Counter()
    return re.sub(f"{place.before}(?:{values}){place.after}", new, text), counts


def _generate(checkout: Checkout) -> Iterator[str]:
    """Write what is generated from other files; yields the names of the files that changed."""
    for environment in checkout.environments():
        file, text = checkout.artifacts_file(environment), compile_environment(checkout, environment).text()
        if committed(checkout, environment) != text:
            console.write(file, text)
            yield checkout.relative(file)
    changes = list(packaging.changes(checkout))
    packaging.write(checkout, changes)
    yield from (change.path.as_posix() for change in changes)


def _by_hand(checkout: Checkout) -> Iterator[ByHand]:
    for environment in checkout.in_promotion_order():
        written, folder = Written(checkout, environment), checkout.relative(checkout.overlay(environment))
        for name, fields in _BY_HAND.items():
            source = f"{folder}/{name}"
            scalars = {".".join(place.path): place for place in written.places(source)}
            for field in fields:
                if (place := scalars.get(field)) and place.text is not None:
                    yield ByHand(source, place.line, field, place.text)
                    yield from _repeated(written, f"{folder}/values/", field, place.text)


def _repeated(written: Written, folder: str, field: str, value: str) -> Iterator[ByHand]:
    """The lines of charts' values in which a value of platform.yaml stands again, below a key that ends as its field.

    There a bucket and a region have the same names, a database's host is `postgresqlHost`, and the endpoint of an
    object store may be without its scheme.
    """
    key, texts = field.rpartition(".")[2].lower(), (value, re.sub(r"^\w+://", "", value))
    for file in written.texts:
        if file.startswith(folder):
            for place in written.places(file):
                if place.path[-1].lower().endswith(key) and place.text in texts:
                    yield ByHand(file, place.line, ".".join(place.path), place.text)


def show(done: Forked, *, as_json: bool) -> None:
    """Print what was changed, and what is left to do."""
    if as_json:
        print(json.dumps(asdict(done), indent=2))
        return
    out = console.out()
    for name in done.changed:
        out.print(f"{'would change' if done.dry_run else '[green]✓[/] changed'}: {escape(name)}")
        for replacement in done.replacements:
            if replacement.file == name:
                out.print(f"    {replacement.words}", markup=False)
    if not done.changed:
        out.print("[green]✓[/] unchanged: every file has the values of floe.toml")
        return
    if done.dry_run:
        out.print("Compiled files and charts/ would follow.")
    out.print("\nOnly you can fill these in:")
    for one in done.by_hand:
        out.print(f"  {one.file}:{one.line}  {one.field}: {one.value}", markup=False)
    for file, names in done.secrets.items():
        out.print(f"  {file}  Secrets: {', '.join(names)}", markup=False)
    out.print(_NEXT, markup=False)


_NEXT = """
Next:
  floe compile ENV, floe charts sync      after you filled in values of an overlay
  floe charts lock                        the sha256 of every upstream chart, where its repository can be reached
  floe check --all, git commit, git push  the workflow `images` then builds the images and proposes their digests to dev
  floe secrets init dev                   Secrets in Git, or create them in another way"""
