"""Turn an overlay into values of floe's own charts: its environment.yaml, and the values of its upstream charts."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from floe import render
from floe.charts import environment as environment_file
from floe.charts.chart import GENERATOR
from floe.charts.packaged import UPSTREAM
from floe.errors import FloeError
from floe.kubernetes.objects import ENVIRONMENT, Object, mapping, mappings, objects, text
from floe.repo import Checkout
from floe.yaml import documents, load_file
from floe.yaml.commented import Comment, Comments, comments
from floe_runtime.contract import artifacts
from floe_runtime.contract.refs import Ref

Values = dict[str, Any]
Step = tuple[str | int, ...]

ARTIFACTS = "floe-compiled-artifacts"
OR_WITHOUT_HELM = "If nobody installs this environment with Helm, set spec.helm: false in its objects/environment.yaml."
"""The way out of any difference between kustomize and Helm: the end of the hint of an error."""
_HASHED = r"-[a-z0-9]{10}$"
_ENDS_IN_HASH = re.compile(rf"^{ARTIFACTS}{_HASHED}")
_PROXY_SETTINGS = re.compile(rf"^auth-proxy{_HASHED}")
_PLACES: dict[Step, Step] = {
    ("spec", "quota"): ("floe", "namespace", "quota"),
    ("spec", "egress"): ("floe", "egress"),
    ("spec", "login"): ("floe", "authProxy"),
}
"""Where the charts' values have what environment.yaml sets, for its comments."""
_TOP = {
    "resources": ["objects"],
    "generators": ["values"],
    "transformers": ["../../base/hardening", "../../base/stamp"],
}
"""The kustomization of an overlay. Anything more, such as patches of what a chart renders, has no place in a chart."""
_OWN: dict[str, Values] = {
    "dagster": {},
    "cube": {"enabled": True, "fullnameOverride": "cube"},
    "cubestore": {"enabled": True, "fullnameOverride": "cubestore"},
}
"""Values that no overlay sets. In an overlay each upstream chart is a release whose name its objects have; in floe's
charts they share one release, so their names must be set."""
_OWN_COMMENTS = {"fullnameOverride": "the same for every release name, since other objects use it"}


@dataclass
class Environment:
    """An overlay as floe's charts need it: by chart its values and their comments, and the objects that it renders."""

    name: str
    objects: list[Object]
    values: dict[str, Values] = field(default_factory=dict)
    comments: dict[str, Comments] = field(default_factory=dict)


def environment(checkout: Checkout, name: str) -> Environment:
    """Read an overlay. Raises FloeError if kustomize cannot build it, or if it sets what floe's charts cannot."""
    settings = environment_file.as_written(environment_file.read(checkout, name))
    own = list(objects(documents(render.build(checkout, checkout.overlay(name) / "objects"), name), name))
    inline = _inline_values(checkout, name, own)
    overlay = Environment(name, own)
    upstream_comments = _upstream_comments(checkout, name)
    for chart, upstream in UPSTREAM.items():
        values: Values = {
            "floe": _floe_values(checkout, chart, name, settings, own, [inline[release] for release in upstream])
        }
        notes: dict[Step, Comment] = dict(_environment_comments(checkout, name))
        for release in upstream:
            values[release] = _OWN[release] | _without_hash(inline[release])
            notes |= {(release, *path): comment for path, comment in upstream_comments[release].items()}
            notes |= {
                (release, key): Comment(beside=_OWN_COMMENTS[key]) for key in _OWN[release] if key in _OWN_COMMENTS
            }
        overlay.values[chart], overlay.comments[chart] = values, notes
    return overlay


def _inline_values(checkout: Checkout, environment: str, own: list[Object]) -> dict[str, Values]:
    """The values of each upstream chart. Raises FloeError if the overlay sets more than a release of Helm can have."""
    top = load_file(checkout.overlay(environment) / "kustomization.yaml")
    _refuse_keys(
        _different_keys(_TOP, top), f"overlays/{environment}/kustomization.yaml", "Move it to objects/ or values/."
    )
    namespace = {"namespace": next((item.name for item in own if item.kind == "Namespace"), "")}
    files = (load_file(file) for file in sorted((checkout.root / "base" / "charts").glob("*.yaml")))
    base = {
        resource["metadata"]["name"]: resource | namespace for resource in files if resource.get("kind") == GENERATOR
    }
    generators = {resource["metadata"]["name"]: resource for resource in render.chart_generators(checkout, environment)}
    for name in sorted(base.keys() | generators.keys()):
        other = _different_keys(base.get(name, {}), generators.get(name, {})) - {"version", "valuesInline"}
        where = f"overlays/{environment}/values (chart {name})"
        _refuse_keys(other, where, "Set only values, the version, and the namespace that objects/namespace.yaml names.")
    return {name: resource.get("valuesInline") or {} for name, resource in generators.items()}


def _different_keys(base: Values, overlay: Values) -> set[str]:
    """The keys whose values differ, except for those of any resource."""
    keys = (base.keys() | overlay.keys()) - {"apiVersion", "kind", "metadata"}
    return {key for key in keys if base.get(key) != overlay.get(key)}


def _refuse_keys(keys: set[str], where: str, hint: str) -> None:
    if keys:
        raise FloeError(
            f"{where} sets what floe's charts cannot have: {', '.join(sorted(keys))}", f"{hint} {OR_WITHOUT_HELM}"
        )


def _without_hash(value: Any) -> Any:
    """Values without the hash in the name of the compiled artifacts, since the chart's templates add it."""
    if isinstance(value, dict):
        return {key: _without_hash(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_hash(part) for part in value]
    return ARTIFACTS if isinstance(value, str) and _ENDS_IN_HASH.match(value) else value


def _floe_values(
    checkout: Checkout, chart: str, environment: str, settings: Values, own: list[Object], upstream: list[Values]
) -> Values:
    policies = {"floe-dagster": ("dagster",), "floe-cube": ("cube", "cubestore")}[chart]
    objects = [item.value for item in own] if chart == "floe-dagster" else []
    values: Values = {
        "environment": environment,
        "secrets": _secrets_with_keys(checkout, environment, [*upstream, *objects]),
        "namespace": {"quota": settings.get("quota", {})},
        "egress": {name: settings["egress"][name] for name in policies},
    }
    if chart == "floe-dagster":
        values["compiledArtifacts"] = {"value": checkout.artifacts_file(environment).read_text()}
        if login := settings.get("login"):
            values["authProxy"] = _login_values(login, own)
            keys = [f"OAUTH2_PROXY_{key}" for key in ("CLIENT_ID", "CLIENT_SECRET", "COOKIE_SECRET")]
            values["secrets"] = dict(sorted((values["secrets"] | {login["secret"]: keys}).items()))
    return values


def _login_values(login: Values, own: list[Object]) -> Values:
    """The values of the login: environment.yaml's, and oauth2-proxy's image and settings as kustomize patched them."""
    values = {
        "enabled": True,
        "existingSecret": login["secret"],
        "host": login["host"],
        "ingressClassName": login["ingressClassName"],
        "tls": login.get("tls", []),
    }
    for item in own:
        if (item.kind, item.name) == ("Deployment", "auth-proxy"):
            images = [text(node["image"]) for node in every_mapping(item.value) if "image" in node]
            repository, _, tag = images[0].partition(":") if images else ("", "", "")
            values["image"] = {"repository": repository, "tag": tag}
        elif item.kind == "ConfigMap" and _PROXY_SETTINGS.match(item.name):
            data = mapping(item.value.get("data"))
            values["settings"] = {key: value for key, value in data.items() if key != "OAUTH2_PROXY_UPSTREAMS"}
    return values


def _secrets_with_keys(checkout: Checkout, environment: str, nodes: Iterable[Any]) -> dict[str, list[str]]:
    """The Secrets, with their keys, that the charts' values or objects refer to.

    platform.yaml has the keys of a Secret that is read as a whole.
    """
    named: dict[str, set[str]] = {}
    for ref in artifacts.read(checkout.artifacts_file(environment)).platform.refs():
        if isinstance(ref, Ref) and ref.secret:
            named.setdefault(ref.secret, set()).add(ref.key or ref.env)
    keys: dict[str, set[str]] = {}
    for node in (inner for outer in nodes for inner in every_mapping(outer)):
        for name in (text(secret.get("name")) for secret in mappings(node.get("envSecrets"))):
            keys.setdefault(name, set()).update(named.get(name, ()))
        if name := text(node.get("postgresqlSecretName")):
            keys.setdefault(name, set()).add("postgresql-password")
        for key, value in node.items():
            name, item = text(mapping(value).get("name")), text(mapping(value).get("key"))
            if name and item and (key == "secretKeyRef" or str(key).endswith("FromSecret")):
                keys.setdefault(name, set()).add(item)
    return {name: sorted(of_secret) for name, of_secret in sorted(keys.items())}


def every_mapping(node: Any) -> Iterator[Values]:
    """Yield the mappings in a value, at any depth; first itself if it is one."""
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from every_mapping(part)


def _environment_comments(checkout: Checkout, environment: str) -> dict[Step, Comment]:
    """The comments in environment.yaml, by the path of the value that each belongs to."""
    return {
        (*to, *path[len(place) :]): comment
        for path, comment in comments((checkout.overlay(environment) / environment_file.FILE).read_text()).items()
        for place, to in _PLACES.items()
        if path[: len(place)] == place and len(path) > len(place)
    }


def _upstream_comments(checkout: Checkout, environment: str) -> dict[str, dict[Step, Comment]]:
    """The comments on each upstream chart's values, from base/charts, components and the overlay; the last one wins."""
    charts = {name: checkout.root / "base" / "charts" / f"{name}.yaml" for names in UPSTREAM.values() for name in names}
    by_chart = {name: _comments_below_inline(comments(file.read_text())) for name, file in charts.items()}
    for target, patch in _patches(checkout.overlay(environment) / "values"):
        try:
            content, notes = yaml.safe_load(patch), comments(patch)
            target = target or text(mapping(mapping(content).get("metadata")).get("name")) or ".*"
            targets = [name for name in by_chart if re.fullmatch(target, name)]
        except (yaml.YAMLError, re.error):
            continue  # kustomize understands more than is needed for comments
        for name in targets:
            by_chart[name] |= (
                _comments_of_operations(content, notes) if isinstance(content, list) else _comments_below_inline(notes)
            )
    return by_chart


def _patches(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (name of the target, text) of each patch of a kustomization and its components; the name may be empty."""
    kustomization = load_file(folder / "kustomization.yaml")
    for component in kustomization.get("components") or ():
        yield from _patches((folder / component).resolve())
    for patch in kustomization.get("patches") or ():
        content = patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text()
        yield text(mapping(patch.get("target")).get("name")), content


def _comments_below_inline(notes: Comments) -> dict[Step, Comment]:
    return {path[1:]: comment for path, comment in notes.items() if path[:1] == ("valuesInline",) and len(path) > 1}


def _comments_of_operations(operations: list[Values], notes: Comments) -> dict[Step, Comment]:
    """Comments on the values of JSON 6902 operations, by the paths that the operations write to."""
    moved: dict[Step, Comment] = {}
    for number, operation in enumerate(operations):
        at: Step = tuple(operation["path"].strip("/").split("/"))
        value = operation.get("value")
        if at[-1] == "-":
            at = (*at[:-1], value["name"] if isinstance(value, dict) and "name" in value else "-")
        for path, comment in notes.items():
            if path[:2] == (number, "value"):
                moved[(*at, *path[2:])] = comment
    return _comments_below_inline(moved)


def shared(parts: list[Values]) -> Values:
    """The values that are equal in all `parts`. A list counts as a single value."""
    first, *others = parts
    common: Values = {}
    for key, value in first.items():
        if not all(key in part for part in others):
            continue
        if all(isinstance(part[key], dict) for part in parts):
            if below := shared([part[key] for part in parts]):
                common[key] = below
            elif not any(part[key] for part in parts):
                common[key] = {}
        elif all(part[key] == value for part in others):
            common[key] = copy.deepcopy(value)
    return common


def beyond(values: Values, base: Values) -> Values:
    """The part of `values` that `base` lacks or has differently."""
    difference: Values = {}
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            if below := beyond(value, base[key]):
                difference[key] = below
        elif key not in base or base[key] != value:
            difference[key] = value
    return difference


def merged(base: Values, values: Values) -> Values:
    """`values` merged over `base`, as Helm merges them."""
    both = dict(base)
    for key, value in values.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def stamped(item: Object, environment: str) -> Values:
    """A copy of an object as base/stamp leaves it, except for the namespace, which is that of the release."""
    value = copy.deepcopy(item.value)
    value["metadata"].pop("namespace", None)
    value["metadata"]["annotations"] = mapping(value["metadata"].get("annotations")) | {ENVIRONMENT: environment}
    return value
