"""Policies that compare the manifests with the repository: charts, CompiledArtifacts.json and platform.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from floe.errors import FloeError
from floe.kubernetes import pods
from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE021",
    stage=Stage.REPOSITORY,
    severity="error",
    title="CompiledArtifacts.json does not match its sources or lacks its variables",
    why="A code location reads only this file. It would run with settings that nobody wrote in platform.yaml or "
    "floe.yaml, or fail because a variable is not set.",
    remedy="Run `floe compile <env>` and render again; if it refuses, correct what it names first. If a variable is "
    "not set, add its Secret to envSecrets in the values of Dagster's chart.",
    fails="""
        apiVersion: v1
        kind: Pod
        metadata: {name: shop, annotations: {floe-runtime.io/environment: dev}}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: shop
              image: registry.example.com/shop:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
              env: [{name: FLOE_COMPILED_ARTIFACTS, value: /etc/floe/CompiledArtifacts.json}]
              envFrom: [{secretRef: {name: floe-object-store}}]
    """,
    passes="""
        apiVersion: v1
        kind: Pod
        metadata: {name: shop, annotations: {floe-runtime.io/environment: dev}}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: shop
              image: registry.example.com/shop:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
              env: [{name: FLOE_COMPILED_ARTIFACTS, value: /etc/floe/CompiledArtifacts.json}]
              envFrom: [{secretRef: {name: floe-object-store}}, {secretRef: {name: floe-catalog}}]
    """,
)
def artifacts_drift(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Compare the committed artifacts with their sources and with the ConfigMap, and check the variables they need.

    Raises LeftOut if there is no platform.yaml for the environment.
    """
    overlay = stream.overlay()
    environment, checkout = overlay.environment, overlay.checkout
    from floe.contract.compiling import committed, compile_environment
    from floe_runtime.contract.artifacts import VARIABLE

    file = checkout.artifacts_file(environment)
    path = checkout.relative(file)
    rendered = [item for item in stream.of("ConfigMap") if file.name in mapping(item.value.get("data"))]
    present = committed(checkout, environment)
    try:
        compiled = compile_environment(checkout, environment).text()
    except FloeError as error:
        first = error.message.replace("\n ", "")
        yield Hit(stream.objects[0], f"floe compile {environment} cannot write {path}: {first}", file=path)
        return
    if present != compiled:
        holder = (rendered or stream.objects)[0]
        words = f"{path} differs from the output of floe compile {environment} for platform.yaml and apps/"
        yield Hit(holder, words, file=path)
    for item in rendered:
        if mapping(item.value["data"])[file.name] != present:
            yield Hit(item, f"data.{file.name} differs from {path}", file=path)
    for pod in stream.pods:
        for container in pod.containers:
            if VARIABLE in (variables := _variable_names(container.value)):
                yield from _unset_variables(stream, pod, container, variables)


def _variable_names(container: dict[str, Any]) -> set[str]:
    return {text(variable.get("name")) for variable in mappings(container.get("env"))}


def _unset_variables(stream: Stream, pod: pods.Pod, container: pods.Container, variables: set[str]) -> Iterator[Hit]:
    """Report variables that platform.yaml names and a container that reads the artifacts does not set."""
    platform = stream.overlay().platform
    filled = {text(mapping(source.get("secretRef")).get("name")) for source in mappings(container.value.get("envFrom"))}
    parts = (platform.compute, platform.storage, platform.catalog)
    unset: dict[str, list[str]] = {}
    for ref in dict.fromkeys(ref for part in parts for ref in platform.refs(part)):
        if ref.secret and ref.secret not in filled and ref.env not in variables:
            unset.setdefault(ref.secret, []).append(ref.env)
    file = f"overlays/{stream.environment}/platform.yaml"
    for secret, names in unset.items():
        line = next((one.line for one in stream.written.places(file) if one.text == secret), 0)
        words = f"nothing sets {', '.join(names)}, which platform.yaml takes from the Secret {secret}"
        yield Hit(pod.item, f"{container.label}: {words}", file=file, file_line=line, cause=secret)


_IN_VARIABLES = (
    ("compute", "host", ("CUBEJS_DB_HOST",)),
    ("compute", "port", ("CUBEJS_DB_PORT",)),
    ("compute", "catalog", ("CUBEJS_DB_PRESTO_CATALOG",)),
    ("storage", "endpoint", ("CUBEJS_DB_DUCKDB_S3_ENDPOINT", "CUBESTORE_MINIO_SERVER_ENDPOINT")),
    ("storage", "region", ("CUBEJS_DB_DUCKDB_S3_REGION", "CUBESTORE_S3_REGION")),
)
"""(part, field) of platform.yaml, and the variables of Cube and Cube Store that must have the same value."""

_IN_INSTANCE = (("host", "hostname"), ("port", "port"), ("database", "db_name"), ("user", "username"))
"""Fields of the metadata database in platform.yaml, and the fields of dagster.yaml that must have the same value."""


@Policy(
    code="FLOE022",
    stage=Stage.REPOSITORY,
    severity="error",
    title="The manifests contradict platform.yaml",
    why="Preflight checks the services that platform.yaml names, but Dagster or Cube would connect to others.",
    remedy="Set the same value in `overlays/<env>/platform.yaml` and in `overlays/<env>/values`.",
    fails="""
        apiVersion: v1
        kind: Pod
        metadata: {name: cube, annotations: {floe-runtime.io/environment: prod}}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: cube
              image: registry.internal/cube:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
              env: [{name: CUBEJS_DB_HOST, value: trino.floe-staging.svc.cluster.local}]
    """,
    passes="""
        apiVersion: v1
        kind: Pod
        metadata: {name: cube, annotations: {floe-runtime.io/environment: prod}}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: cube
              image: registry.internal/cube:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
              env: [{name: CUBEJS_DB_HOST, value: trino.floe-prod.svc.cluster.local}]
    """,
)
def platform_drift(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Compare the environment variables of containers and each dagster.yaml with platform.yaml.

    Only values that are written in platform.yaml are compared, not those that come from a variable. Raises LeftOut if
    there is no platform.yaml for the environment.
    """
    overlay = stream.overlay()
    platform, path = overlay.platform, f"overlays/{overlay.environment}/platform.yaml"
    expected = {
        name: (f"{part}.{field}", value)
        for part, field, names in _IN_VARIABLES
        if (value := _written_value(getattr(platform, part), field)) is not None
        for name in names
    }
    for pod in stream.pods:
        for container in pod.containers:
            for variable in mappings(container.value.get("env")):
                name, value = text(variable.get("name")), variable.get("value")
                if (
                    name in expected
                    and isinstance(value, str)
                    and _without_scheme(value) != _without_scheme(expected[name][1])
                ):
                    words = f"{container.label}: env {name} differs from {expected[name][0]} in {path}"
                    yield Hit(pod.item, words, cause=f"{expected[name][0]} {value}", value=value)
    for item in stream.of("ConfigMap"):
        storage = mapping(mapping(pods.instance(item).get("run_storage")).get("config")).get("postgres_db")
        for field, name in _IN_INSTANCE:
            value = _written_value(platform.metadata, field)
            actual = mapping(storage).get(name)
            if value is not None and isinstance(actual, (str, int)) and str(actual) != value:
                words = f"dagster.yaml: postgres_db.{name} differs from metadata.{field} in {path}"
                yield Hit(item, words, value=str(actual))


def _written_value(part: object, field: str) -> str | None:
    """The value of a setting in platform.yaml; None if the setting is not set or refers to a variable."""
    value = getattr(part, field, None)
    return str(value) if isinstance(value, (str, int)) else None


def _without_scheme(endpoint: str) -> str:
    """The endpoint without its scheme, because some programs get the scheme in a setting of its own."""
    return endpoint.partition("://")[2].rstrip("/") if "://" in endpoint else endpoint


STAND_IN = "floe-runtime.io/stand-in-chart"


@Policy(
    code="FLOE020",
    stage=Stage.STREAM,
    severity="warning",
    title="A stand-in takes the place of a chart",
    why="The repository of the chart could not be reached, so the overlay was rendered from a small substitute. It "
    "shows what the values do, but it cannot be deployed.",
    remedy="Run `floe charts pull` on a machine that reaches the chart repository, or set FLOE_CHART_MIRROR to a "
    "mirror that it reaches.",
    fails="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: cube, annotations: {floe-runtime.io/stand-in-chart: cube}}
    """,
    passes="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: cube}
    """,
)
def stand_in(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Report each stand-in once, at the first of its objects; an annotation marks them."""
    first_objects: dict[str, Object] = {}
    for item in stream.objects:
        chart = item.annotations.get(STAND_IN)
        if isinstance(chart, str):
            first_objects.setdefault(chart, item)
    for chart, item in first_objects.items():
        yield Hit(item, f"the stand-in for the chart {chart} rendered this object, which cannot be deployed")
