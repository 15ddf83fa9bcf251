"""Reads facts from the Go sources of k8s.io/api that no published schema contains."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_ENUM = re.compile(r"^// \+enum\n(?://.*\n)*type (\w+) string$", re.MULTILINE)
_CONSTANT = re.compile(r'^\s*(?:const )?\w+\s+(?:\w+\.)?(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'^\t\w+\s+(?:\[\]|\*)*(?:(\w+)\.)?(\w+)\s+`.*?json:"(\w+)', re.MULTILINE)
_IMPORT = re.compile(r'^\s*(?:import )?(\w+) "k8s\.io/api/(\w+)/(\w+)"', re.MULTILINE)
_PLAIN_IMPORT = re.compile(r'^\s*(?:import )?"k8s\.io/api/(\w+)/(\w+)"', re.MULTILINE)
_CLIENT = re.compile(r"^// \+genclient:nonNamespaced$(?:\n(?://.*)?)*\ntype (\w+) struct", re.MULTILINE)
_GROUP = re.compile(r'^const GroupName = "([^"]*)"', re.MULTILINE)
_STAGE = re.compile(
    r"func \(in \*(\w+)\) APILifecycle(Deprecated|Removed)\(\) \(major, minor int\) \{\s*return (\d+), (\d+)"
)
_REPLACEMENT = re.compile(
    r"func \(in \*(\w+)\) APILifecycleReplacement\(\) schema\.GroupVersionKind \{\s*return schema\.GroupVersionKind\{"
    r'Group: "([^"]*)", Version: "([^"]*)", Kind: "([^"]*)"'
)


@dataclass
class Api:
    """The facts about the types of one release."""

    enumerations: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """The allowed values of a field, by (name of the type, field)."""
    cluster_wide: set[tuple[str, str]] = field(default_factory=set)
    """(apiVersion, kind) of the kinds whose objects have no namespace."""
    lifecycle: dict[tuple[str, str], tuple[str | None, str | None, str | None]] = field(default_factory=dict)
    """(release that deprecates it, release that removes it, replacement), by (apiVersion, kind)."""


def read(files: Iterable[Path]) -> Api:
    """Read the facts from the files of k8s.io/api, each of which is in a folder GROUP/VERSION/."""
    packages: dict[tuple[str, str], dict[str, str]] = {}
    for file in files:
        if not file.name.endswith("_test.go"):
            package = packages.setdefault((file.parent.parent.name, file.parent.name), {})
            package[file.name] = file.read_text()
    api = Api()
    values = {place: _enumerated_values("\n".join(texts.values())) for place, texts in packages.items()}
    for place, texts in packages.items():
        group, version = place
        api_version = f"{_group_name(texts.values())}/{version}".lstrip("/")
        for text in texts.values():
            known_as = {name: (path, at) for name, path, at in _IMPORT.findall(text)}
            known_as |= {at: (path, at) for path, at in _PLAIN_IMPORT.findall(text)}
            for struct, body in _STRUCT.findall(text):
                for qualifier, kind, name in _FIELD.findall(body):
                    known = values.get(known_as.get(qualifier, ("", "")) if qualifier else place, {})
                    if kind in known:
                        api.enumerations[f"io.k8s.api.{group}.{version}.{struct}", name] = known[kind]
            api.cluster_wide |= {(api_version, kind) for kind in _CLIENT.findall(text)}
            _add_lifecycle(api, api_version, text)
    return api


def _enumerated_values(text: str) -> dict[str, list[str]]:
    names = set(_ENUM.findall(text))
    values: dict[str, list[str]] = {}
    for kind, value in _CONSTANT.findall(text):
        if kind in names:
            values.setdefault(kind, []).append(value)
    return {kind: sorted(set(constants)) for kind, constants in values.items()}


def _group_name(texts: Iterable[str]) -> str:
    return next((match[1] for text in texts if (match := _GROUP.search(text))), "")


def _add_lifecycle(api: Api, version: str, text: str) -> None:
    stages: dict[str, dict[str, str]] = {}
    for kind, stage, major, minor in _STAGE.findall(text):
        stages.setdefault(kind, {})[stage] = f"{major}.{minor}"
    replacements = {
        kind: f"{f'{group}/{at}'.lstrip('/')} {name}" for kind, group, at, name in _REPLACEMENT.findall(text)
    }
    for kind, stage in stages.items():
        if not kind.endswith("List"):
            api.lifecycle[version, kind] = (stage.get("Deprecated"), stage.get("Removed"), replacements.get(kind))
