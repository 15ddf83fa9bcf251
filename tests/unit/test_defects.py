"""Defects: what the ledger says is exactly what is wrong, kind by kind, in every domain and scenario."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from floe_runtime.contract.defects import KINDS, SCENARIOS, rates
from floe_synthetic import EcommerceGenerator, SaaSGenerator, WithDefects
from floe_synthetic.damage import DAMAGE, replaced
from floe_synthetic.defects import DELAYS, LEDGER
from floe_synthetic.domain import money
from floe_synthetic.entities import GeneratesFamilies
from floe_synthetic.text_hashes import hashed

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
SINCE, UNTIL = (
    OPENED + timedelta(days=29, hours=5),
    OPENED + timedelta(days=31, hours=7),
)  # the schema drifts after 30 days

Row = tuple[tuple[str, object], ...]
Rows = list[dict[str, Any]]
Counts = Counter[tuple[str, str]]

DOMAINS: dict[str, Callable[[], GeneratesFamilies]] = {
    "ecommerce": lambda: EcommerceGenerator(customers=100, orders_per_day=150),
    "ecommerce with versions": lambda: EcommerceGenerator(customers=100, orders_per_day=150, versions=True),
    "saas": lambda: SaaSGenerator(organisations=60, events_per_user=3),
}
CASES = [(domain, scenario) for domain in ("ecommerce", "saas") for scenario in SCENARIOS]


@dataclass(frozen=True)
class Clean:
    """The window of a domain without defects, and by column the keys that exist until its end."""

    generator: GeneratesFamilies
    tables: dict[str, pa.Table]
    known: dict[str, set[str]]


@dataclass(frozen=True)
class Case:
    """A window with the defects of a scenario, and its ledger."""

    clean: Clean
    tables: dict[str, pa.Table]
    ledger: Rows

    def key(self, table: str) -> str:
        return self.clean.generator.domain.tables[table][0].name


@lru_cache
def clean_window(domain: str) -> Clean:
    generator = DOMAINS[domain]()
    known: dict[str, set[str]] = {}
    for tables in (generator.reference(UNTIL).tables, generator.batch(OPENED, UNTIL).tables):
        for rows in tables.values():
            known.setdefault(rows.column_names[0], set()).update(rows.column(0).to_pylist())
    return Clean(generator, generator.batch(SINCE, UNTIL).tables, known)


@lru_cache
def spoilt(domain: str, scenario: str, since: datetime = SINCE, until: datetime = UNTIL) -> Case:
    clean = clean_window(domain)
    tables = dict(WithDefects(clean.generator, scenario).batch(since, until).tables)
    ledger: Rows = tables.pop(LEDGER).to_pylist() if LEDGER in tables else []
    return Case(clean, tables, ledger)


def is_misread(text: str | None) -> bool:
    """Whether the text has other letters if its bytes in Latin-1 are read as UTF-8."""
    try:
        return text is not None and text.encode("latin-1").decode() != text
    except UnicodeError:
        return False


def really_wrong(case: Case) -> Counts:
    """How often each kind of defect is in each table, found without the ledger, as a test of the raw data would."""
    found: Counts = Counter()
    domain = case.clean.generator.domain
    for name, table in case.tables.items():
        texts, amounts = domain.texts(name), domain.amounts(name)
        identity = [case.key(name), "status"] if name == "orders" else [case.key(name)]  # an order has versions

        def identities(rows: Rows, columns: list[str] = identity) -> list[tuple[object, ...]]:
            return [tuple(row[one] for one in columns) for row in rows]

        rows = table.to_pylist()
        distinct = {tuple(row.items()) for row in rows}
        in_time = set(identities(case.clean.tables[name].to_pylist())) if name in case.clean.tables else set()
        found["duplicates", name] = len(rows) - len(distinct)
        found["near_duplicates", name] = len(distinct) - len(set(identities(rows)))
        found["nulls", name] = sum(row[one] is None for row in rows for one in texts)
        found["out_of_range", name] = sum(not 0 <= row[one] < 900_000 for row in rows for one in amounts)
        found["encoding", name] = sum(is_misread(row[one]) for row in rows for one in texts)
        found["late", name] = sum(one not in in_time for one in identities(rows))
        for column in domain.references(name):
            found["broken_references", name] += sum(row[column] not in case.clean.known[column] for row in rows)
    return +found


@pytest.mark.parametrize(("domain", "scenario"), [*CASES, ("ecommerce with versions", "broken")])
def test_the_ledger_says_what_is_really_wrong(domain: str, scenario: str) -> None:
    case = spoilt(domain, scenario)
    said: Counts = Counter((row["kind"], row["table_name"]) for row in case.ledger)
    drifted = said.pop(("new_columns", case.clean.generator.domain.new_column[0]), 0)

    assert said == really_wrong(case)
    assert drifted == (scenario != "clean")
    assert len({row["defect_id"] for row in case.ledger}) == len(case.ledger)
    if scenario == "broken":
        assert {kind for kind, _ in said} == set(KINDS) - {"new_columns"}


@pytest.mark.parametrize(("domain", "scenario"), CASES)
def test_reverting_what_the_ledger_says_gives_the_clean_rows(domain: str, scenario: str) -> None:
    case, after = spoilt(domain, scenario), spoilt(domain, scenario, UNTIL, UNTIL + max(DELAYS))

    for name, table in case.clean.tables.items():
        clean = Counter(tuple(row.items()) for row in table.to_pylist())
        in_time, from_before = reverted(case, name)
        arrived_later = [row for row in reverted(after, name)[1] if row in clean]
        assert Counter(in_time + arrived_later) == clean, name
        assert not set(from_before) & set(clean), name


def reverted(case: Case, name: str) -> tuple[list[Row], list[Row]]:
    """The rows of a table without their defects: those in time, and those that are late."""
    if name not in case.tables:
        return [], []
    schema = case.clean.generator.domain.schema(name)
    rows_of: dict[str, Rows] = {}
    for row in case.tables[name].select(schema.names).to_pylist():
        rows_of.setdefault(row[case.key(name)], []).append(row)
    late: Rows = []
    for entry in (one for one in case.ledger if one["table_name"] == name and one["row_key"]):
        rows, column = rows_of[entry["row_key"]], entry["column_name"]
        if entry["kind"] == "late":
            late.append(rows.pop(0))
        elif entry["kind"] == "duplicates":
            rows.remove(next(row for row in rows if rows.count(row) > 1))
        else:
            value = pa.array([entry["clean_value"]]).cast(schema.field(column).type)[0].as_py()
            wrong = next(row for row in rows if row[column] != value)
            if entry["kind"] == "near_duplicates":
                rows.remove(wrong)
            else:
                wrong[column] = value
    in_time = [row for rows in rows_of.values() for row in rows]
    return [tuple(row.items()) for row in in_time], [tuple(row.items()) for row in late]


def test_clean_data_are_the_same_bytes() -> None:
    for domain in ("ecommerce", "saas"):
        clean = clean_window(domain)
        spoilt(domain, "broken")
        assert spoilt(domain, "clean").tables == clean.tables
        assert clean.generator.batch(SINCE, UNTIL).tables == clean.tables  # also after it made defective ones
        assert WithDefects(clean.generator, {"nulls": 0}).reference(SINCE) == clean.generator.reference(SINCE)


@pytest.mark.parametrize("domain", ["ecommerce", "saas"])
def test_windows_that_follow_each_other_deliver_late_rows_exactly_once(domain: str) -> None:
    generator = clean_window(domain).generator
    late = WithDefects(generator, {"late": 0.2})
    cuts = [OPENED, OPENED + timedelta(hours=1), OPENED + timedelta(hours=30), OPENED + timedelta(days=3)]
    pieces = [late.batch(*window).tables for window in zip(cuts, [*cuts[1:], cuts[-1] + max(DELAYS)], strict=True)]
    whole = late.batch(OPENED, cuts[-1]).tables
    clean = generator.batch(OPENED, cuts[-1]).tables
    largest = {"ecommerce": "orders", "saas": "events"}[domain]

    def keys(parts: list[dict[str, pa.Table]], name: str) -> Counter[str]:
        return Counter(one for part in parts if name in part for one in part[name].column(0).to_pylist())

    for name in clean:
        until_cut, expected = keys(pieces[:-1], name), keys([clean], name)
        assert until_cut == keys([whole], name)
        everything = keys(pieces, name)
        assert {one: everything[one] for one in expected} == expected
        if name not in generator.domain.families:
            assert until_cut == expected
    assert keys(pieces[:-1], largest) != keys([clean], largest)
    entries = [row for part in pieces if LEDGER in part for row in part[LEDGER].to_pylist()]
    assert len({row["defect_id"] for row in entries}) == len(entries) > 100


def test_nothing_from_before_its_history_arrives_late() -> None:
    late = WithDefects(clean_window("ecommerce").generator, {"late": 0.5})

    assert late.batch(SINCE, UNTIL).tables[LEDGER].num_rows > 100
    assert late.batch(SINCE, UNTIL, SINCE).tables[LEDGER].num_rows == 0


def test_late_orders_arrive_together_with_their_items() -> None:
    batch = (
        WithDefects(clean_window("ecommerce").generator, {"late": 0.5}).batch(OPENED, OPENED + timedelta(days=2)).tables
    )

    assert set(batch["orders"]["order_id"].to_pylist()) == set(batch["order_items"]["order_id"].to_pylist())


def test_the_new_column_exists_from_its_day_on() -> None:
    drift = date(2026, 1, 3)
    changed = WithDefects(clean_window("ecommerce").generator, {"new_columns": 0.6}, drift=drift)
    at = datetime(2026, 1, 3, tzinfo=UTC)
    before, across, after = (
        changed.batch(at + timedelta(days=first), at + timedelta(days=last)).tables
        for first, last in ((-1, 0), (-1, 1), (1, 2))
    )

    assert "sales_channel" not in before["orders"].column_names
    # Nor is it in a table without rows, from which the loader would create it.
    quiet = changed.batch(at - timedelta(days=1), at - timedelta(days=1, microseconds=-1)).tables["orders"]
    for empty in (quiet, changed.reference(at - timedelta(days=1)).tables["orders"]):
        assert empty.num_rows == 0
        assert "sales_channel" not in empty.column_names
    assert before[LEDGER].num_rows == after[LEDGER].num_rows == 0
    assert across[LEDGER].num_rows == 1
    orders = across["orders"]
    older = orders.filter(pc.less(orders["ordered_at"], pa.scalar(at)))
    assert older["sales_channel"].null_count == older.num_rows > 0
    filled = after["orders"].num_rows - after["orders"]["sales_channel"].null_count
    assert 0.5 < filled / after["orders"].num_rows < 0.7


def test_reference_data_have_defects_too() -> None:
    changed = WithDefects(clean_window("ecommerce").generator, "broken")
    reference = changed.reference(SINCE).tables

    assert {row["table_name"] for row in reference[LEDGER].to_pylist()} == {"customers", "products"}
    assert {row["window_end"] for row in reference[LEDGER].to_pylist()} == {SINCE}


def test_another_seed_finds_other_rows() -> None:
    case = spoilt("saas", "messy")
    other = WithDefects(case.clean.generator, "messy", seed=1).batch(SINCE, UNTIL).tables[LEDGER]

    assert not {row["defect_id"] for row in case.ledger} & set(other["defect_id"].to_pylist())


@pytest.mark.parametrize("text", ["", "plain", "Müller", "Łódź", "日本", "ÿ\x7f"])
def test_misread_texts_are_utf_8_read_as_latin_1(text: str) -> None:
    wrong = DAMAGE["encoding"](pa.array(["before", text, "after"]), hashed(pa.array(["a", "b", "c"])))[1].as_py()
    marked = "\ufeff" + text if text.isascii() else text

    assert wrong == marked.encode().decode("latin-1")


def test_hashes_of_texts_do_not_depend_on_their_neighbours() -> None:
    texts = ["", "a", "abcdefgh", "abcdefghi", "o894n2pkyr3z5-01", "ä" * 30, "a" * 8, "a" * 16]
    alone = [int(hashed(pa.array([text]))[0]) for text in texts]

    assert hashed(pa.array(["x", *texts]).slice(1)).tolist() == alone
    assert len(set(alone)) == len(texts)


def test_rates_are_scenarios_and_changes_of_them() -> None:
    assert rates([]) == {}
    assert rates(["messy", "late=0.2"]) == {**SCENARIOS["messy"], "late": 0.2}
    assert rates(["nulls=0.5"]) == {"nulls": 0.5}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dirty"], "there is no scenario 'dirty', only clean, messy, broken"),
        (["typos=0.1"], "there is no defect 'typos', only nulls,"),
        (["nulls=-0.1"], "the rate of nulls must be from 0 to 0.5, and is -0.1"),
        (["late=0.6"], "the rate of late must be from 0 to 0.5, and is 0.6"),
        (["nulls=nan"], "the rate of nulls must be"),
        (["nulls=many"], "the rate 'many' of nulls is not a number"),
        (["nulls=0.5", "duplicates=0.4", "encoding=0.2"], "are 1.1 together, and must be at most 1"),
    ],
)
def test_rates_that_make_no_sense_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rates(words)


def test_unknown_scenarios_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no scenario 'dirty'"):
        WithDefects(clean_window("saas").generator, "dirty")


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        (pa.array(["a-1", "b-2", "c-3", "d-4"]), pa.array(["b-u", "d-u"])),
        (pa.array(["a", "bb", "c", "dd"]), pa.array(["bbb", "d"])),
        (pa.array(["a", "b", "c", "d"]), pa.nulls(2, pa.string())),
        (pa.array([None, "b", "c", "d"]), pa.array(["x", "y"])),
        (pa.array(["-", "a", "b", "c", "d"]).slice(1), pa.array(["x", "y"])),
        (pa.array([1, 2, 3, 4], pa.int32()), pa.array([0, -5, -7], pa.int32()).slice(1)),
        (money(np.array([1, 2, 3, 4])), money(np.array([-5, 10**9]))),
    ],
    ids=["keys", "texts of other lengths", "nothing", "with nulls", "a slice", "numbers", "money"],
)
def test_only_the_chosen_rows_of_a_column_are_replaced(column: pa.Array, wrong: pa.Array) -> None:
    before = column.to_pylist()
    after = replaced(column, np.array([1, 3]), wrong)

    after.validate(full=True)
    assert after.to_pylist() == [before[0], wrong[0].as_py(), before[2], wrong[1].as_py()]
    assert column.to_pylist() == before
