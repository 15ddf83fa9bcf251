"""The model of `platform.yaml`, which describes an environment: endpoints and names of secrets, never a secret."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from floe_runtime.contract.cron import Cron
from floe_runtime.contract.model import Model
from floe_runtime.contract.refs import Host, Port, Ref, SecretRef, Setting, Url


class DuckDB(Model):
    """Compute with DuckDB, in the process of the run."""

    target: Literal["duckdb"]
    threads: Annotated[int, Field(ge=1)] = 2
    memory_limit: Annotated[str, Field(pattern=r"^\d+(MB|GB)$")] = "1GB"


class Trino(Model):
    """Compute on a Trino cluster with an Iceberg connector."""

    target: Literal["trino"]
    host: Host
    port: Port = 8443
    http_scheme: Literal["http", "https"] = "https"
    catalog: str = "iceberg"
    user: Setting = Ref(env="FLOE_TRINO_USER")
    password: SecretRef | None = None


class Snowflake(Model):
    """Compute on a Snowflake account."""

    target: Literal["snowflake"]
    account: Setting
    host: Annotated[Host | None, Field(description="host name, if it is not the account's default one")] = None
    port: Port = 443
    http_scheme: Literal["http", "https"] = "https"
    database: Setting
    warehouse: Setting
    role: Setting | None = None
    user: Setting = Ref(env="FLOE_SNOWFLAKE_USER")
    password: SecretRef = Ref(env="FLOE_SNOWFLAKE_PASSWORD")


class BigQuery(Model):
    """Compute on BigQuery."""

    target: Literal["bigquery"]
    project: Setting
    location: Setting = "US"
    keyfile: Annotated[
        Setting | None,
        Field(description="path of a mounted service account key; by default, the workload's identity is used"),
    ] = None
    endpoint: Annotated[Url | None, Field(description="URL of the API, if it is not Google's public one")] = None


class FileStorage(Model):
    """Tables in a folder. A relative path starts at the root of the repository."""

    kind: Literal["file"]
    path: str


class S3Storage(Model):
    """Tables in a bucket of S3 or of an object store with the same protocol."""

    kind: Literal["s3"]
    bucket: str
    prefix: str = ""
    region: Setting = "us-east-1"
    endpoint: Annotated[Url | None, Field(description="URL of the object store; by default, AWS")] = None
    access_key: SecretRef = Ref(env="AWS_ACCESS_KEY_ID")
    secret_key: SecretRef = Ref(env="AWS_SECRET_ACCESS_KEY")


class SqlCatalog(Model):
    """An Iceberg catalog in a SQLite file. It has no access control, so use it only in the embedded environment."""

    kind: Literal["sql"]
    path: Annotated[str, Field(description="SQLite file; a relative path starts at the root of the repository")]


class RestCatalog(Model):
    """An Iceberg REST catalog such as Polaris, with OAuth2 client credentials."""

    kind: Literal["rest"]
    uri: Url
    warehouse: str
    client_id: SecretRef = Ref(env="FLOE_CATALOG_CLIENT_ID")
    client_secret: SecretRef = Ref(env="FLOE_CATALOG_CLIENT_SECRET")
    scope: str = "PRINCIPAL_ROLE:ALL"
    token_uri: Annotated[
        Url | None, Field(description="URL for OAuth2 tokens; by default, the catalog's v1/oauth/tokens")
    ] = None


class Sqlite(Model):
    """Dagster's metadata in SQLite files. A relative path starts at the root of the repository."""

    kind: Literal["sqlite"]
    path: str


class Postgres(Model):
    """Dagster's metadata in PostgreSQL."""

    kind: Literal["postgres"]
    host: Host = Ref(env="FLOE_POSTGRES_HOST", default="localhost")
    port: Port = Ref(env="FLOE_POSTGRES_PORT", default="5432")
    database: Setting = Ref(env="FLOE_POSTGRES_DATABASE", default="dagster")
    user: Setting = Ref(env="FLOE_POSTGRES_USER", default="dagster")
    password: Annotated[
        SecretRef, Field(description="without a Secret, the variable may be unset, for a server that needs no password")
    ] = Ref(env="FLOE_POSTGRES_PASSWORD")
    sslmode: Literal["disable", "prefer", "require", "verify-full"] = "prefer"


class Marts(Model):
    """Where the semantic layer reads a mart: Parquet files, which a list names, or a table of the engine.

    The application's `marts_namespace` is part of the place, so that no two applications write the same mart:
    the list is PATH/NAMESPACE/marts.json, the table is PATH.NAMESPACE.MART.
    """

    kind: Literal["parquet", "tables"]
    path: Annotated[str, Field(description="parquet: folder or s3:// prefix; tables: name of the engine's catalog")]

    @model_validator(mode="after")
    def _catalog_alone(self) -> Marts:
        if self.kind == "tables" and not self.path.isidentifier():
            raise ValueError("path must be the name of the catalog alone: the schema is each app's marts_namespace")
        return self


class Retention(Model):
    """How long the environment keeps what no new run needs. Each app has a job and a schedule that remove the rest."""

    cron: Annotated[Cron, Field(description="when the jobs run")] = "17 * * * *"
    raw_days: Annotated[
        int | None,
        Field(ge=1, description="full days of raw events that floe itself loaded, by day of load; by default, all"),
    ] = None
    raw_max_gib: Annotated[
        float | None,
        Field(gt=0, description="the data files of an app's raw namespace: above it, the loader refuses a batch"),
    ] = None
    snapshot_hours: Annotated[int, Field(ge=1, description="hours that a table's former snapshots can be read")] = 24
    run_days: Annotated[int, Field(ge=1, description="days that Dagster keeps runs, with their events and logs")] = 7


class Changes(Model):
    """What an environment sets otherwise than an application's floe.yaml. Each field replaces that one as a whole.

    `floe compile` checks the fields together with those of floe.yaml, by the models of that file.
    """

    schedule: Annotated[dict[str, Any], Field(description="fields of pipeline.schedule")] = Field(default_factory=dict)
    synthetic: Annotated[dict[str, Any], Field(description="fields of synthetic")] = Field(default_factory=dict)


PUBLISHED_FROM = ("duckdb", "trino")
"""The compute targets from which the pipeline can publish marts."""


class Cluster(Model):
    """Names of objects that the cluster provides and that manifests may therefore refer to."""

    config_maps: list[str] = Field(default_factory=list)
    service_accounts: list[str] = Field(default_factory=list)
    services: list[str] = Field(default_factory=list)
    persistent_volume_claims: list[str] = Field(default_factory=list)
    storage_classes: list[str] = Field(default_factory=list)
    ingress_classes: list[str] = Field(default_factory=list)
    priority_classes: list[str] = Field(default_factory=list)


class Platform(Model):
    """The platform of one environment."""

    version: Literal[1]
    specification: Annotated[
        Literal["follow", "promoted"],
        Field(description="follow: run the apps as they are in apps/; promoted: as promoted to this environment"),
    ]
    compute: Annotated[DuckDB | Trino | Snowflake | BigQuery, Field(discriminator="target")]
    storage: Annotated[FileStorage | S3Storage, Field(discriminator="kind")]
    catalog: Annotated[SqlCatalog | RestCatalog, Field(discriminator="kind")]
    metadata: Annotated[Sqlite | Postgres, Field(discriminator="kind")]
    marts: Marts
    retention: Retention = Retention()
    synthetic: Annotated[
        bool,
        # Left out of CompiledArtifacts with its usual value, so that those from before do not change.
        Field(
            strict=True,
            exclude_if=operator.not_,
            description="whether apps load the synthetic data of their floe.yaml; otherwise somebody else loads their "
            "raw tables",
        ),
    ] = False
    apps: Annotated[
        dict[str, Changes],
        # `floe compile` has put them into the specifications of the apps, so they are left out of CompiledArtifacts.
        Field(description="what this environment sets otherwise than an app's floe.yaml, by app", exclude=True),
    ] = Field(default_factory=dict)
    secrets: Annotated[
        list[str], Field(description="Secrets in the cluster, in addition to those that a setting refers to")
    ] = Field(default_factory=list)
    cluster: Annotated[
        Cluster | None,
        # Only validation of the manifests reads it, so it is left out of CompiledArtifacts.
        Field(description="further objects that the cluster provides", exclude=True),
    ] = None

    @model_validator(mode="after")
    def _publishes(self) -> Platform:
        if self.compute.target not in PUBLISHED_FROM:
            possible = " or ".join(PUBLISHED_FROM)
            raise ValueError(
                f"compute.target must be {possible}: the pipeline cannot publish marts from {self.compute.target} yet"
            )
        if self.compute.target == "trino" and self.marts.kind == "parquet":
            raise ValueError("marts.kind must be tables, because with Trino the pipeline writes no Parquet files")
        return self

    @model_validator(mode="after")
    def _exports_where_the_tables_are(self) -> Platform:
        if self.marts.path.startswith("s3://") and not isinstance(self.storage, S3Storage):
            raise ValueError("marts.path is in an object store, so storage.kind must be s3")
        return self

    def refs(self, part: BaseModel | None = None) -> list[Ref]:
        """All references in the platform, or in one part of it."""
        return list(_refs(part or self))

    def secret_names(self) -> set[str]:
        """Names of the Secrets that this environment expects in its namespace."""
        return {ref.secret for ref in self.refs() if ref.secret} | set(self.secrets)

    def brought(self) -> dict[str, set[str]]:
        """Names of all objects that the cluster must provide, by Kubernetes kind."""
        names = dict(self.cluster or ())
        return {"Secret": self.secret_names()} | {kind: set(names.get(field, ())) for field, kind in _KINDS.items()}


_KINDS = {
    "config_maps": "ConfigMap",
    "service_accounts": "ServiceAccount",
    "services": "Service",
    "persistent_volume_claims": "PersistentVolumeClaim",
    "storage_classes": "StorageClass",
    "ingress_classes": "IngressClass",
    "priority_classes": "PriorityClass",
}


def _refs(node: Any) -> Iterator[Ref]:
    if isinstance(node, Ref):
        yield node
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from _refs(getattr(node, name))
