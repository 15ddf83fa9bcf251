"""floe.toml: the settings of a fork that belong to no single environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from floe import settings
from floe.errors import FloeError
from floe.repo import Checkout
from rendering import ROOT


def test_the_committed_schema_is_up_to_date() -> None:
    """If this fails, run `python -m floe.settings`."""
    assert settings.SCHEMA.read_text() == settings.schema()


def test_the_manifests_name_images_in_the_registry_of_floe_toml() -> None:
    """`floe images` names the images after floe.toml, and overlays must find them."""
    files = [*(ROOT / "base" / "charts").rglob("*.yaml"), *ROOT.glob("apps/*/deploy/*.yaml")]
    named = re.compile(r"repository: (\S+/floe-\w+)$", re.MULTILINE)
    images = {image for file in files for image in named.findall(file.read_text())}
    registry = Checkout(ROOT).settings.registry
    assert images
    assert {image.rpartition("/")[0] for image in images} == {registry}


def test_a_missing_file_gives_the_defaults(tmp_path: Path) -> None:
    assert settings.load(tmp_path / "floe.toml") == settings.Settings()


def test_the_promotion_order_comes_from_the_file(tmp_path: Path) -> None:
    for name in ("prod", "demo", "test", "qa"):
        (tmp_path / "overlays" / name).mkdir(parents=True)
        (tmp_path / "overlays" / name / "kustomization.yaml").touch()
    (tmp_path / "floe.toml").write_text('promotion = ["test", "qa", "prod"]\n')
    checkout = Checkout(tmp_path)
    assert checkout.in_promotion_order() == ["test", "qa", "prod", "demo"]
    assert [checkout.predecessor(name) for name in ("test", "qa", "prod", "demo")] == [None, "test", "qa", None]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("promotion = [", "floe.toml cannot be read: "),
        ('promotion = "dev"', "promotion: must be"),
        ('promotion = ["dev", "dev"]', "promotion: must name each environment only once"),
        ('order = ["dev"]', "order: there is no such field"),
        ('registry = "https://ghcr.io/floe"', "registry: "),
        ('registry = "ghcr.io/Floe"', "registry: "),
        ('repository = "git@github.com:data/platform.git"', "repository: "),
        (b"promotion = ['\xff']", "floe.toml cannot be read: "),
    ],
)
def test_an_invalid_file_is_reported_with_the_field(tmp_path: Path, content: str | bytes, words: str) -> None:
    (tmp_path / "floe.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FloeError) as error:
        _ = Checkout(tmp_path).settings
    assert words in error.value.message
    assert error.value.hint
