"""Preflight against real services: its outcomes if the services work, and for each kind of failure."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

import servers
from embedded import platform
from floe_runtime.connect import s3_client
from floe_runtime.contract.platform import BigQuery, Platform, S3Storage
from floe_runtime.preflight import runner
from floe_runtime.preflight.checks import CHECKS, POSTGRES

FLOE = Path(sys.executable).with_name("floe")


def outcome(made: Platform, check: str, env: dict[str, str] | None = None) -> runner.Outcome:
    """The outcome of one check."""
    also = frozenset({POSTGRES}) if check == POSTGRES else frozenset[str]()
    (result,) = (one for one in runner.run(made, also, os.environ | (env or {})) if one.id == check)
    return result


def s3(server: servers.ObjectStore, **changes: Any) -> Platform:
    return platform(storage={"kind": "s3", "bucket": server.bucket, "endpoint": server.s3, **changes})


def rest(server: servers.ObjectStore, **changes: Any) -> Platform:
    return platform(catalog={"kind": "rest", "uri": server.catalog, "warehouse": server.warehouse, **changes})


def test_preflight_in_a_pod_checks_the_mounted_artifacts(tmp_path: Path) -> None:
    parts: dict[str, dict[str, Any]] = {
        "storage": {"kind": "file", "path": str(tmp_path / "warehouse")},
        "catalog": {"kind": "sql", "path": str(tmp_path / "catalog.db")},
    }
    file = tmp_path / "CompiledArtifacts.json"
    compiled = {"version": 1, "environment": "there", "platform": platform(**parts).model_dump(mode="json"), "apps": {}}
    file.write_text(json.dumps(compiled))
    command = [str(FLOE), "preflight", "--mounted"]
    env = os.environ | {"FLOE_COMPILED_ARTIFACTS": str(file)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "preflight there: 3 passed" in done.stdout
    del env["FLOE_COMPILED_ARTIFACTS"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "FLOE_COMPILED_ARTIFACTS is not set" in done.stderr) == (2, True)


def test_the_embedded_environment_passes(tmp_path: Path) -> None:
    storage = {"kind": "file", "path": str(tmp_path / "ware house")}
    catalog = {"kind": "sql", "path": str(tmp_path / "cata log.db")}
    outcomes = list(runner.run(platform(storage=storage, catalog=catalog)))
    assert {one.id: one.status for one in outcomes} == {
        "compute-duckdb": "passed",
        "storage-file": "passed",
        "catalog-sql": "passed",
    }
    assert list((tmp_path / "ware house").iterdir()) == []


def test_unwritable_folder_and_catalog(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    inside = str(tmp_path / "file" / "folder")
    storage = outcome(platform(storage={"kind": "file", "path": inside}), "storage-file")
    assert storage.status == "failed"
    assert "failed on write" in storage.detail
    catalog = outcome(platform(catalog={"kind": "sql", "path": f"{inside}/catalog.db"}), "catalog-sql")
    assert catalog.status == "failed"
    assert catalog.remedy


def test_a_full_disk_is_told_apart_and_keeps_no_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is a stand-in: only root can make a small one and fill it."""

    def write(probe: Path, _: bytes) -> int:
        probe.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write)
    storage = outcome(platform(storage={"kind": "file", "path": str(tmp_path / "data")}), "storage-file")
    assert "No space left on device" in storage.detail
    assert storage.remedy.startswith("Free space there")
    assert list((tmp_path / "data").iterdir()) == []


def test_s3_passes_and_leaves_nothing(object_store: servers.ObjectStore) -> None:
    made = s3(object_store, prefix="warehouse")
    result = outcome(made, "storage-s3", object_store.env)
    assert (result.status, result.detail) == ("passed", "s3://floe: written, read, deleted")
    assert isinstance(made.storage, S3Storage)
    listed = s3_client(made.storage, object_store.env).list_objects_v2(Bucket="floe", Prefix="warehouse/")
    assert listed["KeyCount"] == 0


def test_catalog_grants_a_token(object_store: servers.ObjectStore) -> None:
    result = outcome(rest(object_store), "catalog-rest", object_store.env)
    assert result.status == "passed", result
    assert "token granted, warehouse s3://warehouse" in result.detail


WRONG_SECRET = "not-the-secret-of-this-test"


@pytest.mark.parametrize(
    ("kind", "changes", "env", "step", "remedy"),
    [
        ("s3", {}, {"AWS_SECRET_ACCESS_KEY": WRONG_SECRET}, "failed on auth", "AWS_SECRET_ACCESS_KEY"),
        ("s3", {"bucket": "nope"}, {}, "failed on bucket", "Create the bucket nope"),
        ("s3", {"endpoint": "http://127.0.0.1:1"}, {}, "failed on connection", "storage.endpoint"),
        ("s3", {"endpoint": {"env": "STORE"}}, {"STORE": "no url"}, "failed on connection", "storage.endpoint"),
        ("s3", {}, {"AWS_ACCESS_KEY_ID": ""}, "failed on settings", "Set AWS_ACCESS_KEY_ID"),
        (
            "rest",
            {},
            {"FLOE_CATALOG_CLIENT_SECRET": WRONG_SECRET},
            "failed on authentication",
            "FLOE_CATALOG_CLIENT_SECRET",
        ),
        ("rest", {"warehouse": "s3://nope"}, {}, "failed on warehouse", "Create the warehouse"),
        ("rest", {"uri": "http://127.0.0.1:1"}, {}, "failed on connection", "catalog.uri"),
        ("rest", {}, {"FLOE_CATALOG_CLIENT_ID": ""}, "failed on settings", "Set FLOE_CATALOG_CLIENT_ID"),
    ],
)
def test_failures_of_object_store_and_catalog_are_reported(
    object_store: servers.ObjectStore, kind: str, changes: dict[str, Any], env: dict[str, str], step: str, remedy: str
) -> None:
    make, check = {"s3": (s3, "storage-s3"), "rest": (rest, "catalog-rest")}[kind]
    result = outcome(make(object_store, **changes), check, object_store.env | env)
    assert result.status == "failed"
    assert step in result.detail
    assert remedy in result.remedy
    for secret in (object_store.secret, WRONG_SECRET):
        assert secret not in result.detail + result.remedy


def test_a_catalog_uri_of_another_service_is_reported(object_store: servers.ObjectStore) -> None:
    result = outcome(rest(object_store, uri=object_store.s3), "catalog-rest", object_store.env)
    assert result.status == "failed"
    assert "is the URI of an Iceberg REST catalog" in result.remedy


def test_postgres_passes(postgres: servers.Postgres) -> None:
    result = outcome(platform(), POSTGRES, postgres.env)
    assert result.status == "passed", result
    assert "may create tables" in result.detail


@pytest.mark.parametrize(
    ("env", "step", "remedy"),
    [
        ({"FLOE_POSTGRES_PASSWORD": WRONG_SECRET}, "failed on authentication", "password"),
        ({"FLOE_POSTGRES_PASSWORD": ""}, "failed on authentication", "Set the variable FLOE_POSTGRES_PASSWORD"),
        ({"FLOE_POSTGRES_DATABASE": "nope"}, "failed on database", "createdb"),
        ({"FLOE_POSTGRES_PORT": "1"}, "failed on connection", "FLOE_POSTGRES_PORT"),
        ({"FLOE_POSTGRES_HOST": "no.such.host.invalid"}, "failed on connection", "FLOE_POSTGRES_HOST"),
        ({"FLOE_POSTGRES_PORT": "abc"}, "failed on settings", "whole number"),
    ],
)
def test_failures_of_postgres_are_reported(
    postgres: servers.Postgres, env: dict[str, str], step: str, remedy: str
) -> None:
    result = outcome(platform(), POSTGRES, postgres.env | env)
    assert result.status == "failed"
    assert step in result.detail
    assert remedy in result.remedy
    assert WRONG_SECRET not in result.detail + result.remedy


def test_a_postgres_user_without_the_right_to_create_tables_is_reported(postgres: servers.Postgres) -> None:
    admin = {"host": servers.HOST, "port": postgres.port, "user": postgres.user, "password": postgres.password}
    with psycopg.connect(**admin, dbname=postgres.database, autocommit=True) as connection:  # type: ignore[arg-type] # a dict of mixed types
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    env = postgres.env | {"FLOE_POSTGRES_USER": "reader", "FLOE_POSTGRES_PASSWORD": "reader"}
    result = outcome(platform(), POSTGRES, env)
    assert "failed on authorization" in result.detail
    assert "GRANT CREATE" in result.remedy


def test_stopped_postgres_is_a_finding_with_a_remedy(tmp_path: Path) -> None:
    with servers.postgres(tmp_path) as server:
        up = floe("preflight", "--check-postgres", "--json", env=server.env)
    down = floe("preflight", "--check-postgres", "--json", env=server.env)
    assert (up.returncode, down.returncode) == (0, 1)
    (check,) = (one for one in json.loads(down.stdout)["checks"] if one["id"] == POSTGRES)
    assert check["status"] == "failed"
    assert "failed on connection" in check["detail"]
    assert "Check that PostgreSQL listens" in check["remedy"]
    assert json.loads(up.stdout)["failed"] == 0


TABLES = {"kind": "tables", "path": "iceberg"}


def test_parts_without_a_check_are_reported_as_unchecked() -> None:
    bigquery = platform().model_copy(update={"compute": BigQuery(target="bigquery", project="shop")})
    (result,) = (one for one in runner.run(bigquery) if one.id == "compute-bigquery")
    assert result.status == "unchecked"


def test_a_trino_that_is_not_there_is_reported() -> None:
    trino = platform(compute={"target": "trino", "host": servers.HOST, "port": 1, "user": "floe"}, marts=TABLES)
    result = outcome(trino, "compute-trino")
    assert (result.status, result.refused) == ("failed", False)
    assert result.detail.startswith("failed on connection: https://127.0.0.1:1: ")
    assert "Check compute.host and compute.port" in result.remedy


def test_unknown_environment_lists_those_that_exist() -> None:
    done = floe("preflight", "nope")
    assert done.returncode == 2
    assert "dev, prod" in done.stderr


def test_ids_are_unique() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def floe(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command `floe`."""
    return subprocess.run(
        [FLOE, *arguments], capture_output=True, text=True, check=False, env=os.environ | (env or {}), timeout=120
    )
