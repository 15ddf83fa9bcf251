"""Names of new environments and apps, where they are replaced, and changes of several files that may be interrupted."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from floe import repo
from floe.errors import FloeError
from floe.new import app_files, names, order, production, renaming, staging
from floe.repo import Checkout
from forks import commit, git

HERE = repo.current()

NO_ENVIRONMENT = [
    ("Qa", "cannot name objects"),
    ("qa_2", "cannot name objects"),
    ("2qa", "cannot name objects"),
    ("qa-", "cannot name objects"),
    ("../qa", "cannot name objects"),
    ("", "cannot name objects"),
    ("q" * 41, "has 41 characters"),
    ("embedded", "reserved"),
    ("all", "reserved"),
    ("base", "reserved"),
    ("prod", "overlays/prod exists already"),
]
NO_APP = [
    ("Returns", "cannot name objects"),
    ("class", "keyword"),
    ("match", "keyword"),
    ("json", "Python package 'json'"),
    ("floe-runtime", "Python package 'floe_runtime'"),
    ("ecommerce", "apps/ecommerce exists already"),
]


@pytest.mark.parametrize(("name", "words"), NO_ENVIRONMENT)
def test_an_environment_cannot_have_every_name(name: str, words: str) -> None:
    with pytest.raises(FloeError, match=words) as caught:
        names.check_environment(HERE, name)
    assert caught.value.hint


@pytest.mark.parametrize(("name", "words"), NO_APP)
def test_an_app_cannot_have_every_name(name: str, words: str) -> None:
    with pytest.raises(FloeError, match=words) as caught:
        names.check_app(HERE, name)
    assert caught.value.hint


def test_a_name_that_differs_only_by_case_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clusters" / "QA").mkdir(parents=True)
    with pytest.raises(FloeError, match="clusters/QA exists already"):
        names.check_environment(Checkout(tmp_path), "qa")
    (tmp_path / "charts" / "floe-cube").mkdir(parents=True)
    (tmp_path / "charts" / "floe-cube" / "values-uat.yaml").touch()
    with pytest.raises(FloeError, match=r"values-uat\.yaml exists already"):
        names.check_environment(Checkout(tmp_path), "uat")


RENAMED = [
    ("name=dev", "name=eu-qa"),
    ("floe-dev.svc", "floe-eu-qa.svc"),
    ("warehouse: floe_dev", "warehouse: floe_eu_qa"),
    ("clusters/dev/flux values-dev.yaml", "clusters/eu-qa/flux values-eu-qa.yaml"),
    ("https://dagster.dev.example.com/x", "https://dagster.eu-qa.example.com/x"),
    ("DEV_URL # Dev: s3://floe-dev/marts", "EU_QA_URL # Eu-qa: s3://floe-eu-qa/marts"),
    *((same, same) for same in ("device: developer", "> /dev/null", "dagster.example.dev", "tag: 1.2.0-dev", "mydev")),
    *((same, same) for same in ("{name: x, newTag: dev}", "  - ../../../apps/dev/deploy", "- ../../base/dev")),
]


@pytest.mark.parametrize(("text", "expected"), RENAMED)
def test_a_name_is_replaced_where_it_stands_for_the_environment(text: str, expected: str) -> None:
    assert renaming.renamed(text, "dev", "eu-qa") == expected
    assert renaming.renamed(expected, "eu-qa", "dev") == text


ORDERS = [
    'promotion = ["dev", "prod"]\n',
    "# head\r\npromotion=['dev','prod'] # ] \"x\"\r\nregistry = \"a\"\r\n",
    'promotion = [\n  "dev", # first\n  # about prod\n  "prod",\n]\n',
    'promotion = [\r\n\t"dev",\r\n\t"prod" # last\r\n]\r\n',
    'promotion = [\n  "dev", "prod"]',
    'repository = "x"\npromotion = ["dev",\n             "prod"]\n[more]\n',
]


@pytest.mark.parametrize("after", ["dev", "prod"])
@pytest.mark.parametrize("text", ORDERS)
def test_an_environment_enters_the_promotion_order_and_leaves_it_again(text: str, after: str) -> None:
    added = order.with_name(text, "qa", after)
    wanted = ["dev", "qa", "prod"] if after == "dev" else ["dev", "prod", "qa"]
    assert tomllib.loads(added) == tomllib.loads(text) | {"promotion": wanted}
    assert order.without_name(added, "qa") == text
    assert order.without_name(text, "qa") == text
    for name in wanted:
        assert tomllib.loads(order.without_name(added, name))["promotion"] == [one for one in wanted if one != name]


@pytest.mark.parametrize("text", ["", "registry = 'a'\n", 'promotion = ["dev", "pr\\u006fd"]\n', "promotion = [\n"])
def test_a_promotion_order_that_cannot_be_edited_is_reported(text: str) -> None:
    with pytest.raises(FloeError, match="promotion order"):
        order.with_name(text, "qa", "dev")


LISTS = [
    ("", "prod", ""),
    (' "prod"', "prod", ' "prod" "eu"'),
    (' "prod" "us"', "prod", ' "prod" "us" "eu"'),
    (' "prod"', "staging", ' "prod"'),
]


@pytest.mark.parametrize(("before", "source", "after"), LISTS)
def test_an_environment_waits_for_a_person_in_argocd_as_its_source_does(
    tmp_path: Path, before: str, source: str, after: str
) -> None:
    text = (HERE.root / production.FILE).read_text()
    begin, names, end = re.split(r"(?<=:= list)(.*)(?= }}\n)", text)
    assert names
    (file := tmp_path / production.FILE).parent.mkdir(parents=True)
    file.write_text(begin + before + end)
    assert production.add(Checkout(tmp_path), "eu", source) is (before != after)
    assert file.read_text() == begin + after + end
    assert production.discard(Checkout(tmp_path), "eu") is (before != after)
    assert file.read_text() == begin + before + end


CUBE = """\
cubes:
  - name: orders # orders of customers
    sql_table: "{{ env_var('FLOE_MART') | replace('{namespace}', 'marts') | replace('{mart}', 'orders') | safe }}"
    joins:
      - name: "customers"
        sql: "{CUBE}.customer_id = {customers}.customer_id AND {orders.status} <> 'customers'"
    measures:
      - name: customers
        sql: "COUNT(DISTINCT ${customers.customer_id})"
    pre_aggregations:
      - name: orders
        measures: [orders.count, CUBE.customers]
        time_dimension: orders.ordered_at
        refresh_key:
          sql: SELECT COUNT(*) FROM orders
views:
  - name: customers
    cubes:
      - join_path: orders.customers
"""


def test_every_name_of_a_cube_gets_the_prefix_and_nothing_else() -> None:
    floe_yaml = "name: shop-a\npipeline:\n  schedule: {cron: '0 * * * *'}\n"
    floe_yaml += "semantic_layer: {example: {measures: [orders.count, other.count]}}\n"
    files = {
        "floe.yaml": floe_yaml,
        "cube/model/a.yml": CUBE,
        "shop_a/definitions.py": "import shop_a",
        "deploy/code-location.yaml": "repository: x/floe-shop-a\nargs: [-m, shop_a.definitions, -d, /app/apps/shop-a]",
        "dbt/dbt_project.yml": "name: shop_a\nvars: {raw_namespace: raw}\n",
    }
    made = app_files.renamed({path: text.encode() for path, text in files.items()}, "shop-a", "b-c")
    assert made["floe.yaml"].decode() == floe_yaml.replace("shop-a", "b-c").replace("[orders", "[b_c_orders").replace(
        "pipeline:\n", "pipeline:\n  marts_namespace: b_c_marts\n  raw_namespace: b_c_raw\n"
    )
    assert made["b_c/definitions.py"] == b"import b_c"
    assert (
        made["deploy/code-location.yaml"] == b"repository: x/floe-b-c\nargs: [-m, b_c.definitions, -d, /app/apps/b-c]"
    )
    assert made["dbt/dbt_project.yml"] == b"name: b_c\nvars: {raw_namespace: b_c_raw}\n"
    changed = [
        ("- name: orders #", "- name: b_c_orders #"),
        ("'marts'", "'b_c_marts'"),
        ('- name: "customers"', '- name: "b_c_customers"'),
        ("{customers}", "{b_c_customers}"),
        ("{orders.status}", "{b_c_orders.status}"),
        ("{customers.", "{b_c_customers."),
        ("[orders.count", "[b_c_orders.count"),
        ("time_dimension: orders", "time_dimension: b_c_orders"),
        ("views:\n  - name: customers", "views:\n  - name: b_c_customers"),
        ("join_path: orders.customers", "join_path: b_c_orders.b_c_customers"),
    ]
    expected = CUBE
    for old, new in changed:
        expected = expected.replace(old, new)
    assert made["cube/model/a.yml"].decode() == expected
    again = app_files.renamed(made, "b-c", "shop-a")  # an app that was made from another one is copied again
    assert again["cube/model/a.yml"].decode() == expected.replace("b_c", "shop_a")


CHANGED = {"apps/old/floe.yaml", "floe.toml", "overlays/dev/a.yaml", "overlays/qa/"}


class Killed(BaseException):
    """Raised in place of a kill, so that no handler of errors runs."""


@pytest.fixture
def small(tmp_path: Path) -> Checkout:
    """A repository with few files."""
    for name in ("overlays/dev/a.yaml", "overlays/dev/b.yaml", "apps/old/floe.yaml", "floe.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text(".floe/\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return Checkout(tmp_path)


def _change(checkout: Checkout) -> None:
    """Two new files, two changes and a removal at once."""
    copy = staging.copied(checkout)
    for name in ("overlays/qa/a.yaml", "overlays/qa/b.yaml", "overlays/dev/a.yaml", "floe.toml"):
        (copy.root / name).parent.mkdir(exist_ok=True)
        (copy.root / name).write_text("new")
    (copy.root / "apps/old/floe.yaml").unlink()
    staging.move(checkout, staging.Report(command="floe new env qa", done=()), made="overlays/qa")


def _dying(monkeypatch: pytest.MonkeyPatch, steps: int) -> Callable[[], int]:
    """Let the process die at a step that changes a file; returns a function that counts the steps so far."""
    done = 0

    def wrap(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def step(*args: object, **options: object) -> object:
            nonlocal done
            if done == steps:
                raise Killed
            done += 1
            return original(*args, **options)

        monkeypatch.setattr(owner, name, step)

    wrap(Path, "replace")
    wrap(Path, "unlink")
    wrap(shutil, "copy2")
    wrap(shutil, "rmtree")
    return lambda: done


def test_what_an_interrupted_run_left_is_finished_or_removed_by_the_next_one(
    small: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    untouched = finished = 0
    for steps in range(100):
        with monkeypatch.context() as patch:
            _dying(patch, steps)
            try:
                with staging.only_one(small):
                    _change(small)
            except Killed:
                pass
            else:
                break
        with staging.only_one(small):
            report = staging.finished(small)
        status = git(small.root, "status", "--porcelain")
        if report:
            assert "overlays/qa" in status
            finished += 1
        else:
            untouched += not status
            assert not status or (small.state / "new" / "overlays-qa.json").is_file()
        assert not (small.state / "new" / "copy").exists()
        assert not (small.state / "new" / "plan.json").exists()
        if status:
            assert {line.split()[-1] for line in status.splitlines()} == CHANGED
        git(small.root, "reset", "--quiet", "--hard")
        git(small.root, "clean", "--quiet", "--force", "-d", "-x")
    assert min(untouched, finished) > 3, (untouched, finished)


def test_an_interrupted_run_does_not_overwrite_what_changed_since(
    small: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(staging, "_carry_out", _killed)
        with pytest.raises(Killed):
            _change(small)
    (small.root / "floe.toml").write_text("mine")
    with pytest.raises(FloeError, match=r"`floe new env qa` was interrupted, and floe\.toml has changed since"):
        staging.finished(small)
    assert (small.root / "floe.toml").read_text() == "mine"


def _killed(*_: object) -> None:
    raise Killed


def test_work_that_is_in_no_commit_is_not_removed(small: Checkout) -> None:
    _change(small)
    folders = ("overlays/qa",)
    staging.refuse_loss(small, folders, "overlays/qa")  # what was made is not lost: it can be made again
    (small.root / ".gitignore").write_text(".floe/\n*.agekey\ncharts/\n")
    (small.root / "overlays/qa/charts").mkdir()
    for name in ("charts/x", "mine.agekey", "mine.yaml", "a.yaml"):
        (small.root / "overlays/qa" / name).write_text("mine")
    with pytest.raises(FloeError, match="would lose 3 files") as caught:
        staging.refuse_loss(small, folders, "overlays/qa")
    assert {name in caught.value.message for name in ("qa/a.yaml", "qa/mine.yaml", "qa/mine.agekey")} == {True}
