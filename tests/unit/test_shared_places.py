"""`floe compile` refuses apps and environments that would write the same place, and names both files and the field."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from floe import repo
from floe.contract.compiling import compile_environment
from floe.errors import FloeError
from forks import with_known_values
from rendering import ROOT
from second_app import copy_app

Edit = tuple[str, str, str]
"""A file of the second app, the text that is replaced in it, and the text that replaces it."""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that are compiled, with the apps ecommerce and returns."""
    ignored = shutil.ignore_patterns("charts", "target", "logs")
    for folder in ("overlays", "apps"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "base").mkdir()
    shutil.copy(ROOT / "platform.yaml", tmp_path)
    monkeypatch.setenv("FLOE_ROOT", str(tmp_path))
    with_known_values(tmp_path)
    copy_app(tmp_path / "apps", "ecommerce", "returns")
    return tmp_path


def refusal(environment: str) -> str:
    with pytest.raises(FloeError) as caught:
        compile_environment(repo.current(), environment)
    return f"{caught.value.message}\n{caught.value.hint}"


@pytest.mark.usefixtures("tree")
def test_two_apps_with_their_own_names_compile() -> None:
    apps = compile_environment(repo.current(), repo.EMBEDDED).apps
    assert [app.app.pipeline.marts_namespace for app in apps.values()] == ["marts", "returns_marts"]


SHARED: list[tuple[Edit, str]] = [
    (
        ("floe.yaml", "raw_namespace: returns_raw", "raw_namespace: raw"),
        "apps/ecommerce/floe.yaml (pipeline.raw_namespace) and apps/returns/floe.yaml (pipeline.raw_namespace)",
    ),
    (
        ("floe.yaml", "raw_namespace: returns_raw", "raw_namespace: marts"),
        "apps/ecommerce/floe.yaml (pipeline.marts_namespace) and apps/returns/floe.yaml (pipeline.raw_namespace)",
    ),
    (
        ("dbt/dbt_project.yml", "name: returns", "name: ecommerce"),
        "apps/ecommerce/dbt/dbt_project.yml and apps/returns/dbt/dbt_project.yml both have a dbt project with the name "
        "'ecommerce'",
    ),
    (
        ("cube/model/cubes/orders.yml", "  - name: returns_orders", "  - name: orders"),
        "apps/ecommerce/cube/model/cubes/orders.yml and apps/returns/cube/model/cubes/orders.yml both have a cube or "
        "view with the name 'orders'",
    ),
    (
        ("cube/model/views/sales.yml", "  - name: returns_sales", "  - name: customers"),
        "apps/ecommerce/cube/model/cubes/customers.yml and apps/returns/cube/model/views/sales.yml both have a cube",
    ),
    (
        ("cube/model/cubes/orders.yml", "'returns_marts'", "'marts'"),
        "apps/returns/cube/model/cubes/orders.yml, line 5, reads marts of 'marts', but the app's marts_namespace is "
        "'returns_marts'",
    ),
]


@pytest.mark.parametrize(("change", "words"), SHARED, ids=[f"{row[0][0]}-{row[0][2].strip()}" for row in SHARED])
def test_apps_that_share_a_name_are_refused(tree: Path, change: Edit, words: str) -> None:
    name, old, new = change
    file = tree / "apps" / "returns" / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    assert words in refusal(repo.EMBEDDED)


def test_a_cube_in_javascript_is_found(tree: Path) -> None:
    (tree / "apps/returns/cube/model/extra.js").write_text("cube(`orders`, { sql: `SELECT 1` });\n")
    assert "apps/returns/cube/model/extra.js" in refusal("dev"), "the image of Cube holds the models of all apps"


def test_an_app_may_read_the_tables_of_another_one(tree: Path) -> None:
    file = tree / "apps" / "returns" / "floe.yaml"
    content = yaml.safe_load(file.read_text())
    del content["synthetic"]
    content["pipeline"]["raw_namespace"] = "raw"
    file.write_text(yaml.safe_dump(content))
    assert len(compile_environment(repo.current(), repo.EMBEDDED).apps) == 2


def edit(file: Path, path: tuple[str, str], value: str) -> None:
    content = yaml.safe_load(file.read_text())
    content[path[0]][path[1]] = value
    file.write_text(yaml.safe_dump(content))


def copy_environment(tree: Path, old: str) -> Path:
    """Copy an overlay to one with the name qa, whose platform.yaml is still that of the first; returns that file."""
    shutil.copytree(tree / "overlays" / old, tree / "overlays" / "qa")
    return tree / "overlays" / "qa" / "platform.yaml"


OWN = {
    "storage.bucket and storage.prefix": (("storage", "bucket"), "qa"),
    "marts.path": (("marts", "path"), "s3://qa"),
    "catalog.warehouse": (("catalog", "warehouse"), "qa"),
    "metadata.database": (("metadata", "database"), "qa"),
}
"""What makes each place of a copy of dev its own."""


@pytest.mark.parametrize("shared", OWN)
def test_environments_that_write_the_same_place_are_refused(tree: Path, shared: str) -> None:
    file = copy_environment(tree, "dev")
    for field, change in OWN.items():
        if field != shared:
            edit(file, *change)
    words = f"overlays/qa/platform.yaml and overlays/dev/platform.yaml write the same place: {shared} ("
    assert words in refusal("qa")
    edit(file, *OWN[shared])
    assert compile_environment(repo.current(), "qa").environment == "qa"


def test_environments_may_use_equal_names_on_different_servers(tree: Path) -> None:
    file = copy_environment(tree, "dev")
    file.write_text(file.read_text().replace("floe-dev.svc", "floe-qa.svc"))
    assert compile_environment(repo.current(), "qa").platform.metadata.kind == "postgres"
    file.write_text(file.read_text().replace("floe-qa.svc.cluster.local", "floe-dev"))
    assert "write the same place" in refusal("qa"), "the host has two names"


def test_services_in_the_own_namespace_are_not_shared(tree: Path) -> None:
    """The demo names its services without a namespace, so those of a copy are others."""
    copy_environment(tree, "demo")
    assert compile_environment(repo.current(), "qa").environment == "qa"


def test_a_trino_catalog_and_a_folder_inside_another_one_are_shared(tree: Path) -> None:
    file = copy_environment(tree, "prod")
    edit(file, ("storage", "prefix"), "warehouse/qa")
    assert "storage.bucket and storage.prefix (floe-prod/warehouse/qa on AWS)" in refusal("qa")
    edit(file, ("storage", "bucket"), "floe-qa")
    edit(file, ("catalog", "warehouse"), "qa")
    edit(file, ("metadata", "database"), "qa")
    assert "compute.catalog (iceberg on trino.floe-prod:8443)" in refusal("qa")
