"""Secrets in Git, encrypted by SOPS with an age key that is kept outside of Git."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyrage import IdentityError
from pyrage.x25519 import Identity

from floe import console
from floe.charts import packaged
from floe.contract.files import load
from floe.errors import FloeError
from floe.kubernetes.objects import mappings, text
from floe.repo import Checkout
from floe.yaml import load_file
from floe_runtime.contract.platform import Platform

_RECIPIENT = re.compile(r"age1[0-9a-z]{58}")
_PRIVATE = "AGE-SECRET-KEY-"
_RULES = "creation_rules:\n"
_HEAD = f"""\
# Which files SOPS encrypts with which key. `floe secrets init` adds one rule per environment.
{_RULES}"""


@dataclass(frozen=True)
class Prepared:
    """The result of `init`: what is needed to keep an environment's Secrets in Git."""

    checkout: Checkout
    environment: str
    key: Path
    recipient: str
    namespace: str
    wanted: dict[str, list[str]]
    """Keys of each Secret that platform.yaml names; an empty list if neither platform.yaml nor charts/ names them."""
    written: tuple[Path, ...]
    """The files that were written; empty if all of them existed."""

    @property
    def folder(self) -> Path:
        """The overlay's folder of encrypted Secrets."""
        return self.checkout.overlay(self.environment) / "secrets"


def init(checkout: Checkout, environment: str, key: Path | None = None) -> Prepared:
    """Create an environment's age key, its SOPS rule and its folder of Secrets. Whatever exists is not changed.

    `key`: the file of the key. Raises FloeError if it is inside a Git repository, if it does not match the recipient
    in .sops.yaml, or if it is missing although .sops.yaml has a recipient.
    """
    overlay = checkout.overlay(environment)
    place = (key or _default_key(environment)).expanduser().absolute()
    if around := _repository_around(place):
        raise FloeError(
            f"{place} is inside the Git repository {around}",
            "Choose a file outside of any Git repository: --key FILE.",
        )
    known = _known_recipients(checkout, environment)
    namespace = load_file(overlay / "objects" / "namespace.yaml")["metadata"]["name"]
    wanted = _keys_of_secrets(checkout, environment)
    written = []
    if not place.is_file():
        if known:
            raise FloeError(
                f".sops.yaml has the recipient {known[0]} for {environment}, but its key is not at {place}",
                "Put the key there, or name its file with --key. If the key is lost, remove the rule from .sops.yaml, "
                "run this again and create the Secrets again.",
            )
        written.append(_make_key(place))
    recipient = _public_key(place)
    if known and recipient not in known:
        raise FloeError(
            f"the key at {place} is not the one that .sops.yaml names for {environment}",
            f"Name the file with the key of {known[0]}: --key FILE.",
        )
    config = checkout.root / ".sops.yaml"
    for file, content in {
        config: None if known else _with_rule(config, environment, recipient),
        overlay / "secrets" / "kustomization.yaml": _KUSTOMIZATION.format(environment=environment),
        overlay / "secrets" / "namespace.yaml": _NAMESPACE.format(environment=environment, namespace=namespace),
    }.items():
        if content is not None and (file == config or not file.exists()):
            console.write(file, content)
            written.append(file)
    return Prepared(checkout, environment, place, recipient, namespace, wanted, tuple(written))


def _keys_of_secrets(checkout: Checkout, environment: str) -> dict[str, list[str]]:
    """The keys of each Secret that an environment needs, from its platform.yaml and the values of floe's charts."""
    platform = load(Platform, checkout.platform_file(environment))
    keys: dict[str, list[str]] = {name: [] for name in sorted(platform.secret_names())}
    for ref in platform.refs():
        if ref.secret:
            keys[ref.secret].append(ref.key or ref.env)
    for chart in packaged.UPSTREAM:
        for name in ("values.yaml", f"values-{environment}.yaml"):
            file = packaged.folder(checkout, chart) / name
            listed = load_file(file)["floe"].get("secrets", {}) if file.is_file() else {}
            keys |= {secret: names for secret, names in listed.items() if secret in keys}
    return keys


def _default_key(environment: str) -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "floe" / f"{environment}.agekey"


def _repository_around(path: Path) -> Path | None:
    """The Git repository that contains a path, with symbolic links resolved; None if there is none."""
    return next((folder for folder in path.resolve().parents if (folder / ".git").exists()), None)


def _known_recipients(checkout: Checkout, environment: str) -> list[str]:
    """The recipients that .sops.yaml has for an environment."""
    config = checkout.root / ".sops.yaml"
    if not config.is_file():
        return []
    rules = mappings(load_file(config).get("creation_rules"))
    return [
        recipient
        for rule in rules
        if text(rule.get("path_regex")) == _path_pattern(environment)
        for recipient in _recipients(rule)
    ]


def _recipients(rule: dict[str, object]) -> list[str]:
    recipients = rule.get("age")
    return _RECIPIENT.findall(" ".join(map(str, recipients)) if isinstance(recipients, list) else text(recipients))


def _path_pattern(environment: str) -> str:
    return rf"^overlays/{re.escape(environment)}/secrets/.+\.yaml$"


def _with_rule(config: Path, environment: str, recipient: str) -> str:
    """The text of .sops.yaml with a rule added before the others, since SOPS uses the first rule that matches."""
    before = config.read_text() if config.is_file() else _HEAD
    if _RULES not in before:
        raise FloeError(
            f"{config.name} has no line {_RULES.strip()!r} to add a rule below",
            f"Write the rules in block style, below a line {_RULES.strip()!r}.",
        )
    rule = (
        f"  - path_regex: {_path_pattern(environment)}\n"
        "    encrypted_regex: ^(data|stringData)$\n"
        "    mac_only_encrypted: true # kustomize may add labels to what is encrypted\n"
        f"    age: {recipient}\n"
    )
    return before.replace(_RULES, _RULES + rule, 1)


def _make_key(place: Path) -> Path:
    """Write a new key that only its owner can read, as `age-keygen -o` does. It never overwrites a file."""
    key = Identity.generate()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise FloeError(f"cannot write {place}: {error.strerror}", "Choose another file: --key FILE.") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(f"# created: {now}\n# public key: {key.to_public()}\n{key}\n")
    return place


def _public_key(place: Path) -> str:
    """The public key of the first key in a file. The error does not quote the file, since it may hold a secret."""
    try:
        lines = place.read_text().splitlines()
        key = next(line for line in lines if line.startswith(_PRIVATE))
        return str(Identity.from_str(key.strip()).to_public())
    except (OSError, UnicodeDecodeError, StopIteration, IdentityError):
        raise FloeError(f"{place} holds no readable age key", "Name the file with the key: --key FILE.") from None


def show(prepared: Prepared) -> None:
    """Print what was written, and the steps that the user has to do next."""
    out, root = console.out(), prepared.checkout.root
    for file in prepared.written:
        out.print(f"[green]✓[/] written: {file.relative_to(root) if file.is_relative_to(root) else file}")
    if not prepared.written:
        out.print("[green]✓[/] nothing to write: key, rule and folder exist already")
    folder = prepared.folder.relative_to(root)
    out.print(f"key        {prepared.key}", markup=False)
    out.print(f"recipient  {prepared.recipient}", markup=False)
    known = sorted((len(keys), name, keys[0]) for name, keys in prepared.wanted.items() if keys)
    _, example, first = known[0] if known else (0, "NAME", "KEY")
    wanted = "\n".join(f"     {name}: {', '.join(keys)}".rstrip(": ") for name, keys in prepared.wanted.items())
    out.print(
        f"""
Keep the key where you keep passwords: whoever has it can read the Secrets, and without it nobody can.

1. Create each of these Secrets, with the keys listed after its name. It is encrypted before it is written to disk:
{wanted}
   read -rs value
   kubectl create secret generic {example} --namespace {prepared.namespace} --from-file={first}=<(printf %s "$value") \\
     --dry-run=client --output=yaml | sops encrypt --filename-override {folder}/{example}.yaml > {folder}/{example}.yaml
   Repeat this for each Secret, with one --from-file per key. Use printf: echo would add a line break to the value.
   sops must be on PATH, or the file stays empty: run `floe tools --get sops`. For a certificate, use
   `kubectl create secret tls`. Then add a line for the file under `resources` in {folder}/kustomization.yaml.
2. Put the key into the cluster, once:
   kubectl create secret generic sops-age --namespace flux-system --from-file={prepared.key}
3. Commit {folder} and .sops.yaml. docs/11-gitops.md describes the rest, also for Argo CD.""",
        markup=False,
    )


_KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
# Secrets, encrypted with SOPS; see `floe secrets init --help`. Flux applies this folder first. It is separate so that
# everything else renders without a key. If it holds no Secret, create those that platform.yaml names in another way.
resources:
  - namespace.yaml
"""
_NAMESPACE = """\
# Creates the namespace for the Secrets if it does not exist yet. Afterwards ../objects/namespace.yaml manages it.
apiVersion: v1
kind: Namespace
metadata:
  name: {namespace}
  annotations:
    floe-runtime.io/environment: {environment}
    kustomize.toolkit.fluxcd.io/ssa: IfNotPresent
    kustomize.toolkit.fluxcd.io/prune: disabled
"""
