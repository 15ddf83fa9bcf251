"""Properties of the software service's data, and of defects, for random seeds, sizes, rates and windows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from floe_runtime.contract.defects import KINDS
from floe_synthetic import Batch, SaaSGenerator, WithDefects
from floe_synthetic.defects import DELAYS, LEDGER
from floe_synthetic.saas import SAAS
from fuzz import inputs

a_few = settings(max_examples=inputs(6), deadline=None)

OPENED = date(2025, 3, 1)
FIRST = datetime(2025, 3, 1, tzinfo=UTC)

Sizes = dict[str, Any]
sizes = st.fixed_dictionaries(
    {
        "seed": st.sampled_from((42, -(2**63), 2**64)),  # names of each seed take time
        "organisations": st.integers(0, 30),
        "organisations_per_day": st.floats(0, 2),
        "events_per_user": st.floats(0, 3),
    }
)
moments = st.integers(0, 40 * 86_400_000_000).map(lambda number: FIRST + timedelta(microseconds=number))
windows = st.lists(moments, min_size=2, max_size=5, unique=True).map(sorted)
row_rates = st.dictionaries(st.sampled_from(sorted(set(KINDS) - {"new_columns"})), st.floats(0, 0.16))


def service(sizes: Sizes) -> SaaSGenerator:
    return SaaSGenerator(**sizes, opened=OPENED)


def rows(batch: Batch, table: str) -> list[dict[str, Any]]:
    return list(batch.tables[table].to_pylist()) if table in batch.tables else []


def in_order(batches: list[Batch]) -> dict[str, list[str]]:
    """The rows of each table, sorted."""
    return {name: sorted(str(row) for batch in batches for row in rows(batch, name)) for name in SAAS.tables}


@a_few
@given(sizes=sizes, ends=windows)
def test_windows_give_the_rows_of_the_whole_window_however_it_is_cut(sizes: Sizes, ends: list[datetime]) -> None:
    whole = service(sizes).batch(ends[0], ends[-1])
    parts = service(sizes)

    assert in_order([parts.batch(*window) for window in reversed([*pairwise(ends)])]) == in_order([whole])


@a_few
@given(sizes=sizes, ends=windows)
def test_every_row_refers_to_rows_that_exist_and_has_its_own_key(sizes: Sizes, ends: list[datetime]) -> None:
    generator = service(sizes)
    batches = [generator.reference(FIRST), generator.batch(FIRST, ends[-1])]
    keys: dict[str, list[str]] = {}
    for name, columns in SAAS.tables.items():
        keys[columns[0].name] = [row[columns[0].name] for batch in batches for row in rows(batch, name)]

    assert all(len(set(known)) == len(known) for known in keys.values())
    for name in SAAS.tables:
        for column in SAAS.references(name):
            assert {row[column] for batch in batches for row in rows(batch, name)} <= set(keys[column])
    assert all(row["total"] == row["seats"] * row["seat_price"] for row in rows(batches[1], "invoices"))


@a_few
@given(sizes=sizes, ends=windows, rates=row_rates, seed=st.integers(0, 9))
def test_defects_neither_lose_a_row_nor_invent_one(
    sizes: Sizes, ends: list[datetime], rates: dict[str, float], seed: int
) -> None:
    generator = service(sizes)
    changed = WithDefects(generator, rates, seed)
    cuts = [FIRST, *(end for end in ends if end > FIRST), ends[-1] + max(DELAYS)]
    parts = [changed.batch(*window) for window in pairwise(cuts)]
    twice = Counter(
        (row["table_name"], row["row_key"])
        for part in parts
        for row in rows(part, LEDGER)
        if row["kind"] in ("duplicates", "near_duplicates")
    )

    for name, columns in SAAS.tables.items():
        key = columns[0].name
        clean = {row[key] for row in rows(generator.batch(FIRST, ends[-1]), name)} if ends[-1] > FIRST else set()
        arrived = Counter(row[key] for part in parts for row in rows(part, name))
        assert {one: arrived[one] for one in clean} == {one: 1 + twice[name, one] for one in clean}
