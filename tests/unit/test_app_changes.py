"""What an environment's platform.yaml says of its apps: whether their data are synthetic, and settings of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floe import cli, repo
from floe.charts import packaging
from floe.contract.compiling import committed, compile_environment
from floe.errors import FloeError
from floe.promote import carried, status
from floe_runtime.contract.app import Shop
from floe_runtime.contract.artifacts import Specification, read
from forks import edit, with_known_values
from rendering import ROOT

APP = "ecommerce"
SPECIFIED = ("*/5 * * * *", 6000)
"""What floe.yaml says, in the copies that the tests use: the schedule and the orders per day."""
EVERY_MINUTE = f"""\
apps:
  {APP}: # the demonstration
    schedule: {{cron: "* * * * *"}}
    synthetic:
      orders_per_day: 20000
      defects: messy
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> repo.Checkout:
    """A copy of the files that are compiled, which floe uses as the repository."""
    for folder in ("overlays", "apps"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("charts", "target", "logs"))
    (tmp_path / "base").mkdir()
    for file in ("platform.yaml", "floe.toml"):
        shutil.copy(ROOT / file, tmp_path)
    monkeypatch.setenv("FLOE_ROOT", str(tmp_path))
    with_known_values(tmp_path)
    edit(tmp_path / "apps" / APP / "floe.yaml", "orders_per_day: ", f"orders_per_day: {SPECIFIED[1]} #")
    edit(tmp_path / "apps" / APP / "floe.yaml", "cron: ", f'cron: "{SPECIFIED[0]}" #')
    for name in repo.current().environments():
        repo.current().artifacts_file(name).unlink()
        compiled(name)
    return repo.current()


def say(environment: str, text: str) -> Path:
    """Add lines to the end of a platform.yaml."""
    file = repo.current().platform_file(environment)
    file.write_text(file.read_text() + text)
    return file


def compiled(environment: str) -> Specification:
    """Compile an environment as `floe compile` does, and read what it wrote."""
    text = compile_environment(repo.current(), environment).text()
    file = repo.current().artifacts_file(environment)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    assert read(file).text() == text
    return read(file).apps[APP]


def runs(one: Specification) -> tuple[str, int | None]:
    """The schedule of an app, and its orders per day."""
    orders = one.app.synthetic.orders_per_day if isinstance(one.app.synthetic, Shop) else None
    return one.app.pipeline.schedule.cron, orders


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("environment", [repo.EMBEDDED, "dev", "demo", "staging", "prod"])
def test_only_environments_that_say_so_have_synthetic_data(environment: str) -> None:
    cron, orders = SPECIFIED
    wanted = None if environment in ("staging", "prod") else orders
    assert runs(compiled(environment)) == (cron, wanted)
    assert ("synthetic" in repo.current().artifacts_file(environment).read_text()) == bool(wanted)


@pytest.mark.parametrize("environment", ["dev", "demo", repo.EMBEDDED])
def test_an_environment_has_settings_of_its_own(tree: repo.Checkout, environment: str) -> None:
    before = compiled(environment)
    file = say(environment, EVERY_MINUTE)
    arguments = ["compile", "--check", *([] if environment == repo.EMBEDDED else [environment])]
    assert CliRunner().invoke(cli.app, arguments).exit_code == 1

    changed = compiled(environment)

    assert runs(changed) == ("* * * * *", 20_000)
    assert isinstance(changed.app.synthetic, Shop)
    assert changed.app.synthetic.defects["late"]
    assert isinstance(before.app.synthetic, Shop)
    assert changed.app.synthetic.customers == before.app.synthetic.customers
    assert changed.app.pipeline.schedule.enabled
    assert (changed.sha256, changed.unchanged()) == (before.sha256, before.app), "it is the same specification"
    file.write_text(file.read_text().removesuffix(EVERY_MINUTE))
    assert compiled(environment) == before
    assert tree.apps() == [APP]


def test_a_promoted_specification_stays_below_the_settings(tree: repo.Checkout) -> None:
    say("prod", f'apps: {{{APP}: {{schedule: {{cron: "0 6 * * *"}}}}}}\n')
    edit(tree.app(APP) / "floe.yaml", SPECIFIED[0], "1 * * * *")
    edit(tree.app(APP) / "floe.yaml", "lookback_days: 30", "lookback_days: 31")

    prod = compiled("prod")

    assert (prod.app.pipeline.schedule.cron, prod.app.pipeline.lookback_days) == ("0 6 * * *", 30)
    assert (prod.unchanged().pipeline.schedule.cron, prod.unchanged().pipeline.lookback_days) == (SPECIFIED[0], 30)
    assert compiled("prod") == prod


def test_settings_are_not_promoted(tree: repo.Checkout) -> None:
    say("dev", EVERY_MINUTE)
    say("staging", f'apps: {{{APP}: {{schedule: {{cron: "0 6 * * *"}}}}}}\n')
    compiled("staging")
    edit(tree.app(APP) / "floe.yaml", "lookback_days: 30", "lookback_days: 31")
    dev = compiled("dev")

    plan = carried.plan(tree, "dev", "staging")
    assert [one.place for one in plan.changes] == [f"apps.{APP}"]
    for file, text in carried.edited(tree, "dev", "staging", plan.changes).items():
        file.write_text(text)

    staging = read(tree.artifacts_file("staging")).apps[APP]
    assert (runs(staging), staging.app.pipeline.lookback_days) == (("0 6 * * *", None), 31)
    assert staging.unchanged() == dev.unchanged().model_copy(update={"synthetic": None})
    assert committed(tree, "staging") == compile_environment(tree, "staging").text()
    assert carried.plan(tree, "dev", "staging").changes == ()
    assert [one.place for one in carried.plan(tree, "staging", "prod").changes] == [f"apps.{APP}"]
    assert {one.environment: len(one.behind) for one in status.status(tree) if one.follows} == {"staging": 0, "prod": 1}


def test_staging_has_synthetic_data_if_it_says_so(tree: repo.Checkout) -> None:
    """Its specification was promoted without them, so they come from apps/ once, and then by promotion."""
    file = say("staging", "synthetic: true\n")
    assert runs(compiled("staging")) == SPECIFIED
    edit(tree.app(APP) / "floe.yaml", f"orders_per_day: {SPECIFIED[1]}", "orders_per_day: 7000")
    assert runs(compiled("staging")) == SPECIFIED
    compiled("dev")
    plan = carried.plan(tree, "dev", "staging")
    for path, text in carried.edited(tree, "dev", "staging", plan.changes).items():
        path.write_text(text)
    assert runs(compiled("staging")) == (SPECIFIED[0], 7000)
    assert carried.plan(tree, "staging", "prod").changes == ()
    file.write_text(file.read_text().removesuffix("synthetic: true\n"))
    assert runs(compiled("staging")) == (SPECIFIED[0], None)


def test_a_promotion_without_synthetic_data_keeps_those_of_the_target(tree: repo.Checkout) -> None:
    say("prod", "synthetic: true\n")
    compiled("prod")
    staging = tree.artifacts_file("staging")
    edit(tree.app(APP) / "floe.yaml", "lookback_days: 30", "lookback_days: 31")
    staging.unlink()
    compiled("staging")
    plan = carried.plan(tree, "staging", "prod")
    for path, text in carried.edited(tree, "staging", "prod", plan.changes).items():
        path.write_text(text)
    prod = compiled("prod")
    assert (runs(prod), prod.app.pipeline.lookback_days) == (SPECIFIED, 31)


ERRORS: dict[str, tuple[str, str, str, int]] = {
    "an app that does not exist": ("dev", "  returns: {}", "apps.returns: dev runs no such app, only ecommerce", 1),
    "a part that does not exist": ("dev", "  ecommerce: {shedule: {}}", "apps.ecommerce.shedule: there is no such", 1),
    "no mapping": ("dev", "  ecommerce:", "apps.ecommerce: must be a mapping", 1),
    "a field that does not exist": (
        *("dev", "  ecommerce:\n    schedule:\n      corn: '* * * * *'"),
        *("apps.ecommerce.schedule.corn: there is no such field", 3),
    ),
    "a cron that never fires": (
        *("dev", "  ecommerce:\n    schedule:\n      enabled: true\n      cron: 0 0 30 2 *"),
        *("apps.ecommerce.schedule.cron: never fires: none of its months has such a day", 4),
    ),
    "a value that floe.yaml does not allow": (
        *("dev", "  ecommerce:\n    synthetic:\n      orders_per_day: 0"),
        *("apps.ecommerce.synthetic.orders_per_day: must be greater than or equal to 1", 3),
    ),
    "a scenario that does not exist": (
        *("dev", "  ecommerce:\n    synthetic: {defects: dirty}"),
        *("apps.ecommerce.synthetic.defects: must be clean, messy, broken, or a mapping", 2),
    ),
    "another generator": (
        *("dev", "  ecommerce:\n    synthetic: {generator: saas}"),
        *("apps.ecommerce.synthetic.generator: must be ecommerce, whose tables the models of the app read", 2),
    ),
    "synthetic settings without synthetic data": (
        *("prod", "  ecommerce:\n    synthetic: {orders_per_day: 7}"),
        *("apps.ecommerce.synthetic: prod has no synthetic data: platform.yaml does not say `synthetic: true`", 2),
    ),
}


@pytest.mark.parametrize(("environment", "lines", "words", "line"), ERRORS.values(), ids=ERRORS)
def test_a_mistake_has_file_field_and_line(
    tree: repo.Checkout, environment: str, lines: str, words: str, line: int
) -> None:
    file = say(environment, f"apps:\n{lines}\n")
    first = len(file.read_text().splitlines()) - len(lines.splitlines())
    with pytest.raises(FloeError) as caught:
        compile_environment(tree, environment)
    assert f"platform.yaml is not valid ({file}):\n  {words}" in caught.value.message
    assert caught.value.message.endswith(f"(line {first + line})")
    assert (caught.value.exit_code, caught.value.hint) == (2, "Correct platform.yaml.")
    assert isinstance(CliRunner().invoke(cli.app, ["compile", environment]).exception, FloeError)


def test_settings_for_data_that_the_app_does_not_generate_are_refused(tree: repo.Checkout) -> None:
    file = tree.app(APP) / "floe.yaml"
    file.write_text(file.read_text().partition("synthetic:")[0])
    say("dev", EVERY_MINUTE)
    with pytest.raises(FloeError, match=r"synthetic: the app has no synthetic part .* \(line \d+\)"):
        compile_environment(tree, "dev")


def test_a_hand_edit_below_the_settings_is_found(tree: repo.Checkout) -> None:
    say("dev", EVERY_MINUTE)
    compiled("dev")
    edit(tree.artifacts_file("dev"), f'"cron": "{SPECIFIED[0]}"', '"cron": "1 * * * *"')
    with pytest.raises(FloeError, match="edited by hand"):
        read(tree.artifacts_file("dev"))


def test_the_chart_has_the_settings(checkout: Path) -> None:
    with_known_values(checkout, charts=True)
    say("demo", EVERY_MINUTE)
    compiled("demo")
    changes = {one.path.as_posix(): one.new or "" for one in packaging.changes(repo.current())}
    assert set(changes) == {"charts/floe-dagster/values-demo.yaml", "charts/floe-runtime/values-demo.yaml"}
    assert all('"cron": "* * * * *"' in text for text in changes.values())
