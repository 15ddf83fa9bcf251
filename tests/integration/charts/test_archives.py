"""Invalid chart archives are refused, and remote references in the schema of a chart are bundled."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from chart_repository import (
    Upstream,
    leftovers,
    lock,
    rewrite,
    run,
)
from floe import charts, repo, tools
from floe.charts.schemas import bundle_schemas
from floe.errors import FloeError
from rendering import ROOT


def truncated(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:700])


def web_page(archive: Path) -> None:
    archive.write_bytes(b"<!doctype html><title>Sign in</title>")


def outside(archive: Path) -> None:
    rewrite(archive, lambda files: files | {"cube/../../../escaped": b"x"})


def absolute(archive: Path) -> None:
    rewrite(archive, lambda files: files | {f"{archive.parent}/escaped": b"x"})


def linked(archive: Path) -> None:
    rewrite(archive, lambda files: files)
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("cube/Chart.yaml")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(member)


def another_chart(archive: Path) -> None:
    shutil.copy(next(archive.parent.glob("dagster-*.tgz")), archive)


def another_name(archive: Path) -> None:
    rewrite(archive, lambda files: {f: c.replace(b"name: cube", b"name: kube") for f, c in files.items()})


def another_version(archive: Path) -> None:
    rewrite(archive, lambda files: {f: c.replace(b"version: 3.3.0", b"version: 3.2.9") for f, c in files.items()})


def no_chart_yaml(archive: Path) -> None:
    rewrite(archive, lambda files: {f: c for f, c in files.items() if not f.endswith("Chart.yaml")})


def bad_chart_yaml(archive: Path) -> None:
    rewrite(archive, lambda files: files | {"cube/Chart.yaml": b"a: [\x00"})


def bad_schema(archive: Path) -> None:
    rewrite(archive, lambda files: files | {"cube/values.schema.json": b"{"})


def huge(archive: Path) -> None:
    rewrite(archive, lambda files: files | {"cube/huge": bytes(101 << 20)})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncated, "is not a chart archive"),
        (web_page, "is not a chart archive: not a gzip file"),
        (outside, "which is not in cube/"),
        (absolute, "which is not in cube/"),
        (linked, "is not a regular file"),
        (another_chart, "which is not in cube/"),
        (another_name, "serves kube 3.3.0 for the chart cube 3.3.0"),
        (another_version, "serves cube 3.2.9 for the chart cube 3.3.0"),
        (no_chart_yaml, "something without a readable Chart.yaml"),
        (bad_chart_yaml, "something without a readable Chart.yaml"),
        (bad_schema, "is not JSON"),
        (huge, "more than 100 MiB"),
    ],
)
def test_an_invalid_archive_is_refused_and_leaves_no_files(
    checkout: Path, upstream: Upstream, spoil: Callable[[Path], None], words: str
) -> None:
    archive = upstream.archive("cube")  # the first chart that is pulled; the index keeps its old digest
    spoil(archive)
    for mirror in (None, str(upstream.folder)):
        with pytest.raises(FloeError) as error:
            list(charts.pull(repo.current(), ["dev"], mirror, stand_ins=True))
        assert words in error.value.message
        assert error.value.hint
        assert leftovers(checkout) == []
    assert not list(checkout.parent.rglob("escaped"))
    assert not (repo.cache_dir() / "charts").exists()
    assert lock()["cube"] == ("locked" if spoil is bad_schema else "failed")


def test_remote_references_of_a_schema_are_bundled(tmp_path: Path) -> None:
    remote = "https://example.com/v1.19.0/_definitions.json#/definitions/"
    chart = tmp_path / "chart"
    chart.mkdir()
    shutil.copy(ROOT / "tests/charts/cube/Chart.yaml", chart)
    probe = {"$ref": f"{remote}io.k8s.api.core.v1.Probe"}
    labels = {"$ref": f"{remote}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta/properties/labels"}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"probe": probe, "labels": labels}}
    (chart / "values.schema.json").write_text(json.dumps(schema))
    (chart / "templates").mkdir()
    bundle_schemas(chart)
    assert "https://example.com" not in (chart / "values.schema.json").read_text()
    for values, accepted in (
        ({"probe": {"httpGet": {"port": 1, "path": "/"}}, "labels": {"a": "b"}}, True),
        ({"probe": {"httpGet": "no object"}}, False),
        ({"labels": {"a": 1}}, False),
    ):
        (tmp_path / "values.yaml").write_text(json.dumps(values))
        done = run(tools.resolve("helm"), "template", chart, "--values", tmp_path / "values.yaml", cwd=tmp_path)
        assert (done.returncode == 0) is accepted, done.stderr
