"""The dbt part of the shop's pipeline, over generated batches, and Cube on what it publishes."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from code_location import Location
from cube_server import Served, until
from floe import repo
from floe.demo import cube
from floe_runtime import dbt, runs
from floe_runtime.assets import project
from floe_synthetic import Batch, EcommerceGenerator, IcebergLoader
from floe_synthetic.defects import WithDefects
from oracle import Shop, stops

BEGIN, EVERY = datetime(2026, 3, 1, 6, tzinfo=UTC), timedelta(hours=10)
"""The end of the reference data, and the time between two ticks: rows that are held back come in a later one."""


class Pipeline:
    """A pipeline with namespaces of its own. `published`: the batches that are contained in what is published."""

    def __init__(self, location: Location, checkout: Path, scenario: str) -> None:
        """`scenario`: whose defects the batches have, and the end of the namespaces' names."""
        app, platform = location.artifacts.apps["ecommerce"].app, location.artifacts.platform
        names = {"raw_namespace": f"raw_{scenario}", "marts_namespace": f"marts_{scenario}"}
        app = app.model_copy(update={"pipeline": app.pipeline.model_copy(update=names)})
        self.namespace = names["marts_namespace"]
        self.published: list[Batch] = []
        self._scenario, self._batches = scenario, list[Batch]()
        self._project = project(app, checkout / "apps/ecommerce", platform)
        self._manifest = json.loads(dbt.manifest(self._project).read_bytes())
        self._loader = IcebergLoader(location.catalog(), names["raw_namespace"])
        self._ticks = 0
        self._load(self._generator(scenario).reference(BEGIN))

    def tick(self, scenario: str = "") -> bool:
        """Load what happens until the next tick and publish it; returns whether the tests let it be published.

        `scenario`: whose defects this batch has instead. Fails if the oracle says otherwise than the tests.
        """
        since = BEGIN + self._ticks * EVERY
        self._load(self._generator(scenario or self._scenario).batch(since, since + EVERY, BEGIN))
        self._ticks += 1
        stopped = stops(self._batches[len(self.published) :])
        try:
            list(runs.run(self._project, self._manifest, "a-run"))
        except dbt.TestsFailed:
            if not stopped:
                raise
            return False
        assert not stopped, "the tests let a load be published that has too many wrong rows"
        self.published = list(self._batches)
        return True

    def shop(self) -> Shop:
        """What the published batches say."""
        return Shop.of(self.published)

    @staticmethod
    def _generator(scenario: str) -> WithDefects:
        shop = EcommerceGenerator(7, customers=300, products=300, orders_per_day=500, opened=date(2026, 2, 1))
        return WithDefects(shop, scenario, drift=date(2026, 3, 2))

    def _load(self, batch: Batch) -> None:
        self._loader.load(batch)
        self._batches.append(batch)


def show(running: Served, pipeline: Pipeline) -> None:
    """Let an embedded Cube read what a pipeline has published, and wait until it does."""
    lists = repo.current().state / "marts"
    part = lists / "part.json"
    running.marts.joinpath("marts").mkdir(parents=True, exist_ok=True)
    shutil.copy(lists / pipeline.namespace / "marts.json", part)
    part.replace(running.marts / "marts/marts.json")
    shop = pipeline.shop()
    wanted = {"orders.count": len(shop.rows["orders"]), "order_items.revenue": shop.answer("order_items.revenue")[None]}
    for measure, value in wanted.items():  # the second one is answered from the rollup
        until(value, partial(_number, running, measure))
    time.sleep(2 * cube._REFRESH_SECONDS)  # how long Cube may show what it has answered before


def _number(running: Served, measure: str) -> Decimal:
    (row,) = running.load(measures=[measure])
    return Decimal(row[measure])
