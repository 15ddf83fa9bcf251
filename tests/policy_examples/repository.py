"""Examples for policies that compare rendered objects with the repository."""

from __future__ import annotations

from floe.validate.policies.repository import STAND_IN
from floe_runtime.contract.artifacts import VARIABLE
from policy_examples.builders import RUN, Edit, Example, Json, annotated, bad, container, good, instance, named, pod

FLOE_YAML = "apps/ecommerce/floe.yaml"
ARTIFACTS = named("ConfigMap", "a", data={"CompiledArtifacts.json": "overlays/prod/compiled/CompiledArtifacts.json"})
ANY = named("ConfigMap", "c")
STORE = "object-store.floe-dev.svc.cluster.local:8333"
DATABASE = """
run_storage:
  config:
    postgres_db: {hostname: postgresql.floe-prod.svc.cluster.local, port: 5432, db_name: dagster, username: dagster}
"""


def reader(*secrets: str) -> Json:
    """A container that reads the CompiledArtifacts."""
    env = [{"name": VARIABLE, "value": "/etc/floe/CompiledArtifacts.json"}]
    return pod(container(env=env, envFrom=[{"secretRef": {"name": secret}} for secret in secrets]))


def told(name: str, value: str) -> Json:
    return pod(container(env=[{"name": name, "value": value}]))


def bump(environment: str, *, chart: str = "1.12.18", image: str = "0.2.0") -> tuple[Edit, ...]:
    """Set another chart version and another image of Dagster in an environment."""
    file = f"overlays/{environment}/values/dagster.yaml"
    return (Edit(file, "version: 1.12.17", f"version: {chart}"), Edit(file, "tag: 0.1.0", f"tag: {image}"))


def back(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    return tuple(Edit(edit.file, edit.new, edit.old) for edit in edits)


EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE020": {
        "real": good(annotated("example.com/chart", "cube")),
        "stand-in": bad(
            annotated(STAND_IN, "cube"),
            annotated(STAND_IN, "cube"),
            annotated(STAND_IN, "dagster"),
            says=("chart cube", "chart dagster"),
        ),
    },
    "FLOE021": {
        "as-committed": good(ARTIFACTS, environment="prod"),
        "other-sources": bad(
            ARTIFACTS,
            says="differs from the output of floe compile prod",
            environment="prod",
            edits=(Edit("overlays/prod/platform.yaml", "bucket: floe-prod", "bucket: floe-elsewhere"),),
        ),
        "other-line-ends": bad(
            ARTIFACTS,
            says="differs from the output of floe compile prod",
            environment="prod",
            edits=(Edit("overlays/prod/compiled/CompiledArtifacts.json", "\n", "\r\n"),),
        ),
        "other-content": bad(
            named("ConfigMap", "a", data={"CompiledArtifacts.json": "apps/ecommerce/floe.yaml"}),
            says="data.CompiledArtifacts.json differs from overlays/prod",
            environment="prod",
        ),
        "does-not-compile": bad(
            ANY,
            says="floe compile dev cannot write",
            environment="dev",
            edits=(Edit(FLOE_YAML, "version: 1", "version: 2"),),
        ),
        "an-app-in-dev": bad(
            ANY,
            says="differs from the output of floe compile dev",
            environment="dev",
            edits=(Edit(FLOE_YAML, "*/5", "*/10"),),
        ),
        "an-app-before-its-promotion": good(ANY, environment="prod", edits=(Edit(FLOE_YAML, "*/5", "*/10"),)),
        "every-variable-is-set": good(reader("floe-object-store", "floe-catalog"), environment="dev"),
        "a-variable-is-not-set": bad(
            reader("floe-object-store"),
            says="nothing sets FLOE_CATALOG_CLIENT_ID, FLOE_CATALOG_CLIENT_SECRET, which",
            environment="dev",
        ),
    },
    "FLOE022": {
        "database": good(instance(RUN, DATABASE), environment="prod"),
        **{
            f"database-{name}": bad(
                instance(RUN, DATABASE.replace(old, new)),
                says=f"postgres_db.{name} differs from metadata.{field}",
                environment="prod",
            )
            for name, field, old, new in (
                ("hostname", "host", "postgresql.", "other."),
                ("port", "port", "5432", "5433"),
                ("db_name", "database", "db_name: dagster", "db_name: other"),
            )
        },
        "engine": good(told("CUBEJS_DB_HOST", "trino.floe-prod.svc.cluster.local"), environment="prod"),
        "other-engine": bad(
            told("CUBEJS_DB_HOST", "trino.elsewhere"),
            says="CUBEJS_DB_HOST differs from compute.host",
            environment="prod",
        ),
        "store-without-its-scheme": good(told("CUBEJS_DB_DUCKDB_S3_ENDPOINT", STORE), environment="dev"),
        "store": good(told("CUBESTORE_MINIO_SERVER_ENDPOINT", f"http://{STORE}"), environment="dev"),
        "other-store": bad(
            told("CUBESTORE_MINIO_SERVER_ENDPOINT", "http://other:8333"),
            says="CUBESTORE_MINIO_SERVER_ENDPOINT differs from storage.endpoint",
            environment="dev",
        ),
    },
    "FLOE023": {
        "of-the-lock": good(ANY, environment="dev"),
        "not-of-the-lock": bad(
            ANY,
            says="chart has version 1.12.18, but images are built with",
            environment="dev",
            edits=bump("dev", image="0.1.0"),
        ),
        "together-before": good(ANY, environment="prod", history=((), bump("staging"), bump("prod"))),
        "never-together-before": bad(
            ANY,
            says="chart 1.12.18 and images 0.1.0",
            environment="prod",
            history=((), bump("staging")),
            edits=bump("prod", image="0.1.0"),
        ),
    },
    "FLOE024": {
        "as-before": good(ANY, environment="prod", history=((),)),
        "first-environment": good(ANY, environment="dev", history=((),), edits=bump("dev")),
        "never-before": bad(
            ANY,
            says=("tag 0.2.0 was never in overlays/staging", "version 1.12.18 was never in overlays/staging"),
            environment="prod",
            history=((),),
            edits=bump("prod"),
        ),
        "not-committed-before": bad(
            ANY,
            says=("tag 0.2.0", "version 1.12.18"),
            environment="prod",
            history=((),),
            edits=bump("staging") + bump("prod"),
        ),
        "once-before": good(
            ANY, environment="prod", history=((), bump("staging"), back(bump("staging"))), edits=bump("prod")
        ),
    },
}
