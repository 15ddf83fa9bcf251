"""`floe charts sync`: generate files of charts/ from base/, the overlays and the charts' schemas."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from floe import console
from floe.charts import environment, overlay_values, parity
from floe.charts.chart import pinned
from floe.charts.overlay_values import Environment, Values
from floe.charts.packaged import UMBRELLA, UPSTREAM, folder
from floe.errors import FloeError
from floe.repo import Checkout
from floe.yaml import documents, edit, load_file
from floe.yaml.commented import Comment, dump

README = Path("charts", "README.md")
_TABLE = ("<!-- written by floe charts sync -->", "<!-- until here -->")
_WRITTEN = "Written by `floe charts sync` from"


@dataclass(frozen=True)
class Change:
    """A file of charts/ that is out of date."""

    path: Path
    old: str | None  # None: it does not exist
    new: str | None  # None: it must be removed

    def diff(self) -> str:
        """The change as a unified diff."""
        name = self.path.as_posix()
        old, new = ((text or "").splitlines() for text in (self.old, self.new))
        return "\n".join(difflib.unified_diff(old, new, name, f"{name} (floe charts sync)", lineterm=""))


def changes(checkout: Checkout) -> Iterator[Change]:
    """The files that `sync` would change, sorted by path. Raises FloeError if an overlay cannot be read."""
    root = checkout.root
    if not (root / "charts").is_dir():
        raise FloeError(f"there is no folder charts/ in {root}", "Restore it from the repository that you forked.")
    with console.progress("charts: comparing Helm with kustomize"):
        wanted = _files(checkout)
    existing = {
        path.relative_to(root) for chart in UPSTREAM for path in (folder(checkout, chart) / "objects").rglob("*.yaml")
    }
    existing |= {path.relative_to(root) for path in (root / "charts" / "post-renderer" / "hardening").glob("*.yaml")}
    existing |= {
        path.relative_to(root)
        for chart in (*UPSTREAM, UMBRELLA)
        for path in folder(checkout, chart).glob("values-*.yaml")
    }
    for path in sorted(existing | wanted.keys()):
        file = root / path
        old, new = file.read_text() if file.is_file() else None, wanted.get(path)
        if new is None and _is_users_own(path, old or ""):
            continue
        if old != new:
            yield Change(path, old, new)


def _is_users_own(path: Path, text: str) -> bool:
    """Whether a file that sync does not generate is a user's own values file, which must stay.

    Raises FloeError for an object that a user put there: it would be deployed although no overlay has it.
    """
    if text.startswith(f"# {_WRITTEN}") or "post-renderer" in path.parts:
        return False
    if "objects" in path.parts:
        raise FloeError(
            f"{path} was not written by `floe charts sync`, but would be deployed", "Move it to overlays/ENV/objects."
        )
    return True


def write(checkout: Checkout, changes: list[Change]) -> None:
    """Write or remove the changed files."""
    for change in changes:
        file = checkout.root / change.path
        if change.new is None:
            file.unlink()
        else:
            console.write(file, change.new)


def _files(checkout: Checkout) -> dict[Path, str]:
    """The content of every file that sync generates, by path in the repository.

    Raises FloeError if Helm would not install with them what kustomize renders.
    """
    root, names = checkout.root, _helm_environments(checkout)
    with ThreadPoolExecutor() as pool:  # each waits for kustomize or Helm
        environments = list(pool.map(overlay_values.environment, repeat(checkout), names))
        files: dict[Path, str] = {}
        for chart in UPSTREAM:
            files |= {
                Path("charts", chart, name): text for name, text in _chart_files(checkout, chart, environments).items()
            }
        files |= {
            Path("charts", UMBRELLA, name): text for name, text in _umbrella_files(checkout, environments).items()
        }
        headers = [f"{_WRITTEN} overlays/{overlay.name}/objects: edit there." for overlay in environments]
        for carried in pool.map(parity.own_objects, repeat(checkout), environments, repeat(dict(files)), headers):
            files |= carried
    for patch in sorted((root / "base" / "hardening").glob("*.yaml")):
        files[Path("charts", "post-renderer", "hardening", patch.name)] = patch.read_text()
    files[README] = _readme_text(checkout, (root / README).read_text(), files)
    return files


def _helm_environments(checkout: Checkout) -> list[str]:
    """The environments that Helm may install, in the promotion order, followed by the others."""
    names = [name for name in checkout.in_promotion_order() if environment.read(checkout, name).helm]
    if not names:
        raise FloeError(
            "every overlay sets spec.helm: false, so there is nothing that floe's charts could contain",
            "Remove it from objects/environment.yaml of an overlay, or remove charts/ and its step in CI.",
        )
    return names


def _base_values(checkout: Checkout, chart: str, environments: list[Environment]) -> Values:
    """The values.yaml of a chart: the defaults of its schema, and the values that all overlays share."""
    defaults = {"floe": _schema_defaults(_values_schema(checkout, chart)["properties"]["floe"])}
    return overlay_values.merged(defaults, overlay_values.shared([overlay.values[chart] for overlay in environments]))


def _chart_files(checkout: Checkout, chart: str, environments: list[Environment]) -> dict[str, str]:
    base = _base_values(checkout, chart, environments)
    comments = [overlay.comments[chart] for overlay in environments]
    agreed = {path: text for path, text in comments[0].items() if all(other.get(path) == text for other in comments)}
    documented = _described_values(_values_schema(checkout, chart)["properties"]["floe"], ("floe",))
    header = f"{_WRITTEN} base/ and the values that all overlays share; `floe` from values.schema.json. Edit there."
    files = {
        "Chart.yaml": _chart_yaml(checkout, chart),
        "templates/_floe.tpl": (checkout.root / "charts" / "_floe.tpl").read_text(),
        "values.yaml": dump(base, agreed | documented, header),
    }
    for overlay in environments:
        values = overlay_values.beyond(overlay.values[chart], base)
        header = f"{_WRITTEN} overlays/{overlay.name}: edit there. Helm merges these values over values.yaml."
        files[f"values-{overlay.name}.yaml"] = dump(values, overlay.comments[chart], header)
    return files


def _umbrella_files(checkout: Checkout, environments: list[Environment]) -> dict[str, str]:
    charts = {chart: {"enabled": True} for chart in UPSTREAM}
    notes: dict[Any, Comment] = {
        (chart, "enabled"): Comment(
            beside=f"set values of charts/{chart} below this key; its values.yaml holds the defaults"
        )
        for chart in UPSTREAM
    }
    files = {
        "Chart.yaml": _chart_yaml(checkout, UMBRELLA),
        "values.yaml": dump(
            charts, notes, "Written by `floe charts sync`. Set `enabled: false` to leave a chart out of the release."
        ),
    }
    bases = {chart: _base_values(checkout, chart, environments) for chart in UPSTREAM}
    for overlay in environments:
        values: Values = {}
        comments: dict[Any, Comment] = {}
        for chart, base in bases.items():
            values[chart] = overlay_values.beyond(overlay.values[chart], base)
            comments |= {(chart, *path): text for path, text in overlay.comments[chart].items()}
        header = f"{_WRITTEN} overlays/{overlay.name}: edit there."
        files[f"values-{overlay.name}.yaml"] = dump(values, comments, header)
    return files


def _chart_yaml(checkout: Checkout, chart: str) -> str:
    """The text of Chart.yaml with the repository's address and current dependency versions.

    Upstream charts have the versions that the first environment pins.
    """
    file = folder(checkout, chart) / "Chart.yaml"
    if chart == UMBRELLA:
        versions = {name: str(load_file(folder(checkout, name) / "Chart.yaml")["version"]) for name in UPSTREAM}
        places = {f"dependencies[{name}].version": version for name, version in versions.items()}
    else:
        places = {}
        for pin in pinned(checkout, _helm_environments(checkout)[0]):
            if pin.name in UPSTREAM[chart]:
                places[f"dependencies[{pin.name}].version"] = pin.version
                places[f"dependencies[{pin.name}].repository"] = pin.repository
    places["home"] = checkout.settings.repository
    return edit.replace(file.read_text(), places, checkout.relative(file))


def _values_schema(checkout: Checkout, chart: str) -> Values:
    schema: Values = json.loads((folder(checkout, chart) / "values.schema.json").read_text())
    return schema


def _schema_defaults(schema: Values) -> Any:
    if "default" in schema:
        return schema["default"]
    return {key: _schema_defaults(part) for key, part in schema["properties"].items()}


def _described_values(schema: Values, path: tuple[str, ...]) -> dict[Any, Comment]:
    notes: dict[Any, Comment] = {}
    for key, part in schema.get("properties", {}).items():
        if "default" in part or "properties" in part:
            notes[*path, key] = Comment(above=(part["description"],)) if "description" in part else Comment()
            notes |= _described_values(part, (*path, key)) if "default" not in part else {}
    return notes


def _readme_text(checkout: Checkout, text: str, files: dict[Path, str]) -> str:
    """The README with updated tables of the values below `floe`."""
    before, start, rest = text.partition(_TABLE[0])
    _, end, after = rest.partition(_TABLE[1])
    if not end:
        raise FloeError(
            f"{README} does not mark the place of its table", f"Add the lines {_TABLE[0]} and {_TABLE[1]} there."
        )
    lines: list[str] = []
    for chart in UPSTREAM:
        values = next(documents(files[Path("charts", chart, "values.yaml")], chart)).value
        lines += ["", f"**{chart}**", "", "| value | without values of an environment | what it is |", "|---|---|---|"]
        lines += [
            f"| {' | '.join(row)} |"
            for row in _readme_rows(_values_schema(checkout, chart)["properties"]["floe"], values["floe"], "floe")
        ]
    return f"{before}{start}\n" + "\n".join(lines).strip("\n") + f"\n\n{end}{after}"


def _readme_rows(schema: Values, values: Values, path: str) -> Iterator[tuple[str, str, str]]:
    for key, part in schema["properties"].items():
        if "default" in part:
            yield f"`{path}.{key}`", f"`{json.dumps(values[key])}`", part["description"]
        else:
            yield from _readme_rows(part, values[key], f"{path}.{key}")
