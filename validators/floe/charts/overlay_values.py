"""Turn an overlay into values of floe's own charts: the upstream charts' values, and floe's part from its objects."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from floe import render
from floe.charts.packaged import UPSTREAM
from floe.kubernetes.objects import ENVIRONMENT, Object, objects
from floe.repo import Checkout
from floe.yaml import documents, load_file
from floe.yaml.commented import Comment, Comments, comments
from floe_runtime.contract import artifacts
from floe_runtime.contract.settings import Ref

Values = dict[str, Any]
Step = tuple[str | int, ...]

ARTIFACTS = "floe-compiled-artifacts"
_ENDS_IN_HASH = re.compile(rf"^{ARTIFACTS}-[a-z0-9]{{10}}$")
_PORT = re.compile(r"port: (\d+)\}\}? *# *(.+)$", re.MULTILINE)
_OWN: dict[str, Values] = {
    "dagster": {},
    "cube": {"enabled": True, "fullnameOverride": "cube"},
    "cubestore": {"enabled": True, "fullnameOverride": "cubestore"},
}
"""Values that no overlay sets. In an overlay each upstream chart is a release whose name its objects have; in floe's
charts they share one release, so their names must be set."""
_OWN_COMMENTS = {"fullnameOverride": "the same for every release name, since other objects use it"}

Identity = tuple[str, str]
"""Kind and name of an object; the name of a ConfigMap is without kustomize's hash."""

TEMPLATES: frozenset[Identity] = frozenset(
    {
        ("Namespace", ""),
        ("ConfigMap", ARTIFACTS),
        ("ConfigMap", "auth-proxy"),
        ("Deployment", "auth-proxy"),
        ("Service", "auth-proxy"),
        ("Ingress", "dagster"),
        ("ResourceQuota", "floe"),
        *(
            ("PodDisruptionBudget", name)
            for name in ("auth-proxy", "cube-api", "cubestore-workers", "runs", "webserver")
        ),
        *(
            ("NetworkPolicy", name)
            for name in (
                *("auth-proxy", "code-locations", "cube", "cubestore"),
                *("dagster", "default-deny", "dns", "webserver"),
            )
        ),
    }
)
"""The objects of overlays for which the charts have templates. All others are copied into the charts unchanged."""


@dataclass
class Environment:
    """An overlay as floe's charts need it: by chart its values, their comments, and objects without a template."""

    name: str
    values: dict[str, Values] = field(default_factory=dict)
    comments: dict[str, Comments] = field(default_factory=dict)
    objects: dict[str, list[Object]] = field(default_factory=dict)


def environment(checkout: Checkout, name: str) -> Environment:
    """Read an overlay. Raises FloeError if kustomize cannot build it."""
    found = Environment(name)
    inline = {one["name"]: one["valuesInline"] for one in render.chart_generators(checkout, name)}
    own = list(objects(documents(render.build(checkout, checkout.overlay(name) / "objects"), name), name))
    said = _said(checkout, name)
    for chart, upstream in UPSTREAM.items():
        values: Values = {"floe": _floe(checkout, chart, name, own, {one: inline[one] for one in upstream})}
        about: dict[Step, Comment] = dict(_ports_said(checkout, name, chart))
        for one in upstream:
            values[one] = _OWN[one] | _without_hash(inline[one])
            about |= {(one, *path): comment for path, comment in said[one].items()}
            about |= {(one, key): Comment(beside=_OWN_COMMENTS[key]) for key in _OWN[one] if key in _OWN_COMMENTS}
        found.values[chart], found.comments[chart] = values, about
        found.objects[chart] = [one for one in own if _identity(one) not in TEMPLATES and _chart_of(one) == chart]
    return found


def _identity(one: Object) -> Identity:
    if one.kind == "Namespace":
        return one.kind, ""
    return one.kind, re.sub(r"-[a-z0-9]{10}$", "", one.name) if one.kind == "ConfigMap" else one.name


def _chart_of(one: Object) -> str:
    return "floe-cube" if one.name.startswith("cube") else "floe-dagster"


def _without_hash(value: Any) -> Any:
    """Values without the hash in the name of the compiled artifacts, since the chart's templates add it."""
    if isinstance(value, dict):
        return {key: _without_hash(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_hash(part) for part in value]
    return ARTIFACTS if isinstance(value, str) and _ENDS_IN_HASH.match(value) else value


def _floe(checkout: Checkout, chart: str, environment: str, own: list[Object], upstream: dict[str, Values]) -> Values:
    by_name = {_identity(one): one.value for one in own}
    policies = {"floe-dagster": ("dagster",), "floe-cube": ("cube", "cubestore")}[chart]
    values: Values = {
        "environment": environment,
        "secrets": _secrets(checkout, environment, upstream),
        "namespace": {"quota": by_name["ResourceQuota", "floe"]["spec"]["hard"]},
        "egress": {
            name: [port["port"] for port in by_name["NetworkPolicy", name]["spec"]["egress"][-1]["ports"]]
            for name in policies
        },
    }
    if chart == "floe-dagster":
        values["compiledArtifacts"] = {"value": checkout.artifacts_file(environment).read_text()}
        if ("Deployment", "auth-proxy") in by_name:
            values["authProxy"] = _auth_proxy(by_name)
            values["secrets"][values["authProxy"]["existingSecret"]] = [
                f"OAUTH2_PROXY_{key}" for key in ("CLIENT_ID", "CLIENT_SECRET", "COOKIE_SECRET")
            ]
        values["secrets"] = dict(sorted((values["secrets"] | _read_by_carried(own)).items()))
    return values


def _auth_proxy(by_name: dict[Identity, Values]) -> Values:
    (container,) = by_name["Deployment", "auth-proxy"]["spec"]["template"]["spec"]["containers"]
    repository, _, tag = container["image"].partition(":")
    ingress = by_name["Ingress", "dagster"]["spec"]
    (secret,) = [one["secretRef"]["name"] for one in container["envFrom"] if "secretRef" in one]
    settings = by_name["ConfigMap", "auth-proxy"]["data"]
    return {
        "enabled": True,
        "image": {"repository": repository, "tag": tag},
        "existingSecret": secret,
        "host": ingress["rules"][0]["host"],
        "ingressClassName": ingress["ingressClassName"],
        "tlsSecret": ingress["tls"][0]["secretName"],
        "settings": {key: value for key, value in settings.items() if key != "OAUTH2_PROXY_UPSTREAMS"},
    }


def _secrets(checkout: Checkout, environment: str, values: dict[str, Values]) -> dict[str, list[str]]:
    """The Secrets that values refer to, with their keys; platform.yaml has the keys of one that is read as a whole."""
    platform = artifacts.read(checkout.artifacts_file(environment)).platform
    keys: dict[str, set[str]] = {}
    named: dict[str, set[str]] = {}
    for ref in platform.refs():
        if isinstance(ref, Ref) and ref.secret:
            named.setdefault(ref.secret, set()).add(ref.key or ref.env)
    for node in _mappings(values):
        for key, value in node.items():
            if key == "envSecrets":
                for one in value:
                    keys.setdefault(one["name"], set()).update(named.get(one["name"], ()))
            elif (key == "secretKeyRef" or key.endswith("FromSecret")) and isinstance(value, dict):
                keys.setdefault(value["name"], set()).add(value["key"])
            elif key == "postgresqlSecretName":
                keys.setdefault(value, set()).add("postgresql-password")
    return {name: sorted(found) for name, found in sorted(keys.items())}


def _read_by_carried(own: list[Object]) -> dict[str, list[str]]:
    """The Secrets, with their keys, that objects without a template refer to."""
    keys: dict[str, set[str]] = {}
    for one in own:
        if _identity(one) not in TEMPLATES:
            for node in _mappings(one.value):
                if isinstance(ref := node.get("secretKeyRef"), dict):
                    keys.setdefault(ref["name"], set()).add(ref["key"])
    return {name: sorted(found) for name, found in sorted(keys.items())}


def _mappings(node: Any) -> Iterator[Values]:
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _mappings(part)


def _ports_said(checkout: Checkout, environment: str, chart: str) -> dict[Step, Comment]:
    """The comments in base/platform and the overlay on the ports of network policies."""
    patches = load_file(checkout.overlay(environment) / "objects" / "kustomization.yaml").get("patches") or []
    about: dict[Step, Comment] = {}
    for name in ("dagster",) if chart == "floe-dagster" else ("cube", "cubestore"):
        texts = [(checkout.root / "base" / "platform" / f"networkpolicy-{name}.yaml").read_text()]
        texts += [one["patch"] for one in patches if one["target"] == {"kind": "NetworkPolicy", "name": name}]
        for port, text in (found for one in texts for found in _PORT.findall(one)):
            about["floe", "egress", name, int(port)] = Comment(beside=text)
    return about


def _said(checkout: Checkout, environment: str) -> dict[str, dict[Step, Comment]]:
    """The comments on each upstream chart's values, from base/charts, components and the overlay; the last one wins."""
    names = [name for upstream in UPSTREAM.values() for name in upstream]
    said: dict[str, dict[Step, Comment]] = {name: {} for name in names}
    for name in names:
        said[name] |= _inline(comments((checkout.root / "base" / "charts" / f"{name}.yaml").read_text()))
    for target, text in _patches(checkout.overlay(environment) / "values"):
        content = yaml.safe_load(text)
        if isinstance(content, dict):
            said[content["metadata"]["name"]] |= _inline(comments(text))
        else:
            for name in names if target is None else [target]:
                said[name] |= _of_operations(content, comments(text))
    return said


def _patches(folder: Path) -> Iterator[tuple[str | None, str]]:
    """Yield (name of the target or None, text) of each patch of a kustomization and its components."""
    kustomization = load_file(folder / "kustomization.yaml")
    for component in kustomization.get("components") or ():
        yield from _patches((folder / component).resolve())
    for patch in kustomization.get("patches") or ():
        text = patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text()
        yield (patch.get("target") or {}).get("name"), text


def _inline(found: Comments) -> dict[Step, Comment]:
    return {path[1:]: comment for path, comment in found.items() if path[:1] == ("valuesInline",) and len(path) > 1}


def _of_operations(operations: list[Values], found: Comments) -> dict[Step, Comment]:
    """Comments on the values of JSON 6902 operations, by the paths that the operations write to."""
    about: dict[Step, Comment] = {}
    for number, operation in enumerate(operations):
        at: Step = tuple(operation["path"].strip("/").split("/"))
        value = operation.get("value")
        if at[-1] == "-":
            at = (*at[:-1], value["name"] if isinstance(value, dict) and "name" in value else "-")
        for path, comment in found.items():
            if path[:2] == (number, "value"):
                about[(*at, *path[2:])] = comment
    return _inline(about)


def shared(parts: list[Values]) -> Values:
    """The values that are equal in all `parts`. A list counts as a single value."""
    first, *others = parts
    found: Values = {}
    for key, value in first.items():
        if not all(key in one for one in others):
            continue
        if all(isinstance(one[key], dict) for one in parts):
            if below := shared([one[key] for one in parts]):
                found[key] = below
            elif not any(one[key] for one in parts):
                found[key] = {}
        elif all(one[key] == value for one in others):
            found[key] = copy.deepcopy(value)
    return found


def beyond(values: Values, base: Values) -> Values:
    """The part of `values` that `base` lacks or has differently."""
    found: Values = {}
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            if below := beyond(value, base[key]):
                found[key] = below
        elif key not in base or base[key] != value:
            found[key] = value
    return found


def merged(base: Values, values: Values) -> Values:
    """`values` merged over `base`, as Helm merges them."""
    both = dict(base)
    for key, value in values.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def stamped(one: Object, environment: str) -> Values:
    """A copy of an object with the annotation that names its environment."""
    value = copy.deepcopy(one.value)
    value["metadata"].setdefault("annotations", {})[ENVIRONMENT] = environment
    return value
