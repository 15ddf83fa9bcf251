"""`floe compile` refuses apps and environments that would write the same place, and names both files and the field."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe import repo
from floe.contract.compiling import compile_environment
from floe.errors import FloeError
from forks import with_known_values
from rendering import ROOT
from second_app import copy_app

Platform = dict[str, Any]
Edit = tuple[str, str, str]
"""A file of the second app, the text that is replaced in it, and the text that replaces it."""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that are compiled, with the apps ecommerce and returns."""
    shutil.copytree(ROOT / "apps", tmp_path / "apps", ignore=shutil.ignore_patterns("target", "logs"))
    for folder in ("base", "overlays"):
        (tmp_path / folder).mkdir()
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
    write(tree, "one", PLATFORM)
    assert "apps/returns/cube/model/extra.js" in refusal("one"), "the image of Cube holds the models of all apps"


def test_an_app_may_read_the_tables_of_another_one(tree: Path) -> None:
    file = tree / "apps" / "returns" / "floe.yaml"
    content = yaml.safe_load(file.read_text())
    del content["synthetic"]
    content["pipeline"]["raw_namespace"] = "raw"
    file.write_text(yaml.safe_dump(content))
    assert len(compile_environment(repo.current(), repo.EMBEDDED).apps) == 2


PLATFORM: Platform = {
    "version": 1,
    "specification": "follow",
    "compute": {"target": "duckdb"},
    "storage": {
        "kind": "s3",
        "bucket": "b",
        "prefix": "warehouse",
        "endpoint": "http://store.one.svc.cluster.local:80",
    },
    "catalog": {"kind": "rest", "uri": "https://polaris.one/api/catalog", "warehouse": "w"},
    "metadata": {"kind": "postgres", "host": "postgresql.one", "port": 5432, "database": "d"},
    "marts": {"kind": "parquet", "path": "s3://b"},
}
"""An environment that lists no app."""

TRINO: Platform = {
    "compute": {"target": "trino", "host": "trino.one", "catalog": "iceberg"},
    "marts": {"kind": "tables", "path": "iceberg"},
}

OWN: dict[str, Platform] = {
    "storage.bucket and storage.prefix": {"storage": {"bucket": "mine"}},
    "marts.path": {"marts": {"path": "s3://mine"}},
    "catalog.warehouse": {"catalog": {"warehouse": "mine"}},
    "metadata.database": {"metadata": {"database": "mine"}},
}
"""What makes each place of a copy of PLATFORM its own."""


def write(tree: Path, environment: str, platform: Platform, *changes: Platform) -> None:
    """Write an overlay with a platform. A change replaces fields of a part, or a part that gets another kind."""
    for change in changes:
        for part, fields in change.items():
            whole = bool({"kind", "target"} & set(fields))
            platform = platform | {part: fields if whole else platform[part] | fields}
    folder = tree / "overlays" / environment
    (folder / "values").mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").touch()
    (folder / "values" / "kustomization.yaml").write_text("components: []\n")
    (folder / "platform.yaml").write_text(yaml.safe_dump(platform))


@pytest.mark.parametrize("shared", OWN)
def test_environments_that_write_the_same_place_are_refused(tree: Path, shared: str) -> None:
    write(tree, "one", PLATFORM)
    write(tree, "two", PLATFORM, *(change for field, change in OWN.items() if field != shared))
    words = f"overlays/two/platform.yaml and overlays/one/platform.yaml write the same place: {shared} ("
    assert words in refusal("two")
    write(tree, "two", PLATFORM, *OWN.values())
    assert compile_environment(repo.current(), "two").environment == "two"


def test_environments_may_use_equal_names_on_different_servers(tree: Path) -> None:
    write(tree, "one", PLATFORM)
    write(tree, "two", PLATFORM)
    file = tree / "overlays" / "two" / "platform.yaml"
    file.write_text(file.read_text().replace(".one", ".two"))
    assert compile_environment(repo.current(), "two").environment == "two"
    file.write_text(file.read_text().replace("http://store.two.svc.cluster.local:80", "http://store.one"))
    assert "storage.bucket and storage.prefix (b/warehouse on store.one:80)" in refusal("two"), "one host, two names"


def test_services_in_the_own_namespace_are_not_shared(tree: Path) -> None:
    """A host without a dot is another Service in each namespace."""
    for environment in ("one", "two"):
        write(tree, environment, PLATFORM)
        file = tree / "overlays" / environment / "platform.yaml"
        file.write_text(file.read_text().replace(".one.svc.cluster.local", "").replace(".one", ""))
    assert compile_environment(repo.current(), "two").environment == "two"


def test_a_trino_catalog_and_a_folder_inside_another_one_are_shared(tree: Path) -> None:
    aws = {"storage": {"kind": "s3", "bucket": "b", "prefix": "warehouse"}}
    inside = {"storage": {"kind": "s3", "bucket": "b", "prefix": "warehouse/two"}}
    write(tree, "one", PLATFORM, TRINO, aws)
    write(tree, "two", PLATFORM, TRINO, inside)
    assert "storage.bucket and storage.prefix (b/warehouse/two on AWS)" in refusal("two")
    write(tree, "two", PLATFORM, TRINO, aws, *(OWN[f] for f in OWN if f != "marts.path"))
    assert "compute.catalog (iceberg on trino.one:8443)" in refusal("two")
