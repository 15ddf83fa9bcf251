"""The checks at the start of the image's programs, and image tags in overlays. These tests build no image."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from floe import cli, image_builds, repo
from floe.errors import FloeError
from floe_runtime import healthy, start

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(("name", "steps"), [(name, place[1]) for name, place in image_builds.PLACES.items()])
def test_pin_changes_one_value_and_no_other_byte(checkout: Path, name: str, steps: tuple[str, ...]) -> None:
    del checkout
    for environment in repo.current().environments():
        file = repo.current().overlay(environment) / "values" / image_builds.PLACES[name][0]
        before = file.read_text()
        assert image_builds.pin(repo.current(), environment, name, f"9.9.9@{DIGEST}") == file
        value = yaml.safe_load(file.read_text())
        for step in steps:
            value = value[step]
        assert value == f"9.9.9@{DIGEST}"
        changed = [(a, b) for a, b in zip(before.splitlines(), file.read_text().splitlines(), strict=True) if a != b]
        ((old, new),) = changed
        assert new.partition("tag:")[0] == old.partition("tag:")[0]
        assert new.partition("#")[2] == old.partition("#")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dev", "dagster", "0.2.0"), "not a tag with a digest"),
        (("dev", "dagster", "0.2.0@sha256:12"), "not a tag with a digest"),
        (("dev", "store", f"0.2.0@{DIGEST}"), "overlays pin no image 'store'"),
        (("nowhere", "cube", f"0.2.0@{DIGEST}"), "no overlay 'nowhere'"),
    ],
)
def test_pin_refuses_invalid_arguments(checkout: Path, arguments: tuple[str, str, str], words: str) -> None:
    del checkout
    with pytest.raises(FloeError, match=words):
        image_builds.pin(repo.current(), *arguments)


def test_an_app_with_a_dockerfile_is_built_as_an_image_of_its_own(checkout: Path) -> None:
    assert image_builds.images(repo.current()) == image_builds.IMAGES
    (checkout / "apps" / "ecommerce" / "Dockerfile").touch()
    own = image_builds.images(repo.current())["ecommerce"]
    assert (own.name, own.dockerfile) == ("floe-ecommerce", "apps/ecommerce/Dockerfile")


def test_pin_prints_the_next_step(checkout: Path) -> None:
    del checkout
    assert (
        "next: Run `floe charts sync`." in CliRunner().invoke(cli.app, ["pin", "dev", "cube", f"9.9.9@{DIGEST}"]).output
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bad tag", ""), "'bad tag' is not a valid image tag"),
        (("0.2.0", "trino mysql"), "there is no adapter 'mysql'"),
    ],
)
def test_invalid_arguments_are_refused_before_the_build(arguments: tuple[str, str], words: str) -> None:
    image_builds.check("0.2.0", " ".join(image_builds.ADAPTERS))
    with pytest.raises(FloeError, match=words):
        image_builds.check(*arguments)


def test_missing_variables_of_dagster_yaml_are_reported(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(
        "storage: {postgres: {postgres_db: {password: {env: PG_PASSWORD}, hostname: {env: PG_HOST}}}}\n"
        "run_launcher: {config: {env_vars: [A=b], other: {env: PG_PASSWORD}}}\n"
    )
    home = {"DAGSTER_HOME": str(tmp_path)}
    with pytest.raises(FloeError, match=r"^PG_PASSWORD, PG_HOST are not set$"):
        start.check("dagster-webserver", [], home)
    with pytest.raises(FloeError, match=r"^PG_HOST is not set$"):
        start.check("dagster-daemon", ["run"], home | {"PG_PASSWORD": "x"})
    start.check("dagster-daemon", ["run"], home | {"PG_PASSWORD": "x", "PG_HOST": "x"})


def test_the_webserver_waits_for_its_code_locations(tmp_path: Path) -> None:
    """A server that never accepts a connection delays the webserver, but does not stop it."""
    workspace = tmp_path / "workspace.yaml"
    arguments = ["-p", "3000", "-w", str(workspace)]

    def waits(port: int, seconds: float) -> float:
        workspace.write_text(f"load_from:\n- grpc_server: {{host: 127.0.0.1, port: {port}, location_name: shop}}\n")
        started = time.monotonic()
        start.wait_for_code_locations(arguments, seconds)
        return time.monotonic() - started

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert waits(port, 0.8) >= 0.8
        timer = threading.Timer(0.7, server.listen)
        timer.start()
        assert 0.7 <= waits(port, 60) < 60
        timer.join()


@pytest.mark.parametrize("content", ["", "load_from: [{python_file: shop.py}]", "load_from: {grpc_server}", "[", "5"])
def test_invalid_workspace_files_are_left_to_dagster(tmp_path: Path, content: str) -> None:
    (tmp_path / "workspace.yaml").write_text(content)
    started = time.monotonic()
    start.wait_for_code_locations(["-w", str(tmp_path / "workspace.yaml")], 60)
    start.wait_for_code_locations(["-w", str(tmp_path / "missing.yaml")], 60)
    assert time.monotonic() - started < 60


def test_a_daemon_without_dagster_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FloeError, match=r"cannot read .*dagster\.yaml"):
        start.check("dagster-daemon", ["run"], {"DAGSTER_HOME": str(tmp_path)})
    start.check("dagster", ["--version"], {"DAGSTER_HOME": str(tmp_path)})


def test_an_invalid_dagster_yaml_is_reported(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: {postgres: [")
    with pytest.raises(FloeError, match="is not valid YAML"):
        start.check("dagster-webserver", [], {"DAGSTER_HOME": str(tmp_path)})


def test_programs_that_do_not_answer_are_unhealthy() -> None:
    assert not healthy.healthy(["tini", "--", "/opt/venv/bin/dagster-webserver", "-h", "0.0.0.0", "-p", "9"])  # noqa: S104 # only compared
    assert not healthy.healthy(["/opt/venv/bin/dagster", "api", "grpc", "--port", "9"])
    assert healthy.healthy(["tini", "--", "/opt/venv/bin/dagster", "api", "execute_run", "{}"])
