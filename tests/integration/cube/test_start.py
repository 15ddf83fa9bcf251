"""The start and the end of the real Cube: its settings, its model, and its installation."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cube_server import MODEL, REVENUE_BY_DAY, SECRET, Shop, by_day, day, serving, until
from floe import repo
from floe.demo import cube
from floe.errors import FloeError
from floe.tools import resolve

_DRIVER = """
const { createRequire } = require('node:module');
const [folder, home] = process.argv.slice(1);
const driverPackage = createRequire(home + '/package.json')('@cubejs-backend/duckdb-driver');
const driver = require(folder + '/duckdb.js')(driverPackage.DuckDBDriver ?? driverPackage);
"""
_BUILD_TWICE = """
(async () => {
  await driver.query('CREATE TABLE rollup AS SELECT 1 AS n', []);
  await driver.query('CREATE TABLE rollup AS SELECT 2 AS n', []);
  console.log(JSON.stringify(await driver.query('SELECT n FROM rollup', [])));
  await driver.release();
})();
"""
_RELEASE = """
(async () => {
  await driver.query('SELECT 1', []);
  const running = driver.query('SELECT count(*) AS n FROM range(300000000) a(i) WHERE i % 7 = 0', []);
  await new Promise((done) => setTimeout(done, 50));
  await driver.release();
  console.log(JSON.stringify(await running));
})();
"""


@pytest.mark.parametrize(
    ("program", "answer"),
    [(_RELEASE, '[{"n":"42857143"}]'), (_BUILD_TWICE, '[{"n":"2"}]')],
    ids=["closed during a query", "rollup built twice"],
)
def test_duckdb_driver(installed: cube.CubeInstall, program: str, answer: str) -> None:
    """DuckDB is closed after the query that runs, and a rollup can be built again.

    Cube may shut down while its refresh worker queries; to close DuckDB during a query crashes the process. On a busy
    machine Cube may build the same rollup twice.
    """
    images = repo.current().root / "images" / "cube"
    command = [str(resolve("node")), "-e", _DRIVER + program, str(images), str(installed.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{answer}\n"), done.stderr


def test_queries_before_the_first_run_fail_and_cube_keeps_running(
    installed: cube.CubeInstall, shop: Shop, tmp_path: Path
) -> None:
    with serving(installed, tmp_path / "marts") as running:
        for query in ({"measures": ["orders.count"]}, REVENUE_BY_DAY):
            with pytest.raises(cube.CubeError, match="does not exist"):
                running.answer(query)
        shop.write(running.marts)
        until([{"orders.count": "90"}], lambda: running.load(measures=["orders.count"]))
        until(shop.revenue_by(day), lambda: by_day(running))


def test_the_same_model_works_with_tables_of_trino(installed: cube.CubeInstall, tmp_path: Path) -> None:
    trino = {"CUBEJS_DB_TYPE": "trino", "CUBEJS_DB_HOST": "127.0.0.1", "FLOE_MART": "iceberg.{namespace}.{mart}"}
    with serving(installed, tmp_path / "marts", "livez", CUBEJS_REFRESH_WORKER="false", **trino) as running:
        query = '{"measures":["order_items.revenue"],"dimensions":["products.name"]}'
        reply = cube._get(f"{running.url}/cubejs-api/v1/sql?query={query}", cube.token(SECRET), 20)
    sql = reply["sql"]["sql"][0]
    assert "iceberg.marts.fct_order_items FOR VERSION AS OF 'publication' AS \"order_items\"" in sql
    assert "iceberg.marts.dim_products FOR VERSION AS OF 'publication' AS \"products\"" in sql


@pytest.mark.parametrize("name", ["FLOE_MARTS", "FLOE_CUBE_MODEL", "CUBEJS_DB_TYPE", "CUBEJS_API_SECRET"])
def test_a_missing_variable_is_reported(installed: cube.CubeInstall, tmp_path: Path, name: str) -> None:
    env = cube.environment(MODEL, cube.parquet_marts(tmp_path), 1, SECRET)
    del env[name]
    done = subprocess.run(
        cube.command(repo.current(), installed), env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"cube: {name} is not set: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"CUBEJS_DB_TYPE": "trino", "FLOE_MART": "{namespace}.orders"}, "has no {mart}"),
        (
            {"CUBEJS_DB_TYPE": "trino", "FLOE_MART": "iceberg.marts.{mart}"},
            "has no {namespace}, which stands for the app's marts_namespace",
        ),
        ({"FLOE_CUBE_MODEL": "model"}, "is not the absolute path of a folder"),
        ({"FLOE_CUBE_REFRESH": "soon"}, "is not a whole number of seconds"),
    ],
)
def test_an_invalid_variable_is_reported(
    installed: cube.CubeInstall, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    env = cube.environment(MODEL, cube.parquet_marts(tmp_path), 1, SECRET) | change
    done = subprocess.run(
        cube.command(repo.current(), installed), env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_each_model_file_of_a_mounted_config_map_is_read_once(
    installed: cube.CubeInstall, shop: Shop, tmp_path: Path
) -> None:
    """Kubernetes mounts each file as a link into a hidden folder, to which another hidden link points."""
    model = tmp_path / "model"
    real = model / "..2026_11_24"
    real.mkdir(parents=True)
    (model / "..data").symlink_to(real.name)
    for file in MODEL.rglob("*.yml"):
        shutil.copy(file, real)
        (model / file.name).symlink_to(Path("..data") / file.name)
    shop.write(tmp_path / "marts")
    with serving(installed, tmp_path / "marts", FLOE_CUBE_MODEL=str(model)) as running:
        assert running.load(measures=["orders.count"]) == [{"orders.count": "90"}]


def test_a_folder_with_a_pattern_in_its_name_is_refused() -> None:
    with pytest.raises(FloeError, match="in its name"):
        cube.parquet_marts(Path("/data/marts*"))


def install_script(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(repo.current().root / "images/cube/install.sh"), *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)


def test_an_installation_without_npm_is_reported(tmp_path: Path) -> None:
    done = install_script(str(tmp_path / "new"), NPM="no-such-npm")
    assert done.returncode == 1
    assert done.stderr.startswith("install.sh: npm is missing")
    assert not list(tmp_path.iterdir())


def test_an_image_never_uses_the_stand_in(tmp_path: Path) -> None:
    place = tmp_path / "in the image"
    place.mkdir()
    (place / "native.txt").write_text("stand-in\n")
    standin = str(repo.current().root / "tests/cube-native")
    assert install_script(str(place), standin).stdout == "native: stand-in\n"
    done = install_script(str(place))
    assert done.returncode == 1
    assert "none was allowed" in done.stderr
