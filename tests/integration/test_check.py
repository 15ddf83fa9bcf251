"""`floe check` on forks with one fault each: what a person or the pull request's workflow sees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from floe import repo
from floe.check import changed, checks, code_location, cube_model, report
from floe.contract.compiling import compile_environment
from forks import commit, edit, floe

MODELS = Path("apps/ecommerce/dbt/models")


def checked(folder: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run `floe check --format json`; returns its exit code, and the results by subject and check."""
    done = floe(folder, "check", "--format", "json", *arguments)
    results = json.loads(done.stdout)["results"] if done.stdout else []
    return done.returncode, {f"{one['subject']}: {one['check']}": one for one in results}


def complaint(environment: str = "dev") -> str:
    """Why the code location of the app in the current checkout cannot be loaded."""
    return code_location.load(repo.current(), compile_environment(repo.current(), environment), "ecommerce")


def test_each_fault_fails_its_check(fork: Path) -> None:
    edit(fork / "overlays/dev/platform.yaml", "warehouse: floe_dev", "warehouse: floe_next")
    edit(fork / "overlays/dev/values/dagster.yaml", "tag: 0.1.0", "tag: latest")
    edit(fork / "clusters/base/flux/kustomization.yaml", "resources:\n", "resources:\n  - absent.yaml\n")
    edit(fork / "apps/ecommerce/cube/model/cubes/orders.yml", "type: time", "type: hour")
    edit(fork / MODELS / "marts/fct_orders.sql", "select", "selectt {{ ref('nothing') }}")
    edit(fork / MODELS / "marts/metrics.yml", "cube: order_items.gross_revenue", "cube: order_items.gross")
    code, results = checked(fork, "dev")
    assert code == 1
    assert [*results] == [
        *(f"dev: {name}" for name in ("compiled", "charts", "objects", "bootstrap", "code locations", "Cube model")),
        "all: Helm charts",
        "all: semantic layers",
    ]
    assert [name for name, one in results.items() if one["ok"]] == ["dev: charts"]
    words = {name: json.dumps(one["problems"]) for name, one in results.items()}
    assert "overlays/dev/compiled/CompiledArtifacts.json is out of date" in words["dev: compiled"]
    assert "latest" in words["dev: objects"]
    assert "absent.yaml" in words["dev: bootstrap"]
    assert "nothing" in words["dev: code locations"]
    assert "hour" in words["dev: Cube model"]
    assert "the metric gross_revenue names order_items.gross" in words["all: semantic layers"]
    assert "Run `floe charts sync`." in words["all: Helm charts"]
    assert all(problem["remedy"] for one in results.values() for problem in one["problems"])


def test_checks_that_need_an_environment_that_cannot_be_compiled_are_left_out(checkout: Path) -> None:
    edit(checkout / "apps/ecommerce/floe.yaml", "dbt: dbt", "dbt: dbtt")
    results = {one.check: one for one in checks.run(repo.current(), ["dev"], lambda _: None)}
    assert "apps/ecommerce/dbtt" in results["compiled"].problems[0].message
    for name in ("code locations", "Cube model"):
        assert results[name].left_out == "dev cannot be compiled"
        assert not results[name].failed


def test_github_gets_an_annotation_for_each_problem(capsys: pytest.CaptureFixture[str]) -> None:
    problems = (
        checks.Problem("100 % wrong,\nhere", "Edit it.", "a,b.yaml", 3),
        checks.Problem("odd", "Look.", is_error=False),
    )
    report.github([checks.Result("dev", "objects", 1, problems)])
    printed = capsys.readouterr().out
    assert "::error file=a%2Cb.yaml,line=3,title=dev%3A objects::100 %25 wrong,%0Ahere Edit it.\n" in printed
    assert "::warning title=dev%3A objects::odd Look.\n" in printed


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("ecommerce/definitions.py", "defs = ", "definitions = ", "has no attribute 'defs'"),
        ("ecommerce/definitions.py", "__file__)", "__fil__)", "(apps/ecommerce/ecommerce/definitions.py, line 5)"),
        ("dbt/models/staging/staging.yml", "models:", "models: {", "staging.yml"),
    ],
)
def test_a_code_location_that_dagster_could_not_load(checkout: Path, file: str, old: str, new: str, words: str) -> None:
    edit(checkout / "apps/ecommerce" / file, old, new)
    code_location._load.cache_clear()
    assert words in complaint()


def test_two_apps_with_a_cube_of_the_same_name(checkout: Path) -> None:
    app = compile_environment(repo.current(), "dev").apps["ecommerce"].app
    shutil.copytree(checkout / "apps/ecommerce", checkout / "apps/second")
    assert cube_model.compile_model(repo.current(), {"ecommerce": app}) == ""
    assert "orders" in cube_model.compile_model(repo.current(), {"ecommerce": app, "second": app})


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("overlays/dev/objects/role.yaml", ["dev"]),
        ("clusters/prod/flux/patch.yaml", ["prod"]),
        ("clusters/base/flux/patch.yaml", ["demo", "dev", "prod", "staging"]),
        ("apps/ecommerce/dbt/new.sql", ["demo", "dev", "prod", "staging"]),
        ("docs/page.md", []),
        ("tests/unit/test_new.py", []),
    ],
)
def test_only_environments_that_read_a_changed_file(fork: Path, file: str, wanted: list[str]) -> None:
    before = repo.current()
    assert changed.environments(before) == ([], "HEAD")
    (fork / file).parent.mkdir(parents=True, exist_ok=True)
    (fork / file).write_text("new\n")
    assert changed.environments(before) == (wanted, "HEAD"), "an untracked file"
    commit(fork)
    assert changed.environments(before) == ([], "HEAD")
    assert changed.environments(before, "HEAD~1") == (wanted, "HEAD~1"), "a commit since the base"


def test_nothing_to_check_and_bad_arguments(fork: Path) -> None:
    done = floe(fork, "check")
    assert (done.returncode, done.stdout) == (0, b"")
    assert "No environment changed since HEAD" in done.stderr.decode()
    for arguments, words in {
        ("prdo",): "there is no overlay 'prdo'",
        ("dev", "--all"): "give either environments or --all",
        ("--base", "nowhere"): "there is no revision 'nowhere'",
        ("--format", "xml"): "there is no format 'xml'",
    }.items():
        done = floe(fork, "check", *arguments)
        assert done.returncode == 2
        assert words in done.stderr.decode()
