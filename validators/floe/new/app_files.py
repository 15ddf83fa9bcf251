"""The files of an app under another name: package, dbt project, code location, namespaces, and the names in Cube."""

from __future__ import annotations

import re
from typing import Any

from floe.kubernetes.objects import mapping, mappings
from floe.new import renaming
from floe.yaml import documents, edit
from floe_runtime.contract.app import Pipeline, SemanticLayer, package

_NAMESPACES = ("raw_namespace", "marts_namespace")


def renamed(contents: dict[str, bytes], old: str, new: str) -> dict[str, bytes]:
    """The files of the app `old`, by their path in its folder, as those of the app `new`.

    What does not contain the old name gets the new one as a prefix: the namespaces, and the names of cubes and views.
    Raises FloeError for YAML that cannot be read.
    """
    before, binary = {}, {}
    for path, content in contents.items():
        try:
            before[path] = content.decode()
        except UnicodeDecodeError:
            binary[_path(path, old, new)] = content
    texts = {_path(path, old, new): _with_name(path, text, old, new) for path, text in before.items()}
    theirs, ours = _settings(before), _settings(texts)
    project = f"{theirs['dbt']}/dbt_project.yml"
    for key in _NAMESPACES:
        if theirs[key] != ours[key]:
            continue
        ours[key] = f"{package(new)}_{ours[key]}"
        texts["floe.yaml"] = _with_setting(texts["floe.yaml"], key, ours[key])
        if project in texts and key in mapping(_mapping(texts[project], project).get("vars")):
            texts[project] = edit.replace(texts[project], {f"vars.{key}": ours[key]}, project)
    model = theirs["model"]
    same = {cube: f"{package(new)}_{cube}" for cube in _cubes(before, model) & _cubes(texts, model)}
    marts = re.compile(rf"(?<={{namespace}}', '){re.escape(theirs['marts_namespace'])}(?=')")
    texts["floe.yaml"] = _with_cubes("floe.yaml", texts["floe.yaml"], same)
    for path in [path for path in texts if _is_model(path, model)]:
        texts[path] = _with_cubes(path, marts.sub(ours["marts_namespace"], texts[path]), same)
    for path in [path for path in texts if _is_model(path, theirs["dbt"]) and "cube: " in texts[path]]:
        texts[path] = _with_cubes(path, texts[path], same)
    return binary | {path: text.encode() for path, text in texts.items()}


def _settings(files: dict[str, str]) -> dict[str, str]:
    """The folders and namespaces that floe.yaml names, or their defaults."""
    content = _mapping(files["floe.yaml"], "floe.yaml")
    given = mapping(content.get("pipeline")) | mapping(content.get("semantic_layer"))
    fields = {**Pipeline.model_fields, **SemanticLayer.model_fields}
    return {
        key: str(given.get(key, fields[key].default)) for key in ("dbt", "raw_namespace", "marts_namespace", "model")
    }


def _with_setting(text: str, key: str, value: str) -> str:
    """floe.yaml with another setting of the pipeline, which is added if the file leaves it to its default."""
    if key in mapping(_mapping(text, "floe.yaml").get("pipeline")):
        return edit.replace(text, {f"pipeline.{key}": value}, "floe.yaml")
    return re.sub(r"(?m)^(pipeline:[^\n]*?)(\r?\n)( +)", rf"\1\2\3{key}: {value}\2\3", text, count=1)


def _path(path: str, old: str, new: str) -> str:
    return renaming.renamed(path, package(old), package(new), kept=())


def _with_name(path: str, text: str, old: str, new: str) -> str:
    """A file's text with the new name: as a Python name in dbt, Cube and Python, otherwise as that of the folder."""
    module = package(new)
    if path.startswith(("dbt/", "cube/")) or path.endswith(".py"):
        return renaming.renamed(renaming.renamed(text, old, module, kept=()), package(old), module, kept=())
    text = re.sub(rf"(?<![\w.-]){package(old)}(?=\.\w)", module, text)
    return renaming.renamed(text, old, new, kept=())


_CUBES = ("cubes", "views")
_IN_SQL = r"(?<=\{{)(?P<name>{})(?=[.}}])"
_IN_PATH = r"(?<![\w-])(?P<name>{})(?![\w-])"
_FIRST = r"(?:\A|(?<=\A[\"']))(?P<name>{})(?=[\"']?\Z|\.)"
_PLACES = {
    r".*\.(?:sql\w*|\w+_sql)": _IN_SQL,
    r"(?:cubes|views)\[[^]]*\]\.(?:name|extends)": _FIRST,
    r".*\.joins\[[^]]*\]\.name": _FIRST,
    r".*\.join_path": _IN_PATH,
    r".*\.pre_aggregations\[.*\]\.(?!name)\w+(?:\[\d+\])?": _FIRST,
    r"semantic_layer\.example\..*": _FIRST,
    r"(?:metrics|exposures)\[[^]]*\]\.(?:config\.)?meta\.cube": _FIRST,
}
"""The places in a model of Cube, in floe.yaml and in dbt's YAML that name a cube or a view, and how they do."""


def _cubes(files: dict[str, str], model: str) -> set[str]:
    """The names of the cubes and views in a folder of files."""
    return {
        str(cube["name"])
        for path, text in files.items()
        if _is_model(path, model)
        for kind in _CUBES
        for cube in mappings(_mapping(text, path).get(kind))
    }


def _is_model(path: str, model: str) -> bool:
    return path.startswith(f"{model}/") and path.endswith((".yml", ".yaml"))


def _with_cubes(path: str, text: str, new: dict[str, str]) -> str:
    """The text of a model of Cube, or of floe.yaml, with other names of cubes and views wherever it names one."""
    any_name = "|".join(sorted(map(re.escape, new), key=len, reverse=True))
    patterns = {place: re.compile(pattern.format(any_name)) for place, pattern in _PLACES.items()}
    return edit.substitute(text, patterns, lambda match: new[match["name"]], path) if new else text


def _mapping(text: str, name: str) -> dict[str, Any]:
    """The mapping in a YAML text. Raises FloeError that names file and line if it cannot be read."""
    return next((mapping(document.value) for document in documents(text, name)), {})
