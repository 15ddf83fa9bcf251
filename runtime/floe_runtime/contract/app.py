"""The model of `floe.yaml`, in which the data engineer describes one application."""

from __future__ import annotations

import operator
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from floe_runtime.contract.cron import Cron
from floe_runtime.contract.defects import SCENARIOS, checked
from floe_runtime.contract.model import Model

BATCH_AT = "floe/batch-at"
"""Run tag: the time up to which a run loads synthetic data (ISO 8601), without it. A retry has the same tag."""

APP = "floe/app"
"""Run tag: the app whose tables a run writes. Dagster starts one such run of an app at a time."""

FULL_REFRESH = "floe/full-refresh"
"""Run tag: with the value `true`, a run builds the marts from all raw rows."""

_Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


_Ticks = Annotated[int, Field(ge=1, le=100)]


class Freshness(Model):
    """After how many missed ticks of the schedule Dagster warns of a raw table or a mart, and calls it stale (fail)."""

    warn: _Ticks = 2
    fail: _Ticks = 3

    @model_validator(mode="after")
    def _a_warning_comes_first(self) -> Freshness:
        if self.warn >= self.fail:
            raise ValueError("warn must be less than fail")
        return self


_USUAL = Freshness()


class Schedule(Model):
    """When the pipeline runs on a schedule, and when its tables are late."""

    cron: Cron
    enabled: bool = True
    # Left out of CompiledArtifacts with its usual value, so that those from before do not change.
    freshness: Annotated[Freshness, Field(exclude_if=_USUAL.__eq__)] = _USUAL


class Retries(Model):
    """How often a failed step is retried (`max`), and the seconds before the first retry, doubled each time."""

    max: Annotated[int, Field(ge=0, le=10)] = 3
    delay_seconds: Annotated[float, Field(gt=0, le=600)] = 5


class Pipeline(Model):
    """The dbt project, the Iceberg namespaces of the raw tables and of the marts, the schedule and the retries."""

    dbt: Annotated[str, Field(description="folder of the dbt project, relative to the app")] = "dbt"
    raw_namespace: _Identifier = "raw"
    marts_namespace: _Identifier = "marts"
    lookback_days: Annotated[
        int, Field(ge=0, le=3660, description="days before the newest one that a run may still change")
    ] = 30
    rows_at_once: Annotated[
        int, Field(ge=1, description="about how many raw rows a run works through at a time, in memory")
    ] = 5_000_000
    first_day: Annotated[date, Field(description="the first day that a backfill can name")] = date(2026, 1, 1)
    schedule: Schedule
    retries: Retries = Retries()

    @model_validator(mode="after")
    def _two_namespaces(self) -> Pipeline:
        if self.raw_namespace == self.marts_namespace:
            raise ValueError("raw_namespace and marts_namespace must differ: a mart may have the name of a raw table")
        return self


class Query(Model):
    """A query to Cube. With measures alone, its answer is one row."""

    measures: Annotated[tuple[str, ...], Field(min_length=1, description="names of the form CUBE.MEASURE")]


class SemanticLayer(Model):
    """The data model that Cube serves."""

    model: Annotated[str, Field(description="folder of the Cube model, relative to the app")] = "cube/model"
    example: Annotated[
        Query | None,
        # Only the demo reads it, so it is left out of CompiledArtifacts.
        Field(description="the query that `floe demo` asks, to show the app's data", exclude=True),
    ] = None


def _rates(defects: object) -> object:
    """The rates of a scenario, or what else floe.yaml has there."""
    if not isinstance(defects, str):
        return defects
    if defects not in SCENARIOS:
        raise ValueError(f"must be {', '.join(SCENARIOS)}, or a mapping from kinds of defects to rates")
    return SCENARIOS[defects]


def _sensible(rates: dict[str, float]) -> dict[str, float]:
    """The rates that are not 0. Raises ValueError for an unknown kind or a rate that makes no sense."""
    return {kind: rate for kind, rate in checked(rates).items() if rate}


_Seed = Annotated[int, Field(description="the same seed gives the same data")]
_Opened = Annotated[date, Field(description="the day from which growth counts; no data are older")]
_History = Annotated[int, Field(ge=0, le=3660, description="days that the first run loads")]
_Defects = Annotated[
    dict[str, float],
    # Left out of CompiledArtifacts without defects, as the generator below is, so that those from before do not change.
    Field(description="clean, messy, broken, or a rate for each kind of defect", exclude_if=operator.not_),
    AfterValidator(_sensible),
    BeforeValidator(_rates),
]


class Shop(Model):
    """Parameters of a web shop's data. Each run loads what happened since the last one."""

    generator: Annotated[Literal["ecommerce"], Field(exclude_if=bool)] = "ecommerce"
    seed: _Seed = 42
    customers: Annotated[int, Field(ge=10, lt=1 << 31, description="customers before the shop opened")] = 40_000
    products: Annotated[int, Field(ge=1, le=10_000)] = 200
    orders_per_day: Annotated[int, Field(ge=1, le=100_000_000, description="on a day when the shop opens")] = 6000
    opened: _Opened = date(2026, 1, 1)
    history_days: _History = 0
    defects: _Defects = Field(default_factory=dict)


class Service(Model):
    """Parameters of a software service's data. Each run loads what happened since the last one."""

    generator: Literal["saas"]
    seed: _Seed = 42
    organisations: Annotated[int, Field(ge=0, le=1 << 20, description="organisations before the opening")] = 900
    organisations_per_day: Annotated[float, Field(ge=0, le=1 << 20, description="that sign up, in the first year")] = 3
    events_per_user: Annotated[float, Field(ge=0, le=10_000, description="of a new user on a day")] = 8
    opened: _Opened = date(2026, 1, 1)
    history_days: _History = 0
    defects: _Defects = Field(default_factory=dict)


def _generator(synthetic: Any) -> Any:
    if isinstance(synthetic, dict):
        return synthetic.get("generator", "ecommerce")
    return getattr(synthetic, "generator", "ecommerce")


Synthetic = Annotated[Annotated[Shop, Tag("ecommerce")] | Annotated[Service, Tag("saas")], Discriminator(_generator)]
"""Parameters of the synthetic data that the pipeline loads."""


def package(app: str) -> str:
    """The name of an app's Python package and dbt project, which cannot contain hyphens."""
    return app.replace("-", "_")


class App(Model):
    """One data application."""

    version: Annotated[int, Field(ge=1, le=1)]
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
    pipeline: Pipeline
    semantic_layer: SemanticLayer = SemanticLayer()
    synthetic: Synthetic | None = None
