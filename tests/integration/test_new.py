"""`floe new` and `floe remove` in a fork: what they make is valid, and its removal leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from floe import charts, render, repo
from floe.contract.compiling import compile_environment
from floe.errors import FloeError
from floe.new import apps, environments, renaming
from floe.repo import Checkout
from floe.validate import pins
from floe.validate.schema import Schemas
from floe.validate.validation import validate
from floe.yaml import load_file
from floe_runtime.contract.artifacts import read
from forks import commit, edit, floe, git, with_known_values
from rendering import ROOT, copy_repository

DOMAIN = Checkout(ROOT).settings.domain
ISSUER = load_file(ROOT / "overlays/prod/objects/environment.yaml")["spec"]["login"]["issuer"]
VALUE = "ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]"
ENCRYPTED = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: floe-cube}}
data: {{CUBEJS_API_SECRET: "{VALUE}", CUBEJS_SQL_PASSWORD: "{VALUE}"}}
sops: {{mac: x}}
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fork that keeps a Secret of dev in Git. Each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("new") / "a fork of ours"
    copy_repository(folder)
    for name in (".gitignore", "clusters"):
        subprocess.run(["cp", "-r", ROOT / name, folder], check=True)  # noqa: S607 # cp is a part of every system
    with_known_values(folder, charts=True)
    checkout = Checkout(folder)
    secrets = checkout.overlay("dev") / "secrets"
    (secrets / "floe-cube.yaml").write_text(ENCRYPTED)
    edit(secrets / "kustomization.yaml", "  - namespace.yaml\n", "  - namespace.yaml\n  - floe-cube.yaml\n")
    list(charts.pull(checkout, checkout.environments(), stand_ins=True))
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.name", "Somebody")
    git(folder, "config", "user.email", "somebody@example.com")
    commit(folder, "as it is")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOE_ROOT", str(folder))
        yield checkout


@pytest.fixture(autouse=True)
def _unchanged(ours: Checkout) -> Iterator[None]:
    """Every test leaves the commit and the files that it found."""
    head = git(ours.root, "rev-parse", "HEAD")
    yield
    assert git(ours.root, "rev-parse", "HEAD") == head
    assert git(ours.root, "status", "--porcelain") == ""
    assert sorted(ours.environments()) == sorted(path.name for path in (ours.root / "overlays").iterdir())


def valid(environment: str) -> None:
    checkout = repo.current()
    report = validate(render.render(checkout, environment), environment, Schemas(), checkout=checkout)
    assert [finding for finding in report.findings if finding.severity == "error"] == []


def named(checkout: Checkout, name: str, *folders: str) -> list[str]:
    """The files in folders that contain the name of an environment, also where it differs by case."""
    files = [file for folder in folders for file in checkout.root.glob(f"{folder}/**/*") if file.is_file()]
    found = [file for file in files if renaming.contains(file.read_bytes().decode(), name)]
    return [checkout.relative(file) for file in found if "charts" not in file.parts[:-3]]


def test_an_environment_is_made_and_removed_by_the_commands(ours: Checkout) -> None:
    """Hosts of prod do not contain its name; the versions of prod have passed through staging only."""
    done = floe(ours.root, "new", "env", "eu-qa", "--from", "prod", "--after", "staging")
    assert done.returncode == 0, done.stderr.decode()
    printed = done.stdout.decode()
    assert "floe.toml: dev → staging → eu-qa → prod" in printed
    made = repo.current()
    assert named(made, "prod", "overlays/eu-qa", "clusters/eu-qa", "charts/*/objects/eu-qa") == []
    for value, file, line in (
        (f"dagster.eu-qa.{DOMAIN}", "objects/environment.yaml", 39),
        (f"cube.eu-qa.{DOMAIN}", "values/cube.yaml", 15),
        ("bucket floe-eu-qa", "platform.yaml", 12),
        ("warehouse floe_eu_qa", "platform.yaml", 20),
        (f"{ISSUER} (as in prod)", "objects/environment.yaml", 44),
    ):
        assert f"  {value}\n" in printed
        assert f"    overlays/eu-qa/{file}:{line}\n" in printed
        lines = (made.overlay("eu-qa") / file).read_text().splitlines()
        assert value.removeprefix("bucket ").removeprefix("warehouse ").split()[0] in lines[line - 1]
    assert f"cube.eu-qa.{DOMAIN}-tls" in printed
    valid("eu-qa")
    assert [*pins.before_promotion(made, "eu-qa", "prod")] == [*pins.history(made, "prod")] != []
    done = floe(ours.root, "new", "env", "eu-qa", "--from", "prod")
    assert done.returncode == 2
    assert b"overlays/eu-qa exists already" in done.stderr
    done = floe(ours.root, "remove", "env", "eu-qa", "--json")
    assert done.returncode == 0, done.stderr.decode()


def test_an_environment_with_services_of_its_own_is_made_and_removed(ours: Checkout) -> None:
    """Demo takes no part in promotion, and its services are inside of its namespace."""
    report = environments.new(ours, environments.request(ours, "qa", "demo", None, promotion=True), "floe new env qa")
    made = repo.current()
    assert named(made, "demo", "overlays/qa", "clusters/qa", "charts/*/objects/qa") == []
    assert made.settings.promotion == ours.settings.promotion
    assert {"bucket floe (as in demo)", "warehouse floe (as in demo)"} <= report.set.keys()
    assert "bucket floe" not in report.set
    assert report.next[0] == "floe check qa"
    valid("qa")
    render.render(made, "qa", "flux")
    (made.overlay("qa") / "values" / "mine.yaml").write_text("mine")
    with pytest.raises(FloeError, match=r"would lose 1 file .*: overlays/qa/values/mine\.yaml") as caught:
        environments.remove(made, "qa", "floe remove env qa", force=False)
    assert "--force" in (caught.value.hint or "")
    environments.remove(made, "qa", "floe remove env qa", force=True)


def test_an_environment_is_made_from_one_that_was_made(ours: Checkout) -> None:
    before = git(ours.root, "rev-parse", "HEAD")
    report = environments.new(ours, environments.request(ours, "qa", "dev", None, promotion=True), "")
    made = repo.current()
    assert named(made, "dev", "overlays/qa", "clusters/qa") == []
    assert not (made.overlay("qa") / "secrets" / "floe-cube.yaml").exists()
    assert "floe-cube.yaml" not in (made.overlay("qa") / "secrets" / "kustomization.yaml").read_text()
    assert any("floe secrets init qa" in note for note in report.notes)
    assert "specification: promoted" in (made.overlay("qa") / "platform.yaml").read_text()
    valid("qa")
    again = environments.request(made, "uat", "qa", None, promotion=True)
    with pytest.raises(FloeError, match="overlays/qa cannot be copied, since it has changes") as caught:
        environments.new(made, again, "")
    assert caught.value.hint == "Commit them: `git add overlays/qa clusters/qa && git commit`."
    platform = made.platform_file("qa")
    platform.write_text(f'{platform.read_text()}apps: {{ecommerce: {{schedule: {{cron: "0 6 * * *"}}}}}}\n')
    made.artifacts_file("qa").write_text(compile_environment(made, "qa").text())
    commit(made.root, "qa")
    environments.new(made, again, "")
    made = repo.current()
    assert read(made.artifacts_file("uat")).apps["ecommerce"] == read(made.artifacts_file("qa")).apps["ecommerce"]
    assert read(made.artifacts_file("uat")).apps["ecommerce"].app.pipeline.schedule.cron == "0 6 * * *"
    assert named(made, "qa", "overlays/uat", "clusters/uat") == []
    assert made.settings.promotion == ("dev", "qa", "uat", "staging", "prod")
    assert len([*pins.before_promotion(made, "qa", "staging")]) > len([*pins.history(made, "qa")]) > 0
    git(made.root, "reset", "--quiet", "--hard", before)
    git(made.root, "clean", "--quiet", "--force", "-d", "-x", "--", "overlays/qa", "overlays/uat", "clusters", "charts")


REFUSED = [
    ("qa", "absent", None, True, "no overlay 'absent'"),
    ("qa", "dev", "demo", True, "demo is not part of the promotion order"),
    ("qa", "dev", "prod", False, "exclude each other"),
    ("cube", "dev", None, True, "uses the word 'cube' for something else"),
]


@pytest.mark.parametrize(("name", "source", "after", "promotion", "words"), REFUSED)
def test_a_request_that_cannot_be_met_changes_nothing(
    ours: Checkout, name: str, source: str, after: str | None, promotion: bool, words: str
) -> None:
    with pytest.raises(FloeError, match=words):
        environments.new(ours, environments.request(ours, name, source, after, promotion=promotion), "")
    with pytest.raises(FloeError, match="there is no environment"):
        environments.remove(ours, f"../{name}", "", force=True)


def test_the_last_app_of_an_environment_is_not_removed(ours: Checkout) -> None:
    with pytest.raises(FloeError, match=r"ecommerce is the only app of .*dev.*, and an environment runs") as caught:
        apps.remove(ours, "ecommerce", "", force=False)
    assert "floe new app NAME --empty --env" in (caught.value.hint or "")


LOAD = """
import importlib, sys
for name in sys.argv[1:]:
    sys.path.insert(0, f"apps/{name}")
    defs = importlib.import_module(f"{name}.definitions").defs
    print(*sorted(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()))
"""


def test_apps_are_made_load_and_are_removed(ours: Checkout, tmp_path: Path) -> None:
    done = floe(ours.root, "new", "app", "returns", "--from", "ecommerce")
    assert done.returncode == 0, done.stderr.decode()
    assert "overlays/dev: runs returns" in done.stdout.decode()
    platform = ours.platform_file("dev")
    platform.write_text(f'{platform.read_text()}apps:\n  returns: {{schedule: {{cron: "* * * * *"}}}}\n')
    apps.new(ours, "events", None, ["dev"], "")
    valid("dev")
    env = os.environ | {"FLOE_COMPILED_ARTIFACTS": str(ours.artifacts_file("dev")), "FLOE_DBT_TARGET": str(tmp_path)}
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, "returns", "events"],
        cwd=ours.root, env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
    returns, events = (line.split() for line in loaded.stdout.splitlines()[-2:])
    assert {"returns_raw/orders", "returns_marts/fct_orders"} < set(returns)
    assert set(events) == {"events_raw/events", "events_marts/events_events"}
    assert not [name for name in returns if name.startswith(("raw/", "marts/"))]
    (ours.root / "apps" / "returns" / "mine.sql").write_text("mine")
    done = floe(ours.root, "remove", "app", "returns")
    assert done.returncode == 2
    assert b"apps/returns/mine.sql" in done.stderr
    (ours.root / "apps" / "returns" / "mine.sql").unlink()
    assert '"* * * * *"' in ours.artifacts_file("dev").read_text()
    for name in ("returns", "events"):
        apps.remove(ours, name, "", force=False)
