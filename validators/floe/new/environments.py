"""New environments, made from another one, and their removal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floe import charts
from floe.charts import packaging
from floe.charts.overlay_values import every_mapping
from floe.console import read, write
from floe.contract.compiling import compile_environment
from floe.contract.files import load
from floe.errors import FloeError
from floe.git import open_repository
from floe.kubernetes.objects import mapping, text
from floe.new import names, order, production, renaming, staging
from floe.new.staging import Report
from floe.repo import Checkout
from floe.yaml import documents, edit
from floe_runtime.contract.app import package
from floe_runtime.contract.artifacts import CompiledArtifacts, specifications
from floe_runtime.contract.platform import Platform, RestCatalog, S3Storage

_PLACES = re.compile(r"(?<![\w-])(?P<key>bucket|warehouse): *[\"']?(?P<value>[^\s\"',}]+)")
_SHARED = re.compile(
    r"(?<![\w-])(?:host|hostname|uri|endpoint|issuer|emailDomains|account|project|\w+Host): *"
    r"[\"']?(?P<value>[^\s\"',}]*\.[^\s\"',}]+)"
)
"""Settings whose value may be right for several environments, or not: only a person knows."""

_ENCRYPTED = re.compile(rb"""^(?:sops:|\s*"sops":|sops_\w+=)""", re.MULTILINE)
"""What SOPS adds to a file, in each of its formats."""


@dataclass(frozen=True)
class Request:
    """A new environment. `after`: its predecessor in the promotion order; None: it takes no part in promotion."""

    name: str
    source: str
    after: str | None


def request(checkout: Checkout, name: str, source: str, after: str | None, *, promotion: bool) -> Request:
    """The new environment that a person asked for. Raises FloeError if it cannot be made."""
    checkout.overlay(source)
    names.check_environment(checkout, name)
    order_now = checkout.settings.promotion
    if after and not promotion:
        raise FloeError("--after and --no-promotion exclude each other", "Give only one of them.")
    if after and after not in order_now:
        raise FloeError(f"{after} is not part of the promotion order", f"Use one of these: {', '.join(order_now)}.")
    return Request(name, source, (after or (source if source in order_now else None)) if promotion else None)


def new(checkout: Checkout, wanted: Request, command: str) -> Report:
    """Make a new environment. Raises FloeError, and then changes nothing, if it cannot be made."""
    name, source = wanted.name, wanted.source
    folders = (f"overlays/{source}", f"clusters/{source}")
    refuse_changes(checkout, folders)
    copy = staging.copied(checkout)
    files = _copy_folders(checkout, copy, wanted, folders)
    _own_places(checkout, copy, wanted, files)
    platform_file = copy.platform_file(name)
    notes: list[str] = []
    if wanted.after:
        toml = copy.root / "floe.toml"
        write(toml, order.with_name(read(toml), name, wanted.after))
        place = {"specification": "promoted"}
        write(platform_file, edit.replace(read(platform_file), place, f"overlays/{name}/platform.yaml"))
    write(copy.artifacts_file(name), _compiled(copy, name, notes).text())
    stand_ins = any(chart.is_stand_in() for chart in charts.pinned(checkout, source))
    try:
        list(charts.pull(copy, [name], stand_ins=stand_ins, source=checkout))
    except FloeError as error:
        notes.append(f"{error.message}; run `floe charts pull {name}`")
    packaging.write(copy, list(packaging.changes(copy)))
    secrets = ", ".join(sorted(load(Platform, platform_file).secret_names()))
    notes.append(f"create these Secrets in the namespace of {name}: {secrets}")
    if (checkout.root / "overlays" / source / "secrets").is_dir():
        notes.append(f"Secrets that {source} keeps in Git are not copied: `floe secrets init {name}` makes a key")
    done = [f"overlays/{name}, clusters/{name}: as {source}, with names of its own"]
    if wanted.after:
        done.append(f"floe.toml: {' → '.join(copy.settings.promotion)}{_other_place(copy.settings.promotion, name)}")
    if production.add(copy, name, source):
        done.append(f"{production.FILE}: {name} waits for a person, as {source} does")
    report = Report(
        command=command,
        done=tuple(done),
        set=_to_set(checkout, copy, wanted, files),
        notes=tuple(notes),
        next=(
            f"floe check {name}",
            f"floe preflight {name}",
            "git add floe.toml overlays clusters charts && git commit",
            f"kubectl apply -k clusters/{name}/flux, or another way of clusters/README.md",
        ),
    )
    return staging.move(checkout, report, made=f"overlays/{name}")


def _other_place(promotion: Sequence[str], name: str) -> str:
    """How to put an environment elsewhere in the promotion order, if it has become the last one; otherwise empty."""
    if promotion[-1] != name or len(promotion) < 3:  # one before the source, the source, and it
        return ""
    return f" (the last one; `--after {promotion[-3]}` puts it before {promotion[-2]})"


def _compiled(copy: Checkout, name: str, notes: list[str]) -> CompiledArtifacts:
    """What a new environment runs. What only a person can change, such as a shared database, becomes a note."""
    try:
        return compile_environment(copy, name)
    except FloeError as error:
        platform = load(Platform, copy.platform_file(name))
        apps = specifications(copy.artifacts_file(name))
        notes.append(f"{error.message}. {error.hint} Then run `floe compile {name}` and `floe charts sync`.")
        return CompiledArtifacts(environment=name, platform=platform, apps=apps)


def remove(checkout: Checkout, name: str, command: str, *, force: bool) -> Report:
    """Remove an environment from the checkout. Raises FloeError if work would be lost, unless `force`."""
    folders = tuple(f"{part}/{name}" for part in ("overlays", "clusters") if (checkout.root / part / name).is_dir())
    if not re.fullmatch(r"[a-z0-9][-a-z0-9]*", name) or not folders or name in ("all", "base"):
        raise FloeError(
            f"there is no environment {name!r}", f"Use one of these: {', '.join(checkout.environments()) or 'none'}."
        )
    if not force:
        staging.refuse_loss(checkout, folders, f"overlays/{name}")
    copy = staging.copied(checkout)
    for file in _files_in(copy, folders):
        file.unlink()
    done = [f"{' and '.join(folders)}: removed"]
    toml = copy.root / "floe.toml"
    if toml.is_file() and name in checkout.settings.promotion:
        write(toml, order.without_name(read(toml), name))
        done.append(f"floe.toml: {' → '.join(copy.settings.promotion)}")
    if production.discard(copy, name):
        done.append(f"{production.FILE}: no longer names {name}")
    packaging.write(copy, list(packaging.changes(copy)))
    notes = [
        f"a cluster that runs {name} still does: docs/02-environments.md says what to delete there, and what stays"
    ]
    notes += _way_back(checkout, name, folders)
    sops = checkout.root / ".sops.yaml"
    if sops.is_file() and f"overlays/{name}/" in sops.read_text():
        notes.append(f".sops.yaml still has a rule for {name}: remove it, and the key that is outside of Git")
    report = Report(command=command, done=tuple(done), notes=tuple(notes))
    return staging.move(checkout, report, removed=folders)


def _way_back(checkout: Checkout, name: str, folders: Sequence[str]) -> list[str]:
    """How to get a removed environment back, if Git has it. The charts that it uses are not in Git."""
    if not open_repository(checkout.root).listed(*folders):
        return []
    paths = " ".join((*folders, *(path for path in ("charts", "floe.toml") if (checkout.root / path).exists())))
    return [f"to get it back before you commit: `git restore {paths}`, then `floe charts pull {name}`"]


def refuse_changes(checkout: Checkout, folders: Sequence[str]) -> None:
    """Raise FloeError if there are uncommitted changes in folders that are to be copied."""
    if changed := open_repository(checkout.root).changed(*folders):
        there = [folder for folder in folders if (checkout.root / folder).is_dir()]
        raise FloeError(
            f"{folders[0]} cannot be copied, since it has changes that are not committed: {', '.join(changed[:5])}",
            f"Commit them: `git add {' '.join(there)} && git commit`.",
        )


def _copy_folders(checkout: Checkout, copy: Checkout, wanted: Request, folders: tuple[str, ...]) -> list[Path]:
    """Copy the tracked files with the new name; returns the copies. Encrypted Secrets are left out."""
    left_out, files = [], []
    for path in open_repository(checkout.root).listed(*folders):
        content = (checkout.root / path).read_bytes()
        part, _, rest = path.split("/", 2)
        target = copy.root / part / wanted.name / renaming.renamed(rest, wanted.source, wanted.name)
        if _ENCRYPTED.search(content):
            left_out.append(target)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            target.write_bytes(content)
            continue
        if renaming.contains(text, wanted.name) and "compiled" not in target.parts:
            raise FloeError(
                f"{path} uses the word {wanted.name!r} for something else than an environment",
                "Choose another name.",
            )
        write(target, text if "compiled" in target.parts else renaming.renamed(text, wanted.source, wanted.name))
        shutil.copymode(checkout.root / path, target)
        files.append(target)
    for target in left_out:
        file = target.with_name("kustomization.yaml")
        if file.is_file():
            write(file, edit.without_item(read(file), "resources", target.name, copy.relative(file)))
    return files


def _own_places(checkout: Checkout, copy: Checkout, wanted: Request, files: list[Path]) -> None:
    """Give the copy hosts, a bucket and a warehouse of its own where those of the source do not contain its name.

    A bucket or a warehouse of a service inside the namespace is another one already.
    """
    name = wanted.name
    theirs, ours = (load(Platform, one.platform_file(env)) for one, env in ((checkout, wanted.source), (copy, name)))
    hosts = {host: _own_host(host, name) for host in _hosts(checkout, wanted.source) & _hosts(copy, name)}
    places: dict[str, dict[str, str]] = {"": hosts}
    if isinstance(theirs.storage, S3Storage) and isinstance(ours.storage, S3Storage):
        bucket = ours.storage.bucket
        if bucket == theirs.storage.bucket and _is_shared(theirs.storage.endpoint, ours.storage.endpoint):
            places[r"(?<![\w-])bucket: *[\"']?|s3://"] = {bucket: f"{bucket}-{name}"}
    if isinstance(theirs.catalog, RestCatalog) and isinstance(ours.catalog, RestCatalog):
        warehouse = ours.catalog.warehouse
        if warehouse == theirs.catalog.warehouse and _is_shared(theirs.catalog.uri, ours.catalog.uri):
            places[r"(?<![\w-])warehouse: *[\"']?"] = {warehouse: f"{warehouse}_{package(name)}"}
    for file in files:
        text = read(file)
        for before, values in places.items():
            text = renaming.replaced(text, values, before)
        write(file, text)


def _is_shared(theirs: object, ours: object) -> bool:
    """Whether two settings name the same service outside the namespace; a name without a dot is inside of it."""
    return theirs == ours and not (isinstance(ours, str) and "." not in ours)


def _own_host(host: str, name: str) -> str:
    first, dot, rest = host.partition(".")
    return f"{first}.{name}.{rest}" if "." in rest else f"{name}.{first}{dot}{rest}"


def _hosts(checkout: Checkout, environment: str) -> set[str]:
    """The hosts of an overlay's Ingresses, whichever chart or object makes them."""
    overlay = checkout.overlay(environment)
    found = set()
    for file in [*overlay.glob("objects/*.yaml"), *overlay.glob("values/*.yaml")]:
        for document in documents(file.read_bytes(), checkout.relative(file)):
            for node in every_mapping(document.value):
                if "ingressClassName" in node:
                    found |= set(_hosts_in(node))
    return found


def _hosts_in(node: dict[str, Any]) -> Iterator[str]:
    for inner in every_mapping(node):
        listed = inner.get("hosts")
        for host in (inner.get("host"), inner.get("hostname"), *(listed if isinstance(listed, list) else ())):
            host = text(host if isinstance(host, str) else mapping(host).get("host"))
            if "." in host:
                yield host


def _to_set(checkout: Checkout, copy: Checkout, wanted: Request, files: list[Path]) -> dict[str, tuple[str, ...]]:
    """Values that a person has to look at, with the places where they are set, as `file:line`."""
    hosts = _hosts(copy, wanted.name)
    source = {line for file in checkout.overlay(wanted.source).rglob("*.yaml") for line in read(file).splitlines()}
    places: dict[str, list[str]] = {}
    for file in sorted(file for file in files if file.suffix in (".yaml", ".yml")):
        for number, line in enumerate(read(file).splitlines(), 1):
            values = {host for host in hosts if renaming.replaced(line, {host: ""}) != line}
            same = f" (as in {wanted.source})" if line in source else ""
            values |= {f"{match['key']} {match['value']}{same}" for match in _PLACES.finditer(line)}
            if same:
                values |= {f"{match['value']}{same}" for match in _SHARED.finditer(line)}
            for value in values:
                places.setdefault(value, []).append(f"{copy.relative(file)}:{number}")
    return {value: tuple(lines) for value, lines in sorted(places.items(), key=lambda one: one[1])}


def _files_in(checkout: Checkout, folders: Sequence[str]) -> list[Path]:
    return [file for folder in folders for file in (checkout.root / folder).rglob("*") if file.is_file()]
