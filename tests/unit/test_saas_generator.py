"""The generator of a software service's data: references, life cycles, amounts, windows, and its patterns.

Each pattern has a test with a p-value: the probability of data like these if there were no pattern. The same test must
not find the pattern in flat data.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from floe_synthetic import Batch, SaaSGenerator
from floe_synthetic.calendar import FLAT
from floe_synthetic.saas import ACTIONS, OFFICE, PLANS, PRICES, REGIONS, SAAS
from p_values import more, upper

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 2, 20, 13, 7, tzinfo=UTC), datetime(2026, 3, 20, 5, 31, tzinfo=UTC)
NEVER, LIKELY = 1e-6, 1e-3  # a p-value below the first shows a pattern; one above the second shows none

Ints = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def generator() -> SaaSGenerator:
    return SaaSGenerator(organisations=120, organisations_per_day=2, events_per_user=2)


@pytest.fixture(scope="module")
def month(generator: SaaSGenerator) -> Batch:
    return generator.batch(SINCE, UNTIL)


@pytest.fixture(scope="module")
def known(generator: SaaSGenerator, month: Batch) -> dict[str, pa.Table]:
    """The reference data of the month and the month."""
    before = generator.reference(SINCE).tables
    return {
        name: pa.concat_tables([part[name] for part in (before, month.tables) if name in part]) for name in SAAS.tables
    }


def in_order(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    return {name: rows.sort_by(rows.column_names[0]) for name, rows in tables.items()}


def joined(rows: pa.Table, column: str, targets: pa.Table, wanted: str) -> list[datetime]:
    """For each row the value of a column of the row that it refers to."""
    place = pc.index_in(rows[column], value_set=targets[targets.column_names[0]].combine_chunks())
    values: list[datetime] = targets[wanted].take(place).to_pylist()
    return values


def payers(known: dict[str, pa.Table]) -> dict[str, str]:
    """The organisation of each subscription."""
    rows = known["subscriptions"]
    return dict(zip(rows["subscription_id"].to_pylist(), rows["organisation_id"].to_pylist(), strict=True))


def test_tables_have_the_documented_schema_in_loading_order(month: Batch) -> None:
    assert list(month.tables) == list(SAAS.tables)
    for name, rows in month.tables.items():
        assert rows.schema == SAAS.schema(name)
        rows.validate(full=True)
        assert all(column.null_count == 0 for column in rows.columns)


def test_every_reference_has_a_target_and_every_key_is_unique(known: dict[str, pa.Table], month: Batch) -> None:
    keys = {rows.column_names[0]: rows.column(0) for rows in known.values()}
    for name, rows in known.items():
        assert pc.count_distinct(rows.column(0)).as_py() == rows.num_rows
        if name != "invoice_events":  # it continues invoices of the months before
            for column in SAAS.references(name):
                assert pc.all(pc.is_in(rows[column], value_set=keys[column].combine_chunks())).as_py(), (name, column)
    assert set(month.tables) == set(SAAS.tables)


def test_users_sign_up_after_their_organisation_which_has_one_owner(known: dict[str, pa.Table]) -> None:
    users, organisations = known["users"], known["organisations"]
    founded = joined(users, "organisation_id", organisations, "created_at")
    owners = users.filter(pc.equal(users["role"], "owner"))

    assert all(first <= at for first, at in zip(founded, users["created_at"].to_pylist(), strict=True))
    assert owners.num_rows == organisations.num_rows
    assert pc.count_distinct(owners["organisation_id"]).as_py() == organisations.num_rows
    assert pc.count_distinct(users["email"]).as_py() == users.num_rows


def test_subscriptions_change_only_while_they_run(known: dict[str, pa.Table]) -> None:
    lives: dict[str, list[tuple[str, str]]] = {}
    for row in known["subscription_events"].sort_by("occurred_at").to_pylist():
        lives.setdefault(row["subscription_id"], []).append((row["change"], row["plan"]))

    assert set(lives) == set(known["subscriptions"]["subscription_id"].to_pylist())
    for changes in lives.values():
        assert [name for name, _ in changes].index("started") == 0
        assert "cancelled" not in [name for name, _ in changes[:-1]]
        for (_, before), (name, plan) in pairwise(changes):
            step = {"upgraded": 1, "downgraded": -1, "cancelled": 0}[name]
            assert PLANS.index(plan) - PLANS.index(before) == step
    assert {name for changes in lives.values() for name, _ in changes} == {
        "started", "upgraded", "downgraded", "cancelled",
    }  # fmt: skip


def test_events_come_from_users_of_organisations_with_a_running_subscription(
    known: dict[str, pa.Table], month: Batch
) -> None:
    changes = known["subscription_events"].to_pylist()
    payer = payers(known)
    started = {payer[row["subscription_id"]]: row["occurred_at"] for row in changes if row["change"] == "started"}
    ended = {payer[row["subscription_id"]]: row["occurred_at"] for row in changes if row["change"] == "cancelled"}
    events = month.tables["events"]
    signed_up = joined(events, "user_id", known["users"], "created_at")
    employers = joined(events, "user_id", known["users"], "organisation_id")

    assert events.num_rows > 1000
    for row, first, employer in zip(events.to_pylist(), signed_up, employers, strict=True):
        organisation = row["organisation_id"]
        assert organisation == employer
        assert SINCE <= row["occurred_at"] < UNTIL
        assert max(first, started[organisation]) <= row["occurred_at"] < ended.get(organisation, UNTIL)
    assert set(events["action"].to_pylist()) == set(ACTIONS)


def test_invoices_bill_each_running_subscription_for_its_users(known: dict[str, pa.Table], month: Batch) -> None:
    begins = datetime(2026, 3, 1, tzinfo=UTC)
    seats: dict[str, int] = {}
    for row in known["users"].to_pylist():
        if row["created_at"] < begins:
            seats[row["organisation_id"]] = seats.get(row["organisation_id"], 0) + 1
    plan: dict[str, str] = {}
    for row in known["subscription_events"].sort_by("occurred_at").to_pylist():
        if row["occurred_at"] <= begins:
            plan[row["subscription_id"]] = row["plan"] if row["change"] != "cancelled" else ""
    billed = month.tables["invoices"].to_pylist()

    assert {row["subscription_id"] for row in billed} == {one for one, name in plan.items() if name}
    for row in billed:
        price = int(PRICES[PLANS.index(plan[row["subscription_id"]])])
        assert row["seats"] == seats[payers(known)[row["subscription_id"]]]
        assert (int(row["seat_price"] * 100), int(row["total"] * 100)) == (price, price * row["seats"])
        assert begins <= row["issued_at"] < begins + timedelta(hours=4)


def test_invoices_are_paid_once_and_overdue_ones_later(generator: SaaSGenerator) -> None:
    tables = generator.batch(OPENED, OPENED + timedelta(days=150)).tables
    invoices = {row["invoice_id"]: row for row in tables["invoices"].to_pylist()}
    status: dict[tuple[str, str], datetime] = {}
    for row in tables["invoice_events"].to_pylist():
        assert (row["status"], row["invoice_id"]) not in status
        status[row["status"], row["invoice_id"]] = row["occurred_at"]

    settled = [one for name, one in status if name == "paid"]
    assert 0.7 < len(settled) / len(invoices) < 1
    for (name, one), at in status.items():
        assert at >= invoices[one]["issued_at"]
        if name == "overdue":
            assert at == invoices[one]["due_at"]
            assert status.get(("paid", one), datetime.max.replace(tzinfo=UTC)) > at


def test_windows_that_follow_each_other_give_the_rows_of_the_whole_window() -> None:
    whole = SaaSGenerator(organisations=60, events_per_user=1).batch(SINCE, UNTIL).tables
    cuts = [SINCE, SINCE + timedelta(microseconds=1), datetime(2026, 3, 1, tzinfo=UTC),
            datetime(2026, 3, 1, 2, 13, 5, 17, tzinfo=UTC), datetime(2026, 3, 14, 12, tzinfo=UTC), UNTIL]  # fmt: skip
    pieces: dict[str, list[pa.Table]] = {}
    fresh = SaaSGenerator(organisations=60, events_per_user=1)
    for since, until in reversed([*pairwise(cuts)]):
        for name, rows in fresh.batch(since, until).tables.items():
            pieces.setdefault(name, []).append(rows)

    assert in_order({name: pa.concat_tables(pieces[name]) for name in whole}) == in_order(whole)


def test_reference_data_continue_in_the_windows(generator: SaaSGenerator, known: dict[str, pa.Table]) -> None:
    later = {name: rows for name, rows in in_order(generator.reference(UNTIL).tables).items() if rows.num_rows}

    assert later == {name: rows for name, rows in in_order(known).items() if name in later}
    assert len(later) == 4


def test_a_history_that_begins_later_continues_no_invoice_from_before(generator: SaaSGenerator, month: Batch) -> None:
    begun = generator.batch(SINCE, UNTIL, SINCE).tables
    paid = set(begun["invoice_events"]["invoice_id"].to_pylist())

    assert paid <= set(begun["invoices"]["invoice_id"].to_pylist())
    assert 0 < len(paid) < month.tables["invoice_events"].num_rows
    assert begun["events"] == month.tables["events"]
    with pytest.raises(ValueError, match="before the opening"):
        generator.batch(SINCE, UNTIL, UNTIL)


def test_another_seed_makes_other_data(month: Batch) -> None:
    other = SaaSGenerator(7, organisations=120, organisations_per_day=2, events_per_user=2).batch(SINCE, UNTIL)

    assert all(other.tables[name] != rows for name, rows in month.tables.items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"organisations": -1}, "organisations"),
        ({"organisations_per_day": float("nan")}, "organisations_per_day"),
        ({"events_per_user": -0.5}, "events_per_user must be from 0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SaaSGenerator(**arguments)  # type: ignore[arg-type] # the names come from a table


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        (UNTIL, SINCE, "not after its start"),
        (OPENED - timedelta(days=1), UNTIL, "before the opening"),
        (SINCE.replace(tzinfo=None), UNTIL, "no time zone"),
    ],
)
def test_windows_that_make_no_sense_are_refused(
    generator: SaaSGenerator, since: datetime, until: datetime, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generator.batch(since, until)


# The patterns

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def weeks() -> dict[bool, pa.Table]:
    """Two weeks of events with the default patterns and, as True, with flat ones."""
    return {
        flat: SaaSGenerator(organisations=400, events_per_user=6, patterns=FLAT if flat else OFFICE)
        .batch(MONDAY, MONDAY + timedelta(days=14))
        .tables["events"]
        for flat in (False, True)
    }


@pytest.fixture(scope="module")
def countries() -> dict[bool, dict[str, str]]:
    """The country of each organisation, by the same keys."""
    found = {}
    for flat in (False, True):
        generator = SaaSGenerator(organisations=400, events_per_user=6, patterns=FLAT if flat else OFFICE)
        rows = generator.reference(MONDAY + timedelta(days=14)).tables["organisations"]
        found[flat] = dict(zip(rows["organisation_id"].to_pylist(), rows["country"].to_pylist(), strict=True))
    return found


def local_hours(events: pa.Table, country_of: dict[str, str], country: str, zone: str) -> Ints:
    """The events of a country by hour of its local time, (24)."""
    members = pa.array([one for one, where in country_of.items() if where == country])
    at = events.filter(pc.is_in(events["organisation_id"], value_set=members))["occurred_at"]
    offset = MONDAY.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    micros = at.cast(pa.int64()).to_numpy() + int(offset.total_seconds() * 1e6)
    return np.bincount(micros // 3_600_000_000 % 24, minlength=24)


OF_HOURS: dict[str, Callable[[Ints], float]] = {
    "the morning is busy and the night is not": lambda hours: more(hours[10:12].sum(), hours[2:4].sum(), 20),
    "people have lunch": lambda hours: max(more(hours[busy], hours[12], 1.15) for busy in (10, 14)),
    "evenings are quiet": lambda hours: more(hours[14:16].sum(), hours[20:22].sum(), 3),
}


@pytest.mark.parametrize("pattern", OF_HOURS)
def test_offices_work_in_their_own_time(
    weeks: dict[bool, pa.Table], countries: dict[bool, dict[str, str]], pattern: str
) -> None:
    for region in REGIONS:
        p_values = {
            flat: OF_HOURS[pattern](local_hours(weeks[flat], countries[flat], region.country, region.zone))
            for flat in (False, True)
        }
        assert p_values[False] < NEVER, (region, p_values)
        assert p_values[True] > LIKELY, (region, p_values)


def test_weekends_are_quiet(weeks: dict[bool, pa.Table]) -> None:
    p_values = {}
    for flat, events in weeks.items():
        days = np.bincount(events["occurred_at"].cast(pa.int64()).to_numpy() // 86_400_000_000 % 7, minlength=7)
        saturday, wednesday = days[2], days[6]  # 1970-01-01 was a Thursday
        p_values[flat] = more(wednesday, saturday, 2)

    assert p_values[False] < NEVER
    assert p_values[True] > LIKELY


@pytest.fixture(scope="module")
def years() -> dict[bool, dict[str, pa.Table]]:
    """A year of organisations and their subscriptions, without events."""
    end = OPENED + timedelta(days=366)
    return {
        flat: SaaSGenerator(
            organisations=3000, organisations_per_day=10, events_per_user=0, patterns=FLAT if flat else OFFICE
        )
        .reference(end)
        .tables
        for flat in (False, True)
    }


def test_more_organisations_sign_up_every_month(years: dict[bool, dict[str, pa.Table]]) -> None:
    p_values = {}
    for flat, tables in years.items():
        days = (tables["organisations"]["created_at"].cast(pa.int64()).to_numpy() // 86_400_000_000) - 20454
        p_values[flat] = more(int(((days >= 274) & (days < 365)).sum()), int(((days >= 0) & (days < 91)).sum()))

    assert p_values[False] < NEVER
    assert p_values[True] > LIKELY


def losses(lives: npt.NDArray[np.float64], first: float, last: float) -> tuple[int, int]:
    """(how many end, how many do not) between two ages in days, of those that reach the first."""
    ends = int(((lives >= first) & (lives < last)).sum())
    return ends, int((lives >= last).sum())


def early_leaving(lives: npt.NDArray[np.float64]) -> float:
    """The p-value of lives if one that has lasted for 200 days ended as easily as a new one."""
    (young, young_stay), (old, old_stay) = losses(lives, 1, 91), losses(lives, 200, 290)
    part = (young + old) / (young + old + young_stay + old_stay)
    at_risk_young, at_risk_old = young + young_stay, old + old_stay
    spread = np.sqrt(part * (1 - part) * (1 / at_risk_young + 1 / at_risk_old))
    return upper(float((young / at_risk_young - old / at_risk_old) / spread))


def test_a_cohort_loses_most_at_first_and_keeps_the_rest(years: dict[bool, dict[str, pa.Table]]) -> None:
    changes = years[False]["subscription_events"].sort_by("occurred_at").to_pylist()
    started = {row["subscription_id"]: row["occurred_at"] for row in changes if row["change"] == "started"}
    ended = {row["subscription_id"]: row["occurred_at"] for row in changes if row["change"] == "cancelled"}
    before = OPENED + timedelta(days=366 - 290)  # of these, 290 days are known
    lives = np.array(
        [
            (ended[one] - at).total_seconds() / 86400 if one in ended else 10_000.0
            for one, at in started.items()
            if at < before
        ]
    )
    retained = [float((lives >= 30 * months).mean()) for months in (1, 3, 6, 9)]
    constant = np.random.Generator(np.random.PCG64(1)).exponential(700, len(lives))

    assert early_leaving(lives) < NEVER
    assert early_leaving(constant) > LIKELY
    assert retained == sorted(retained, reverse=True)
    assert retained[0] > 0.85
    assert 0.4 < retained[-1] < 0.75


def test_the_day_of_the_opening_is_an_argument() -> None:
    late = SaaSGenerator(organisations=5, opened=date(2026, 6, 1))

    with pytest.raises(ValueError, match="before the opening"):
        late.batch(SINCE, UNTIL)
    assert late.reference(datetime(2026, 6, 1, tzinfo=UTC)).tables["organisations"].num_rows == 5
