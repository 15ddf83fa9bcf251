"""Many starts of the real Cube, with clients that ask at once while it builds its rollup and publications come.

The refresh worker and each request may build the same rollup at the same time. `FLOE_STARTS=50` starts Cube so often.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cube_server import REVENUE_BY_DAY, Served, Shop, by_day, day, serving, until
from floe.demo import cube
from floe.errors import FloeError

STARTS = int(os.environ.get("FLOE_STARTS", "2"))
SECONDS = 30
CLIENTS, ANSWERS = 6, 60
BY_CATEGORY: dict[str, Any] = REVENUE_BY_DAY | {"dimensions": ["products.category"]}
QUERIES = (REVENUE_BY_DAY, BY_CATEGORY, {"measures": ["orders.count", "order_items.revenue", "customers.count"]})


class Clients:
    """Threads that ask without a pause, each another query first, until they are stopped."""

    def __init__(self, running: Served) -> None:
        """Start them."""
        self.refused: list[str] = []
        self.answers = 0
        self._running, self._done, self._limits = running, threading.Event(), itertools.count()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        while not self._done.is_set():
            number += 1
            try:
                # Another limit makes it another query, so that no answer comes from Cube's cache of answers.
                self._running.answer(QUERIES[number % len(QUERIES)] | {"limit": 1000 + next(self._limits)})
            except FloeError as error:
                self.refused.append(str(error))
            self.answers += 1

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("start", range(STARTS))
def test_no_client_is_refused_while_the_rollup_is_built(
    installed: cube.CubeInstall, shop: Shop, tmp_path: Path, start: int
) -> None:
    Shop(orders=60).write(tmp_path / "marts")
    began = time.monotonic()
    with serving(installed, tmp_path / "marts", "livez") as running:
        clients = Clients(running)
        try:
            until(True, lambda: clients.answers > 0)
            for published in (Shop(orders=30), Shop(orders=60), shop):
                time.sleep(1 + 0.15 * (start % 10))  # at other moments in each start
                published.write(running.marts)
            last = time.monotonic()
            while by_day(running) != shop.revenue_by(day):
                assert time.monotonic() - last < SECONDS, clients.refused
            final = time.monotonic() - began
            until(True, lambda: clients.answers >= ANSWERS)
        finally:
            clients.stop()
    print(
        f"start {start + 1}: final rows after {final:.1f} s, {clients.answers} answers, {len(clients.refused)} refused"
    )
    assert not clients.refused
