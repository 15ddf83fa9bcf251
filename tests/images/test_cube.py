"""The Cube image with the stand-in for its Rust addon, on Parquet files in an object store, as in dev."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import servers
from containers import Podman, podman
from cube_server import REVENUE_BY_DAY, Shop, wait_ready
from floe import image_builds, repo
from floe.demo import cube
from floe.errors import FloeError
from floe_runtime.connect import s3_client
from floe_runtime.contract.platform import S3Storage
from images.build import RECIPES, TAG, builder

SECRET = "only-this-test-signs-with-it-0123456789"


@pytest.fixture(scope="module")
def image() -> Podman:
    return podman("cube")


@pytest.fixture(scope="module")
def env(object_store: servers.ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that the chart sets, after the marts are uploaded to the object store."""
    folder = tmp_path_factory.mktemp("marts")
    Shop(orders=90).write(folder, f"s3://{object_store.bucket}")
    client = s3_client(S3Storage(kind="s3", bucket=object_store.bucket, endpoint=object_store.s3), object_store.env)
    for file in (folder / "marts").iterdir():
        client.upload_file(str(file), object_store.bucket, f"marts/{file.name}")
    return {
        "CUBEJS_DB_TYPE": "duckdb",
        "CUBEJS_API_SECRET": SECRET,
        "FLOE_MARTS": f"s3://{object_store.bucket}",
        "CUBEJS_DB_DUCKDB_S3_ENDPOINT": urlsplit(object_store.s3).netloc,
        "CUBEJS_DB_DUCKDB_S3_USE_SSL": "false",
        "CUBEJS_DB_DUCKDB_S3_URL_STYLE": "path",
        "CUBEJS_DB_DUCKDB_S3_ACCESS_KEY_ID": object_store.key,
        "CUBEJS_DB_DUCKDB_S3_SECRET_ACCESS_KEY": object_store.secret,
        "CUBEJS_REFRESH_WORKER": "true",
    }


@pytest.mark.parametrize("name", ["FLOE_MARTS", "CUBEJS_DB_TYPE", "CUBEJS_API_SECRET"])
def test_a_missing_variable_is_reported_once(image: Podman, env: dict[str, str], name: str) -> None:
    done = image.run([], {key: value for key, value in env.items() if key != name}, check=False)
    assert done.returncode == 2, done.stdout
    assert re.fullmatch(rf"cube: {name} is not set: .*\n", done.stdout)
    assert SECRET not in done.stdout


def test_cube_serves_rows_on_a_read_only_root(image: Podman, env: dict[str, str]) -> None:
    (port,) = servers.free_ports(1)
    url = f"http://{servers.HOST}:{port}"
    with image.started([], env | {"PORT": str(port), "FLOE_CUBE_HOST": servers.HOST}) as container:
        ready = container.until(lambda: container.exec("node", "/app/healthy.js").returncode == 0, 60)
        wait_ready(url, 30)
        (row,) = cube.load(url, cube.token(SECRET), {"measures": ["orders.count"]})
        assert row == {"orders.count": "90"}
        answer = cube.answer(url, cube.token(SECRET), REVENUE_BY_DAY)
        assert answer["usedPreAggregations"]
        with pytest.raises(cube.CubeError):
            cube.load(url, "", {"measures": ["orders.count"]})
        assert container.exec("cat", "/proc/1/comm").stdout.strip() == "tini"
        assert container.exec("cat", "/opt/cube/native.txt").stdout.strip() == "stand-in"
        code, took = container.stop(30)
    print(f"cube healthy after {ready:.1f} s, ended by SIGTERM after {took:.1f} s with {code}")
    assert code == 0


def test_the_image_contains_the_model_of_every_app(image: Podman) -> None:
    listed = set(image.run(["find", "/app/model", "-name", "*.yml"], {}, "--entrypoint=").stdout.split())
    apps = Path(__file__).parents[2] / "apps"
    assert listed == {
        f"/app/model/{file.relative_to(apps)}".replace("/cube/model/", "/")
        for file in apps.glob("*/cube/model/**/*.yml")
    }


def test_a_production_build_never_uses_the_stand_in() -> None:
    """Without the build argument of the tests, a missing addon is an error, and an existing one is the real one."""
    assert set(RECIPES["cube"].arguments) == {"STANDIN"}
    reference = f"localhost/floe-production/cube:{TAG}"
    refused = ""
    try:
        builder().build(repo.current(), image_builds.IMAGES["cube"], TAG, {}, reference)
    except FloeError as error:
        refused = f"{error.message} {error.hint}"
    if refused:
        assert "no stand-in was allowed" in refused
    else:
        assert Podman(reference).run(["cat", "/opt/cube/native.txt"], {}, "--entrypoint=").stdout.strip() == "real"
        builder().call("rmi", "--force", reference)
