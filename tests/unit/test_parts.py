"""Where the parts of a run end, which reads its raw rows in the order of their loads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_runtime.parts import ends_of_parts

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
LOADS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 300)), max_size=40)


@pytest.mark.parametrize(
    ("rows", "most", "ends"),
    [
        ([], 10, []),
        ([10], 10, []),
        ([5, 5], 10, []),
        ([5, 6], 10, [0]),
        ([50, 1], 10, [0]),
        ([5, 5, 5, 5, 5], 10, [1, 3]),
        ([1, 50, 1], 10, [0, 1]),
    ],
)
def test_a_part_ends_before_it_has_too_many_rows(rows: list[int], most: int, ends: list[int]) -> None:
    loads = [(BEGIN + number * timedelta(hours=1), count) for number, count in enumerate(rows)]
    assert list(ends_of_parts(loads, most)) == [BEGIN + number * timedelta(hours=1) for number in ends]


@given(LOADS, st.integers(1, 500))
def test_parts_have_all_rows_and_only_a_single_load_has_too_many(files: list[tuple[int, int]], most: int) -> None:
    loads = [(BEGIN + hour * timedelta(hours=1), rows) for hour, rows in files]
    ends = list(ends_of_parts(reversed(loads), most))
    assert ends == sorted(set(ends))
    last = BEGIN + timedelta(days=9)
    for before, until in zip([BEGIN - timedelta(days=1), *ends], [*ends, last], strict=True):
        times = {at: sum(rows for other, rows in loads if other == at) for at, _ in loads if before < at <= until}
        assert sum(times.values()) <= most or len([rows for rows in times.values() if rows]) == 1
