"""The contract: errors name file and field, no message shows a secret, and compilation is deterministic."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from floe import cli, repo
from floe.contract.compiling import compile_environment
from floe.contract.files import load
from floe.errors import FloeError
from floe_runtime.contract import artifacts
from floe_runtime.contract.app import App
from floe_runtime.contract.platform import Platform
from floe_runtime.contract.refs import Missing, Ref, number, secret, value
from floe_runtime.raw import generator
from floe_synthetic import EcommerceGenerator, SaaSGenerator, WithDefects

ROOT = Path(__file__).parents[2]
PLANTED = "correct-horse-battery-staple"
ABSENT = object()
Json = dict[str, Any]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that are compiled, which floe uses as the repository."""
    ignored = shutil.ignore_patterns("charts", "target", "logs")
    for folder in ("overlays", "apps"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "base").mkdir()
    shutil.copy(ROOT / "platform.yaml", tmp_path)
    monkeypatch.setenv("FLOE_ROOT", str(tmp_path))
    return tmp_path


def edit(file: Path, path: str, new: object) -> None:
    """Set the value at a dotted path, or remove it if the value is ABSENT."""
    content = yaml.safe_load(file.read_text())
    *above, last = path.split(".")
    node = content
    for step in above:
        node = node[step]
    if new is ABSENT:
        del node[last]
    else:
        node[last] = new
    file.write_text(yaml.safe_dump(content))


def refusal(environment: str) -> str:
    with pytest.raises(FloeError) as caught:
        compile_environment(repo.current(), environment)
    return f"{caught.value.message}\n{caught.value.hint}"


def test_an_app_has_the_name_of_its_folder(tree: Path) -> None:
    """A copy of an app would otherwise read the settings of the first one."""
    (tree / "apps" / "ecommerce").rename(tree / "apps" / "copied")
    error = refusal(repo.EMBEDDED)
    assert "apps/copied/floe.yaml has the name 'ecommerce', but its folder is apps/copied" in error
    assert "`name: copied`" in error


SNOWFLAKE = {"target": "snowflake", "account": "a", "database": "d", "warehouse": "w"}
BIGQUERY = {"target": "bigquery", "project": "p"}

# In a union, the path may contain the name of the member: compute.trino.host.
PLATFORM_ERRORS = [
    ("compute.target", "spark", r"compute: .*'duckdb', 'trino'"),
    ("compute.target", ABSENT, r"compute: .*'target'"),
    ("compute.prot", 1, r"compute\.(trino\.)?prot: there is no such field"),
    ("compute.port", [1], r"compute\.(trino\.)?port: "),
    ("compute.host", ABSENT, r"compute\.(trino\.)?host: "),
    ("compute.http_scheme", "ftp", r"compute\.(trino\.)?http_scheme: .*'https'"),
    ("compute", ABSENT, r"\n  compute: "),
    ("storage", "s3", r"\n  storage: "),
    ("storage.kind", "gcs", r"storage: .*'file', 's3'"),
    ("storage.bucket", ABSENT, r"storage\.(s3\.)?bucket: "),
    ("storage.endpoint", {"envv": "X"}, r"storage\.(s3\.)?endpoint[^\n]*envv: there is no such field"),
    ("catalog.uri", ABSENT, r"catalog\.(rest\.)?uri: "),
    ("metadata.sslmode", "maybe", r"metadata\.(postgres\.)?sslmode: .*'require'"),
    ("metadata.password", {"env": "lower"}, r"metadata\.(postgres\.)?password\.env: "),
    (
        "compute.host",
        "https://trino.example.com",
        r"compute\.(trino\.)?host: must be the name or address of a host alone",
    ),
    ("compute.host", "trino.example.com/path", r"compute\.(trino\.)?host: must be the name or address of a host alone"),
    ("compute.port", "many", r"compute\.(trino\.)?port: must be a number from 1 to 65535"),
    ("compute.port", 0, r"compute\.(trino\.)?port: must be a number from 1 to 65535"),
    ("metadata.host", "postgresql:5432", r"metadata\.(postgres\.)?host: must be the name or address of a host alone"),
    ("catalog.uri", "htp://polaris.example.com", r"catalog\.(rest\.)?uri: must be a URL that begins with http"),
    ("storage.endpoint", "s3.example.com", r"storage\.(s3\.)?endpoint: must be a URL that begins with http"),
    ("compute", SNOWFLAKE, r"compute\.target must be duckdb or trino: .* from snowflake yet"),
    ("compute", BIGQUERY, r"compute\.target must be duckdb or trino: .* from bigquery yet"),
    ("marts", {"kind": "parquet", "path": "s3://floe-prod"}, r"marts\.kind must be tables"),
    ("marts.path", "iceberg.marts", r"\n  marts: path must be the name of the catalog alone"),
    ("version", 2, r"\n  version: "),
    ("specification", "sometimes", r"\n  specification: .*'follow'.*'promoted'"),
    ("secrets", "floe", r"\n  secrets: "),
    ("synthetic", "always", r"\n  synthetic: must be a valid boolean \(line \d+\)"),
    ("apps", [1], r"\n  apps: must be a mapping \(line \d+\)"),
    ("storages", {}, r"\n  storages: there is no such field"),
]


@pytest.mark.parametrize(
    ("path", "new", "words"), PLATFORM_ERRORS, ids=[f"{row[0]}-{row[1]}"[:40] for row in PLATFORM_ERRORS]
)
def test_a_broken_platform_names_file_and_field(tree: Path, path: str, new: object, words: str) -> None:
    edit(tree / "overlays" / "prod" / "platform.yaml", path, new)
    message = refusal("prod")
    assert "platform.yaml is not valid" in message
    assert str(tree / "overlays" / "prod" / "platform.yaml") in message
    assert re.search(words, message), message
    assert "pydantic" not in message.lower()


APP_ERRORS = [
    ("pipeline.schedule.cron", "hourly", "pipeline.schedule.cron: "),
    ("pipeline.schedule.cron", "61 * * * *", "pipeline.schedule.cron: the minute must be within 0-59"),
    ("pipeline.schedule.cron", "0 0 30 2 *", "pipeline.schedule.cron: never fires: none of its months has such a day"),
    ("pipeline.schedule.cron", "0 0 * * mond", "pipeline.schedule.cron: the day of the week must be within 0-7"),
    ("pipeline.schedule.cron", "5-1 * * * *", "pipeline.schedule.cron: the minute must be within"),
    ("pipeline.schedule.cron", "*/0 * * * *", "pipeline.schedule.cron: the minute must be within"),
    ("pipeline.raw_namespace", "marts", "pipeline: raw_namespace and marts_namespace must differ"),
    ("pipeline.schedule.corn", "* * * * *", "pipeline.schedule.corn: there is no such field"),
    ("pipeline.schedule", ABSENT, "pipeline.schedule: "),
    ("pipeline.retries.max", 99, "pipeline.retries.max: "),
    ("pipeline.schedule.freshness", {"warn": 3}, "pipeline.schedule.freshness: warn must be less than fail"),
    ("pipeline.raw_namespace", "Raw-1", "pipeline.raw_namespace: "),
    ("name", "Shop", "name: "),
    ("synthetic.customers", 0, "synthetic.customers: "),
    ("synthetic.generator", "bank", "synthetic: generator must be one of 'ecommerce', 'saas'"),
    ("synthetic.generator", ["saas"], "synthetic: "),
    ("synthetic", 5, "synthetic: must be a mapping"),
    ("synthetic.generator", "saas", "synthetic.customers: there is no such field"),
    ("synthetic.defects", "dirty", "synthetic.defects: must be clean, messy, broken, or a mapping"),
    ("synthetic.defects", 7, "synthetic.defects: must be a mapping"),
    ("synthetic.defects", {"typos": 0.1}, "synthetic.defects: there is no defect 'typos', only nulls, "),
    ("synthetic.defects", {"late": 0.6}, "synthetic.defects: the rate of late must be from 0 to 0.5, and is 0.6"),
    ("synthetic.defects", {"late": "often"}, "synthetic.defects.late: must be a valid number"),
    ("version", 2, "version: "),
]  # fmt: skip


@pytest.mark.parametrize(("path", "new", "words"), APP_ERRORS, ids=[f"{row[0]}-{row[1]}"[:40] for row in APP_ERRORS])
def test_a_broken_app_names_file_and_field(tree: Path, path: str, new: object, words: str) -> None:
    edit(tree / "apps" / "ecommerce" / "floe.yaml", path, new)
    message = refusal("dev")
    assert "floe.yaml is not valid" in message
    assert f"\n  {words}" in message


def test_another_environment_that_does_not_fit_is_named_and_does_not_prevent_a_compilation(tree: Path) -> None:
    edit(tree / "apps" / "ecommerce" / "floe.yaml", "synthetic.customers", 4321)
    staging = tree / "overlays" / "staging" / "compiled" / "CompiledArtifacts.json"
    staging.write_text(staging.read_text().replace('"lookback_days"', '"lookback"'))

    done = CliRunner().invoke(cli.app, ["compile", "dev"])

    assert done.exit_code == 0
    assert "dev/compiled/CompiledArtifacts.json: written" in done.stderr
    assert re.findall(r"Run `floe compile (\w+)`", done.stderr) == ["staging"]


SYNTHETIC: list[tuple[dict[str, object], type, set[str]]] = [
    ({}, EcommerceGenerator, {"orders", "returns"}),
    ({"defects": {"nulls": 0}}, EcommerceGenerator, {"orders", "returns"}),
    ({"generator": "ecommerce", "defects": "messy"}, WithDefects, {"defects", "orders", "returns"}),
    ({"generator": "saas", "organisations": 5}, SaaSGenerator, {"invoices", "events"}),
    ({"generator": "saas", "defects": {"late": 0.1}}, WithDefects, {"defects", "invoices", "events"}),
]


@pytest.mark.parametrize(("settings", "kind", "tables"), SYNTHETIC, ids=str)
def test_synthetic_data_are_what_the_app_asks_for(
    tree: Path, settings: dict[str, object], kind: type, tables: set[str]
) -> None:
    edit(tree / "apps" / "ecommerce" / "floe.yaml", "synthetic", settings)
    compiled = compile_environment(repo.current(), "dev")
    synthetic = compiled.apps["ecommerce"].app.synthetic
    assert synthetic
    assert type(generator(synthetic)) is kind
    assert set(generator(synthetic).domain.tables) >= tables
    assert ("defects" in compiled.text()) == ("defects" in tables)
    file = tree / "compiled.json"
    file.write_text(compiled.text())
    assert artifacts.read(file).text() == compiled.text()


CRONS = (
    "*/5 * * * *",
    "0 0 29 2 *",
    "0 0 30 2 mon",
    "0 6-18/2 1,15 jan-jun 1-5",
    "0 0 l * *",
    "0 0 * * 7",
    "0 0 * * fri#2",
)


@pytest.mark.parametrize("cron", CRONS)
def test_a_cron_that_fires_is_valid(tree: Path, cron: str) -> None:
    edit(tree / "apps" / "ecommerce" / "floe.yaml", "pipeline.schedule.cron", cron)
    assert compile_environment(repo.current(), "dev").apps["ecommerce"].app.pipeline.schedule.cron == cron


@pytest.mark.parametrize(
    ("path", "missing", "next_step"),
    [
        ("pipeline.dbt", "apps/ecommerce/absent/dbt_project.yml", "Set pipeline.dbt in apps/ecommerce/floe.yaml"),
        ("semantic_layer.model", "apps/ecommerce/absent", "Set semantic_layer.model in apps/ecommerce/floe.yaml"),
    ],
)
def test_a_folder_that_is_missing_is_named(tree: Path, path: str, missing: str, next_step: str) -> None:
    edit(tree / "apps" / "ecommerce" / "floe.yaml", path, "absent")
    assert f"{missing} does not exist\n{next_step}" in refusal("dev")


def test_each_mistake_has_its_own_line(tree: Path) -> None:
    file = tree / "apps" / "ecommerce" / "floe.yaml"
    edit(file, "name", "Shop")
    edit(file, "nmae", "shop")
    assert len(re.findall(r"\n  n[am]+e: ", refusal("dev"))) == 2


def test_files_without_a_yaml_mapping_are_reported(tree: Path) -> None:
    file = tree / "overlays" / "dev" / "platform.yaml"
    file.write_text("version: 1\ncompute: [\n")
    assert "platform.yaml: document 1, line 3" in refusal("dev")
    file.write_text("[]\n")
    assert "exactly one YAML mapping" in refusal("dev")
    file.unlink()
    assert "cannot read" in refusal("dev")


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("compute.password", PLANTED),
        ("storage.secret_key", PLANTED),
        ("catalog.client_secret", {"env": "X", "value": PLANTED}),
        ("catalog.client_secret", [PLANTED]),
        ("metadata.password", PLANTED),
        ("metadata.password", {"env": PLANTED}),
        ("metadata.password", {"env": "X", "secret": "s", "default": PLANTED}),
        ("secrets", [{"password": PLANTED}]),
        ("specification", PLANTED),
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(tree: Path, path: str, new: object) -> None:
    edit(tree / "overlays" / "prod" / "platform.yaml", path, new)
    message = refusal("prod")
    assert path.partition(".")[0] in message
    assert PLANTED not in message
    done = CliRunner().invoke(cli.app, ["compile", "prod"])
    assert isinstance(done.exception, FloeError)
    assert PLANTED not in done.output


@pytest.mark.parametrize("environment", ["embedded", "dev", "prod"])
def test_compiling_is_repeatable(tree: Path, environment: str) -> None:
    first = compile_environment(repo.current(), environment).text()
    for file in tree.glob("**/platform.yaml"):  # the order of keys does not matter
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()), sort_keys=True))
    for file in tree.glob("apps/*/floe.yaml"):
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()), sort_keys=True))
    assert compile_environment(repo.current(), environment).text() == first
    assert first.endswith("}\n")
    file = tree / "compiled.json"
    file.write_text(first)
    assert artifacts.read(file).text() == first


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_committed_artifacts_equal_the_compiled_sources(tree: Path, environment: str) -> None:
    assert (tree / "overlays" / environment / "compiled" / "CompiledArtifacts.json").read_text() == compile_environment(
        repo.current(), environment
    ).text()


def ecommerce(environment: str) -> App:
    return compile_environment(repo.current(), environment).apps["ecommerce"].app


def lookback(environment: str) -> int:
    return ecommerce(environment).pipeline.lookback_days


def test_only_a_promotion_changes_a_promoted_specification(tree: Path) -> None:
    before = lookback("prod")
    edit(tree / "apps" / "ecommerce" / "floe.yaml", "pipeline.lookback_days", 43)
    assert lookback("prod") == before != 43
    assert lookback("dev") == 43
    edit(tree / "overlays" / "prod" / "platform.yaml", "compute.catalog", "other")
    assert lookback("prod") == before, "a change of the platform does not promote"
    edit(tree / "overlays" / "prod" / "platform.yaml", "specification", "follow")
    assert lookback("prod") == 43


def test_a_promoted_specification_without_a_committed_file_is_compiled(tree: Path) -> None:
    edit(tree / "apps" / "ecommerce" / "floe.yaml", "pipeline.lookback_days", 43)
    repo.current().artifacts_file("prod").unlink()
    assert lookback("prod") == 43


@pytest.mark.usefixtures("tree")
def test_a_specification_edited_by_hand_is_refused() -> None:
    file = repo.current().artifacts_file("prod")
    content = json.loads(file.read_text())
    for change in ({"sha256": "0" * 64}, {"app": content["apps"]["ecommerce"]["app"] | {"name": "other"}}):
        edited = content | {"apps": {"ecommerce": content["apps"]["ecommerce"] | change}}
        file.write_text(json.dumps(edited))
        assert "edited by hand" in refusal("prod")
        assert str(file) in refusal("prod")
    file.write_text("{")
    assert str(file) in refusal("prod")


def test_compile_writes_checks_and_prints_artifacts(tree: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli.app, ["compile", "--check", "dev"]).exit_code == 0
    file = repo.current().artifacts_file("dev")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert runner.invoke(cli.app, ["compile", "--check", "dev"]).exit_code == 1
    edit(tree / "apps" / "ecommerce" / "floe.yaml", "synthetic.customers", 4321)
    committed = repo.current().artifacts_file("dev").read_text()
    done = runner.invoke(cli.app, ["compile", "--check", "dev"])
    assert done.exit_code == 1
    assert "floe compile dev" in done.output
    assert repo.current().artifacts_file("dev").read_text() == committed
    assert json.loads(runner.invoke(cli.app, ["compile", "--stdout", "dev"]).stdout)["environment"] == "dev"
    assert repo.current().artifacts_file("dev").read_text() == committed
    done = runner.invoke(cli.app, ["compile", "dev"])
    assert done.exit_code == 0
    assert "next: Run `floe charts sync`." in done.output
    assert "next:" not in runner.invoke(cli.app, ["compile", "dev"]).output
    assert runner.invoke(cli.app, ["compile", "--check", "dev"]).exit_code == 0
    assert repo.current().artifacts_file("dev").read_text() != committed


def test_secret_names_include_all_secrets_of_the_platform(tree: Path) -> None:
    platform = load(Platform, tree / "overlays" / "prod" / "platform.yaml")
    referred = {"floe-trino", "floe-object-store", "floe-catalog", "floe-postgres"}
    assert platform.secret_names() - referred == set(platform.secrets) >= {"floe-cube"}
    assert referred <= platform.secret_names()


def test_marts_in_an_object_store_need_s3_storage(tree: Path) -> None:
    edit(tree / "platform.yaml", "marts.path", "s3://bucket/marts")
    assert "storage.kind must be s3" in refusal("embedded")


def test_an_app_has_defaults(tmp_path: Path) -> None:
    file = tmp_path / "floe.yaml"
    file.write_text('version: 1\nname: a\npipeline: {schedule: {cron: "0 * * * *"}}\n')
    app = load(App, file)
    assert (app.pipeline.dbt, app.semantic_layer.model, app.synthetic) == ("dbt", "cube/model", None)


def test_settings_come_from_the_environment() -> None:
    ref = Ref(env="PW", secret="s", key="k")
    assert value("plain") == "plain"
    assert value(8443) == "8443"
    assert value(ref, {"PW": "x"}) == "x"
    assert value(Ref(env="PW", default="d"), {"PW": ""}) == "d"
    for empty in ({}, {"PW": ""}):
        with pytest.raises(Missing, match="PW is not set") as caught:
            value(ref, empty)
        assert "Secret s (key k)" in caught.value.hint
    assert number(Ref(env="PORT"), {"PORT": "5432"}) == 5432
    with pytest.raises(FloeError, match="PORT is not a whole number") as refused:
        number(Ref(env="PORT"), {"PORT": PLANTED})
    assert PLANTED not in str(refused.value)
    assert PLANTED not in repr(secret(ref, {"PW": PLANTED}))
    assert secret(ref, {"PW": PLANTED}).get_secret_value() == PLANTED
