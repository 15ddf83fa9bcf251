"""Tests of the Dockerfiles and lock files that do not build an image."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from floe.errors import FloeError
from images.build import ROOT, builder
from toolbox import resolve

DOCKERFILES = sorted(ROOT.glob("images/*/Dockerfile")) + sorted(ROOT.glob("tests/images/lookalikes/*/Dockerfile"))


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_hadolint_finds_nothing(file: object) -> None:
    done = subprocess.run([resolve("hadolint"), str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_base_that_cannot_be_pulled_is_reported_with_a_hint(tmp_path: Path) -> None:
    base = "127.0.0.1:9/nowhere:1"
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\n")
    with pytest.raises(FloeError, match="build failed") as raised:
        builder().call("build", str(tmp_path))
    assert base in raised.value.hint
    assert "buildah pull docker-archive:FILE" in raised.value.hint


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ \n]+)", text, re.MULTILINE))


def test_checkout_and_image_have_the_same_versions_of_packages() -> None:
    checkout, image = pins("requirements.lock"), pins("images/dagster/requirements.lock")
    shared = checkout.keys() & image.keys()
    assert len(shared) > 100
    assert {name: checkout[name] for name in shared} == {name: image[name] for name in shared}


def test_duckdb_in_cube_and_its_extension_have_the_same_version() -> None:
    lock = json.loads((ROOT / "images/cube/package-lock.json").read_bytes())
    release = lock["packages"]["node_modules/@duckdb/node-api"]["version"].partition("-")[0]
    assert pins("images/cube/requirements.lock")["duckdb-extension-httpfs"] == release
