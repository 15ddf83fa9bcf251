"""`floe generate`: files that are complete or not there, the profile, and bad input."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from floe import cli, repo
from floe.contract.files import load
from floe.errors import FloeError
from floe.generate.profile import SHAPES, Panel, Profile
from floe.generate.request import request
from floe.generate.run import Report
from floe_runtime.connect import open_catalog
from floe_runtime.contract.platform import Platform
from floe_synthetic import Batch, SaaSGenerator, WithDefects
from floe_synthetic.domain import SHOP
from floe_synthetic.entities import Families
from floe_synthetic.saas import SAAS

ROOT = Path(__file__).parents[2]
WEEKS = ["--since", "2026-02-24", "--until", "2026-03-10"]
SMALL = ["saas", *WEEKS, "--rate", "0.2"]


def generate(*arguments: str | Path) -> Report:
    """The report of a run in this process."""
    done = CliRunner().invoke(cli.app, ["generate", *map(str, arguments), "--json"])
    if done.exception:
        raise done.exception
    return Report.model_validate_json(done.stdout)


def expected(since: str, until: str, defects: str = "clean") -> dict[str, pa.Table]:
    """The same tables without the command: what was before the window, and the window."""
    wanted = request("saas", since, until, None, 42, 0.2, "2026-01-01", [defects])
    assert wanted.until
    parts: list[Batch] = [
        wanted.generator.reference(wanted.since),
        wanted.generator.batch(wanted.since, wanted.until, wanted.since),
    ]
    names = wanted.generator.domain.tables
    return {
        name: pa.concat_tables([part.tables[name] for part in parts if name in part.tables], promote_options="default")
        for name in names
        if any(name in part.tables for part in parts)
    }


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files_hold_what_was_before_and_what_happens(tmp_path: Path, kind: str) -> None:
    report = generate(*SMALL, "--out", tmp_path / "a" / "data", "--format", kind)

    tables = expected("2026-02-24", "2026-03-10")
    assert {path.stem for path in (tmp_path / "a" / "data").iterdir()} == set(tables) == set(SAAS.tables)
    for name, rows in tables.items():
        path = tmp_path / "a" / "data" / f"{name}.{kind}"
        read = pq.read_table(path) if kind == "parquet" else pa.ipc.open_file(path).read_all()
        assert read == rows
        assert report.tables[name].rows == rows.num_rows
        assert report.tables[name].bytes == path.stat().st_size
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["data"]


def test_defects_are_in_the_files_with_their_ledger(tmp_path: Path) -> None:
    generate("saas", "--since", "2026-01-25", "--until", "2026-02-03", "--rate", "0.2", "--defects", "messy", "--out",
             tmp_path / "data")  # fmt: skip

    tables = expected("2026-01-25", "2026-02-03", "messy")
    for name, rows in tables.items():
        assert pq.read_table(tmp_path / "data" / f"{name}.parquet").select(rows.column_names) == rows
    devices = pq.read_table(tmp_path / "data" / "events.parquet")["device"]  # a column that appears on 31 January
    assert 0 < devices.null_count < len(devices)
    assert tables["defects"].num_rows > 10


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(*SMALL, "--out", tmp_path / name, "--defects", "broken")

    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()
    }


def test_rows_end_with_the_window_that_reaches_them() -> None:
    wanted = request("saas", None, None, 3000, 42, 1, "2026-01-01", [])
    happened = sum(rows.num_rows for _, rows in wanted.parts())
    happened -= sum(rows.num_rows for rows in SaaSGenerator(42, 300, 1).reference(wanted.since).tables.values())

    assert 3000 <= happened < 4500


def test_the_profile_shows_and_draws_the_patterns(tmp_path: Path) -> None:
    report = generate(*SMALL, "--profile", "--out", tmp_path / "data")

    assert set(report.profile) >= {"US, hour", "AU, hour", "weekday", "week", "action", "plan"}
    assert report.profile["weekday"].startswith("▇") or report.profile["weekday"].startswith("█")
    assert "Sun has 0." in report.profile["weekday"] or "Sun 0." in report.profile["weekday"]
    assert report.profile["action"].startswith("view 5")
    assert (tmp_path / "data" / "profile.png").read_bytes().startswith(b"\x89PNG")
    image = ET.parse(tmp_path / "data" / "profile.svg").getroot()  # noqa: S314 - the test has just made the file
    texts = [one.text for one in image.iter("{http://www.w3.org/2000/svg}text")]
    assert {"floe generate saas", "weekday", "Mon", "view"} <= set(texts)


def test_a_profile_without_a_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = generate("ecommerce", "--since", "2026-03-03", "--until", "2026-03-04", "--rate", "200", "--profile")

    assert report.tables["orders"].bytes == 0
    assert report.profile["week"] == "nothing"
    assert "card" in report.profile["payment method"]
    assert not list(tmp_path.iterdir())


def test_a_weekday_that_a_window_has_twice_is_not_busier_for_that() -> None:
    counted = Profile(SHAPES["ecommerce"], since=0)  # a Thursday
    counted.add("customers", pa.table({"customer_id": ["c"], "country": ["GB"], "segment": ["consumer"]}))
    noons = [timedelta(days=day, hours=12) // timedelta(microseconds=1) for day in range(8)]
    at = pa.array(noons).cast(pa.timestamp("us", "UTC"))
    counted.add("orders", pa.table({"customer_id": ["c"] * 8, "ordered_at": at, "payment_method": ["card"] * 8}))
    panels = {panel.title: panel.counts for panel in counted.panels()}

    assert panels["weekday"] == dict.fromkeys(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), 1)
    assert panels["week"] == {"01 Jan 70": 7}


def test_a_chart_shows_the_highest_and_the_lowest() -> None:
    assert Panel("week", {"a": 1, "b": 4, "c": 10}).line() == "▁▃█  c has 2.00 times the mean, a 0.20"
    assert Panel("kind", {"a": 1, "b": 3}, is_mix=True).line() == "a 25.0%, b 75.0%"


def test_the_output_for_people_names_rows_and_pace(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["generate", *SMALL, "--out", str(tmp_path / "data"), "--profile"])

    assert done.exit_code == 0
    assert "rows" in done.output
    assert "a second" in done.output
    assert "weekday" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["books", *WEEKS, "--profile"], "there is no domain 'books'"),
        (["saas", *WEEKS], "there is nothing to do"),
        (["saas", "--since", "2026-03-01", "--until", "2026-02-01", "--profile"], "not after its start"),
        (["saas", "--since", "2024-03-01", "--until", "2026-02-01", "--profile"], "before the opening"),
        (["saas", "--since", "yesterday", "--until", "2026-02-01", "--profile"], "--since is no time: 'yesterday'"),
        (["saas", "--profile"], "give either --until TIME or --rows N"),
        (["saas", *WEEKS, "--rows", "5", "--profile"], "give either --until TIME or --rows N"),
        (["saas", "--rows", "-5", "--profile"], "--rows must be at least 1"),
        (["saas", "--rows", "99999999999999999999", "--profile"], "at most 1000000000000, and is 99999999999999999999"),
        (["saas", "--until", "9999-12-31", "--profile"], "after 2600-01-01, the end of what can be generated"),
        (["ecommerce", "--until", "9999-12-31", "--to", "dev"], "after 2600-01-01, the end of"),
        (["saas", "--since", "0001-01-01T00:00+10:00", "--rows", "5", "--profile"], "--since is no time"),
        (["saas", "--since", "2026-03-01T00:00 Mars/Phobos", "--rows", "5", "--profile"], "--since is no time"),
        (["saas", *WEEKS, "--opened", "0001-01-01", "--profile"], "opened must be from 1971-01-01 to 2600-01-01"),
        (["saas", *WEEKS, "--rate", "-1", "--profile"], "--rate must be above 0, and is -1"),
        (["ecommerce", *WEEKS, "--rate", "nan", "--profile"], "--rate must be above 0, and is nan"),
        (["ecommerce", *WEEKS, "--rate", "1e15", "--profile"], "orders_per_day must be"),
        (["saas", *WEEKS, "--defects", "typos=1", "--profile"], "there is no defect 'typos'"),
        (["saas", *WEEKS, "--defects", "dirty", "--profile"], "there is no scenario 'dirty'"),
        (["saas", *WEEKS, "--defects", "nulls=2", "--profile"], "the rate of nulls must be from 0 to 0.5"),
        (["saas", *WEEKS, "--format", "csv", "--profile"], "there is no format 'csv'"),
        (["saas", *WEEKS, "--to", "dev", "--profile"], "--to goes with neither --out nor --profile"),
        (["saas", *WEEKS, "--profile", "--namespace", "raw"], "--namespace must be a name like raw, and goes with"),
        (["saas", *WEEKS, "--to", "dev", "--namespace", "a b"], "--namespace must be a name like raw"),
        (["saas", "--rows", "10", "--to", "dev"], "--to needs an end, not a number of rows"),
        (["saas", *WEEKS, "--to", "nowhere"], "there is no overlay 'nowhere'"),
        (["saas", *WEEKS, "--to", "prod"], "prod has no synthetic data: its platform.yaml does not say"),
        (["saas", *WEEKS, "--to", "dev"], "the environment variable AWS_ACCESS_KEY_ID is not set"),
    ],
)
def test_bad_input_gives_a_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(FloeError) as error:
        generate(*arguments)
    assert message in error.value.message
    assert error.value.hint


def test_a_folder_with_files_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")

    for target, message in ((tmp_path, "has files already"), (tmp_path / "mine", "is a file")):
        with pytest.raises(FloeError, match=message):
            generate(*SMALL, "--out", target)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "keep"


def test_every_reference_in_the_files_has_its_row(tmp_path: Path) -> None:
    window = ["--since", "2026-03-01", "--until", "2026-03-08", "--rate", "200"]
    generate("ecommerce", *window, "--out", tmp_path / "data")

    tables = {name: pq.read_table(tmp_path / "data" / f"{name}.parquet") for name in SHOP.tables}
    keys = {rows.column_names[0]: set(rows[0].to_pylist()) for rows in tables.values()}
    for name, rows in tables.items():
        for column in SHOP.references(name):
            assert set(rows[column].to_pylist()) <= keys[column], (name, column)
    assert tables["order_events"].num_rows > 500


@contextmanager
def little_room(size: int = 20_000) -> Iterator[None]:
    """During the block no file may become larger than so many bytes: the write then fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)  # pytest's own output may go to a larger file


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_full_disk_gives_a_sentence_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    with little_room(), pytest.raises(FloeError, match=r"could not be written: .*[Ff]ile too large"):
        generate(*SMALL, "--out", tmp_path / "data", "--format", kind)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = (tmp_path / f".data.{process}.part" for process in (ended.pid, os.getppid()))
    for left in (dead, alive):
        left.mkdir()
        (left / "events.parquet").write_text("half")
    generate(*SMALL, "--out", tmp_path / "data")

    assert {path.name for path in tmp_path.iterdir()} == {"data", alive.name}


def test_a_rate_that_never_reaches_the_rows_ends() -> None:
    class Nothing(SaaSGenerator):
        def _parts(self, start: int, end: int, oldest: int, families: Families) -> Iterator[tuple[str, pa.Table]]:
            del start, end, oldest, families
            yield from ()

    from dataclasses import replace

    wanted = replace(request("saas", None, None, 10, 42, None, "2026-01-01", []), generator=Nothing())
    with pytest.raises(FloeError, match="20 years have only 0 rows"):
        list(wanted.parts())


def test_a_generator_with_defects_is_made_only_if_they_are_asked_for() -> None:
    for words, kind in (([], SaaSGenerator), (["clean"], SaaSGenerator), (["nulls=0.1"], WithDefects)):
        assert type(request("saas", None, None, 1, 42, None, "2026-01-01", words).generator) is kind


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that has only the embedded environment."""
    for name in ("platform.yaml", "floe.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("overlays", "base"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("FLOE_ROOT", str(tmp_path))
    return tmp_path


def loaded(name: str, namespace: str = "saas") -> pa.Table:
    catalog = open_catalog(load(Platform, repo.current().platform_file()))
    return catalog.load_table((namespace, name)).scan().to_arrow()


@pytest.mark.usefixtures("embedded")
def test_an_environment_gets_the_rows_of_the_files_once() -> None:
    first, again = (generate(*SMALL, "--to", "embedded", "--defects", "messy") for _ in range(2))

    tables = expected("2026-02-24", "2026-03-10", "messy")
    assert {name: table.rows for name, table in first.tables.items() if name != "defects"} == {
        name: rows.num_rows for name, rows in tables.items() if name != "defects"
    }
    assert again.rows == 0
    for name in ("events", "users"):
        assert sorted(loaded(name)[0].to_pylist()) == sorted(tables[name][0].to_pylist())
    assert loaded("defects").num_rows == first.tables["defects"].rows > 0


@pytest.mark.usefixtures("embedded")
def test_an_environment_is_continued_from_where_it_ends() -> None:
    for until in ("2026-02-26", "2026-03-01"):
        generate(
            "saas", "--since", "2026-02-24", "--until", until, "--rate", "0.2", "--to", "embedded", "--namespace", "a"
        )

    assert sorted(loaded("events", "a")[0].to_pylist()) == sorted(
        expected("2026-02-24", "2026-03-01")["events"][0].to_pylist()
    )


def test_a_catalog_that_is_away_gives_a_sentence(embedded: Path) -> None:
    text = (embedded / "platform.yaml").read_text()
    (embedded / "platform.yaml").write_text(text.replace(".floe/catalog.db", "floe.toml/catalog.db"))
    assert text != (embedded / "platform.yaml").read_text()
    with pytest.raises(FloeError, match="the catalog of embedded cannot be used: ") as error:
        generate(*SMALL, "--to", "embedded")
    assert "floe preflight embedded" in error.value.hint


@pytest.mark.usefixtures("embedded")
def test_a_table_of_another_shape_gives_a_sentence_and_no_table_more() -> None:
    catalog = open_catalog(load(Platform, repo.current().platform_file()))
    catalog.create_namespace("saas")
    catalog.create_table("saas.events", pa.schema([("event_id", pa.int64())]))
    with pytest.raises(
        FloeError, match=r"table saas\.events cannot take the rows .* event_id is long in the table"
    ) as error:
        generate(*SMALL, "--to", "embedded")
    assert "Nothing was written" in error.value.hint
    assert catalog.list_tables("saas") == [("saas", "events")]


@pytest.mark.usefixtures("embedded")
def test_a_full_disk_during_a_load_gives_a_sentence_and_the_next_run_completes_it() -> None:
    # The data file or the catalog, whichever grows first, has no room.
    reason = (
        "could not be read or written: (File too large|the catalog failed: (disk I/O error|database or disk is full))"
    )
    with little_room(64_000), pytest.raises(FloeError, match=reason) as error:
        generate(*SMALL, "--to", "embedded")
    assert "it appends what is missing, and nothing twice" in error.value.hint
    generate(*SMALL, "--to", "embedded")

    for name, rows in expected("2026-02-24", "2026-03-10").items():
        assert sorted(loaded(name)[0].to_pylist()) == sorted(rows[0].to_pylist())
