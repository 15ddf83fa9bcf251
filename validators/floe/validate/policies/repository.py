"""What is rendered against what the repository says: artifacts, platform.yaml, versions, their promotion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from floe import git, repo
from floe.errors import FloeError
from floe.kubernetes import pods
from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.validate import pins
from floe.validate.policies.policy import Hit
from floe.validate.schema import Schemas
from floe.validate.stream import LeftOut, Stream


def artifacts_drift(stream: Stream, _: Schemas) -> Iterator[Hit]:
    environment, _platform = stream.overlay()
    from floe.contract.artifacts import VARIABLE, compile_environment

    file = repo.artifacts_file(environment)
    path = str(file.relative_to(repo.root()))
    rendered = [item for item in stream.of("ConfigMap") if file.name in mapping(item.value.get("data"))]
    try:
        committed = file.read_text()
    except OSError:
        committed = ""
    try:
        compiled = compile_environment(environment).text()
    except FloeError as error:
        first = error.message.replace("\n ", "")
        yield Hit(stream.objects[0], f"floe compile {environment} cannot make {path}: {first}", file=path)
        return
    if committed != compiled:
        holder = (rendered or stream.objects)[0]
        yield Hit(holder, f"{path} is not what floe compile {environment} makes of platform.yaml and apps/", file=path)
    for item in rendered:
        if mapping(item.value["data"])[file.name] != committed:
            yield Hit(item, f"data.{file.name} is not what {path} holds", file=path)
    for pod in stream.pods:
        for container in pod.containers:
            if VARIABLE in (variables := _variables(container.value)):
                yield from _unset(stream, pod, container, variables)


def _variables(container: dict[str, Any]) -> set[str]:
    return {text(variable.get("name")) for variable in mappings(container.get("env"))}


def _unset(stream: Stream, pod: pods.Pod, container: pods.Container, variables: set[str]) -> Iterator[Hit]:
    """Variables that the platform names and that nothing sets where the artifacts are read."""
    _, platform = stream.overlay()
    filled = {text(mapping(source.get("secretRef")).get("name")) for source in mappings(container.value.get("envFrom"))}
    parts = (platform.compute, platform.storage, platform.catalog)
    for ref in dict.fromkeys(ref for part in parts for ref in platform.refs(part)):
        if ref.secret and ref.secret not in filled and ref.env not in variables:
            yield Hit(
                pod.item,
                f"{container.label}: nothing sets {ref.env}, which platform.yaml takes from the Secret {ref.secret}",
            )


_IN_VARIABLES = (
    ("compute", "host", ("CUBEJS_DB_HOST",)),
    ("compute", "port", ("CUBEJS_DB_PORT",)),
    ("compute", "catalog", ("CUBEJS_DB_PRESTO_CATALOG",)),
    ("storage", "endpoint", ("CUBEJS_DB_DUCKDB_S3_ENDPOINT", "CUBESTORE_MINIO_SERVER_ENDPOINT")),
    ("storage", "region", ("CUBEJS_DB_DUCKDB_S3_REGION", "CUBESTORE_S3_REGION")),
)
"""What platform.yaml says, and the variables that say it again to Cube and Cube Store."""

_IN_INSTANCE = (("host", "hostname"), ("port", "port"), ("database", "db_name"), ("user", "username"))
"""What platform.yaml says of the metadata database, and where dagster.yaml says it again."""


def platform_drift(stream: Stream, _: Schemas) -> Iterator[Hit]:
    environment, platform = stream.overlay()
    path = f"overlays/{environment}/platform.yaml"
    said = {
        name: (f"{part}.{field}", value)
        for part, field, names in _IN_VARIABLES
        if (value := _plain(getattr(platform, part), field)) is not None
        for name in names
    }
    for pod in stream.pods:
        for container in pod.containers:
            for variable in mappings(container.value.get("env")):
                name, value = text(variable.get("name")), variable.get("value")
                if name in said and isinstance(value, str) and _bare(value) != _bare(said[name][1]):
                    yield Hit(pod.item, f"{container.label}: env {name} is not {said[name][0]} of {path}")
    for item in stream.of("ConfigMap"):
        storage = mapping(mapping(pods.instance(item).get("run_storage")).get("config")).get("postgres_db")
        for field, name in _IN_INSTANCE:
            value = _plain(platform.metadata, field)
            found = mapping(storage).get(name)
            if value is not None and isinstance(found, (str, int)) and str(found) != value:
                yield Hit(item, f"dagster.yaml: postgres_db.{name} is not metadata.{field} of {path}")


def _plain(part: object, field: str) -> str | None:
    """A setting that platform.yaml writes down; nothing where it names a variable."""
    value = getattr(part, field, None)
    return str(value) if isinstance(value, (str, int)) else None


def _bare(endpoint: str) -> str:
    """Without the scheme, which some take apart from the rest."""
    return endpoint.partition("://")[2].rstrip("/") if "://" in endpoint else endpoint


_LOCKED = re.compile(r"^dagster==([\w.]+)", re.MULTILINE)
_DAGSTER = "dagster.yaml"


def dagster_versions(stream: Stream, _: Schemas) -> Iterator[Hit]:
    environment, platform = stream.overlay()
    pinned = pins.current(environment).get(_DAGSTER, {})
    chart, path = pinned.get("version"), f"overlays/{environment}/values/{_DAGSTER}"
    if chart is None:
        return
    if platform.specification == "follow":
        lock = repo.root() / "requirements.lock"
        locked = _LOCKED.search(lock.read_text()) if lock.is_file() else None
        if locked is None:
            raise LeftOut("requirements.lock names no version of dagster")
        if chart != locked[1]:
            words = f"Dagster's chart is {chart}, but images are built with dagster {locked[1]} of requirements.lock"
            yield Hit(_of_chart(stream, _DAGSTER), words, file=path)
        return
    before = repo.predecessor(environment)
    if before is None:
        return
    if not any(name == _DAGSTER and pinned.items() <= old.items() for name, old in pins.history(before)):
        _refuse_shallow()
        images = ", ".join(sorted({value for place, value in pinned.items() if place != "version"}))
        words = f"Dagster's chart {chart} and images {images} never ran together in {before}"
        yield Hit(_of_environment(stream), words, file=path)


def not_promoted(stream: Stream, _: Schemas) -> Iterator[Hit]:
    environment, _platform = stream.overlay()
    before = repo.predecessor(environment)
    if before is None:
        return
    missing = {
        (name, place, value) for name, found in pins.current(environment).items() for place, value in found.items()
    }
    for name, old in pins.history(before):
        missing -= {(name, place, value) for place, value in old.items()}
        if not missing:
            return
    _refuse_shallow()
    for name, place, value in sorted(missing):
        path = f"overlays/{environment}/values/{name}"
        words = f"{path}: {place} {value} never stood in overlays/{before}"
        yield Hit(_of_environment(stream), words, file=path)


def _refuse_shallow() -> None:
    if git.is_shallow(repo.root()):
        raise LeftOut("this clone lacks the older history: git fetch --unshallow")


def _of_environment(stream: Stream) -> Object:
    """The namespace, on which a waiver for the whole environment stands, else the first object."""
    return next(iter(stream.of("Namespace")), stream.objects[0])


def _of_chart(stream: Stream, values_file: str) -> Object:
    """The first object that a chart made, for a finding to stand at."""
    name = values_file.removesuffix(".yaml")
    for item in stream.objects:
        if text(mapping(item.metadata.get("labels")).get("helm.sh/chart")).rpartition("-")[0] == name:
            return item
    return stream.objects[0]


STAND_IN = "floe-runtime.io/stand-in-chart"


def stand_in(stream: Stream, _: Schemas) -> Iterator[Hit]:
    found: dict[str, Object] = {}
    for item in stream.objects:
        chart = item.annotations.get(STAND_IN)
        if isinstance(chart, str):
            found.setdefault(chart, item)
    for chart, item in found.items():
        yield Hit(item, f"rendered from the stand-in for the chart {chart}: it shows the values, it does not deploy")
