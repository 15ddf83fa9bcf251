"""Pull charts from real repositories, registries and mirrors on loopback, into the folders that kustomize reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from built import BUILT
from chart_repository import (
    FLOE,
    NAMES,
    Upstream,
    leftovers,
    lock,
    point_at,
    run,
    sources,
)
from floe import charts, render, repo, tools
from floe.charts import archives
from floe.charts.audit import verify
from floe.errors import FloeError
from floe.repo import Checkout


def test_an_overlay_is_rendered_with_charts_from_the_repository(checkout: Path, upstream: Upstream) -> None:
    done = run(FLOE, "charts", "pull", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("from its repository (unlocked: charts.lock has no sha256 for it)") == len(NAMES)
    for chart in charts.pinned(repo.current(), "dev"):
        record = chart.record()
        assert record
        assert (record.origin, record.location) == ("repository", upstream.url)
        assert record.archive == archives.sha256(upstream.archive(chart.name))
    assert b"kind: Deployment" in render.render(repo.current(), "dev")  # kustomize ignores the record next to the chart
    again = run(FLOE, "charts", "pull", cwd=checkout)
    assert (again.returncode, again.stderr) == (0, "")


def test_a_cached_archive_is_not_downloaded_again(checkout: Path, upstream: Upstream) -> None:
    assert sources() == {"repository"}
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    upstream.archive("cube").unlink()
    assert sources() == {"cache"}
    with pytest.raises(FloeError, match="cannot pull the chart cube"):
        sources(force=True)
    assert all(chart.is_pulled() for chart in charts.pinned(repo.current(), "dev"))  # the pulled charts are kept


def test_a_damaged_archive_in_the_cache_is_replaced(checkout: Path, upstream: Upstream) -> None:
    lock()
    cached = next((repo.cache_dir() / "charts").glob("cube-3*.tgz"))
    cached.write_bytes(b"damaged")
    assert {pulled.chart.split()[0]: pulled.source for pulled in charts.pull(repo.current(), ["dev"])} == {
        "cube": "repository",
        "cubestore": "cache",
        "dagster": "cache",
    }
    assert archives.sha256(cached) == archives.sha256(upstream.archive("cube"))
    cached.write_bytes(b"damaged")
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    upstream.archive("cube").unlink()
    with pytest.raises(FloeError, match=r"cannot pull .* archive in the cache cannot be used: .* charts\.lock says"):
        sources()


def test_a_mirror_takes_precedence_over_cache_and_checkout(checkout: Path, upstream: Upstream, tmp_path: Path) -> None:
    list(charts.pull(repo.current(), repo.current().environments()))
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    mirror = tmp_path / "mirror"
    shutil.copytree(upstream.folder, mirror)
    assert sources(mirror=str(mirror)) == {"mirror"}
    record = charts.pinned(repo.current(), "dev")[0].record()
    assert record
    assert record.location.startswith(str(mirror))
    # An archive from a mirror is not verified, so it is not added to the cache, which pulls without a mirror use.
    shutil.rmtree(repo.cache_dir() / "charts")
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    sources(mirror=str(mirror))
    assert not (repo.cache_dir() / "charts").exists()


def test_charts_are_copied_from_this_checkout_to_another(checkout: Path, upstream: Upstream, tmp_path: Path) -> None:
    list(charts.pull(repo.current(), ["dev"]))
    shutil.rmtree(repo.cache_dir() / "charts")
    shutil.rmtree(upstream.folder)
    base = tmp_path / "base revision"
    shutil.copytree(checkout, base, ignore=shutil.ignore_patterns("charts"))
    shutil.copytree(checkout / "base" / "charts", base / "base" / "charts")
    shutil.rmtree(base / "tests")
    assert sources(Checkout(base), source=repo.current()) == {"checkout"}
    pulled = charts.pinned(Checkout(base), "dev")
    assert {chart.path.is_relative_to(base) and chart.is_pulled() for chart in pulled} == {True}
    assert [chart.record() for chart in pulled] == [chart.record() for chart in charts.pinned(repo.current(), "dev")]
    shutil.rmtree(base / "overlays" / "dev" / "charts")
    (charts.pinned(repo.current(), "dev")[0].path / "values.yaml").write_text("changed: by hand")
    with pytest.raises(FloeError, match="cannot pull"):
        sources(Checkout(base), source=repo.current())


def test_stand_ins_are_copied_to_another_checkout(upstream: Upstream, checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(upstream.folder)
    base = tmp_path / "base revision"
    shutil.copytree(checkout, base)
    shutil.rmtree(base / "tests")
    assert sources(Checkout(base), source=repo.current(), stand_ins=True) == {"stand-in"}
    assert all(chart.is_stand_in() for chart in charts.pinned(Checkout(base), "dev"))


def test_a_mirror_contains_archives_or_folders(checkout: Path, packages: Path) -> None:
    assert sources(mirror=str(packages)) == {"mirror"}
    assert sources(mirror=str(packages)) == {"present"}
    records = [chart.record() for chart in charts.pinned(repo.current(), "dev")]
    assert all(record and record.archive for record in records)
    done = run(FLOE, "charts", "pull", "--force", "--mirror", checkout / "tests" / "charts", "dev", cwd=checkout)
    assert done.stderr.count("from the mirror (an unpacked folder, not checked against charts.lock)") == len(NAMES)
    records = [chart.record() for chart in charts.pinned(repo.current(), "dev")]
    assert {record and record.archive for record in records} == {None}


def test_credentials_in_the_url_of_a_mirror_are_not_shown(checkout: Path, upstream: Upstream) -> None:
    password = "a-password-of-this-test"
    mirror = upstream.url.replace("://", f"://me:{password}@")
    done = run(FLOE, "charts", "pull", "--mirror", mirror, cwd=checkout)
    assert done.returncode == 0, done.stderr
    upstream.archive("cube").unlink()
    failed = run(FLOE, "charts", "pull", "--force", "--mirror", mirror, cwd=checkout)
    assert failed.returncode == 2
    assert "cannot pull the chart cube" in failed.stderr
    written = "".join(path.read_text() for path in checkout.glob("overlays/*/charts/*/.pulled.json"))
    assert upstream.url in written
    assert password not in done.stderr + failed.stderr + written


@pytest.mark.usefixtures("upstream")
@BUILT
def test_charts_are_pulled_from_a_mirror_that_is_a_registry(checkout: Path, packages: Path, registry: str) -> None:
    assert set(lock(mirror=registry).values()) == {"locked"}
    assert sources(mirror=registry) == {"mirror"}
    for chart in charts.pinned(repo.current(), "dev"):
        (archive,) = packages.glob(f"{chart.name}-[0-9]*.tgz")
        record = chart.record()
        assert record
        assert (record.archive, record.location) == (archives.sha256(archive), registry)
    done = run(FLOE, "charts", "pull", "prod", "--mirror", f"{registry}/nowhere", cwd=checkout)
    assert done.returncode == 2
    assert "cannot pull the chart cube 3.3.0 from oci://" in done.stderr


@BUILT
def test_charts_are_pulled_from_a_repository_that_is_a_registry(
    checkout: Path, upstream: Upstream, registry: str
) -> None:
    shutil.rmtree(upstream.folder)
    point_at(checkout, registry)
    assert sources() == {"repository"}


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("oci://localhost:5000/x", True),
        ("oci://127.0.0.1/x", True),
        ("oci://[::1]:5000/x", True),
        ("oci://localhost.example.com/x", False),
        ("oci://10.0.0.1:5000/x", False),
        ("oci://registry.example.com/x", False),
    ],
)
def test_only_registries_on_loopback_are_used_without_tls(url: str, plain: bool) -> None:
    assert archives._is_loopback(url) is plain


def test_an_unreadable_folder_in_a_mirror_is_reported(checkout: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(checkout / "tests" / "charts", mirror)
    (mirror / "cube" / "templates" / "broken.yaml").symlink_to("nowhere")
    with pytest.raises(FloeError, match=r"serves as cube 3\.3\.0 is not a chart: .*nowhere|broken\.yaml"):
        sources(mirror=str(mirror))
    assert leftovers(checkout) == []
    assert lock(mirror=str(mirror))["cube"] == "failed"


def test_an_index_that_is_a_web_page_is_reported(checkout: Path, upstream: Upstream) -> None:
    (upstream.folder / "index.yaml").write_text("<!doctype html><title>Not found</title>")
    done = run(FLOE, "charts", "pull", "--mirror", upstream.url, cwd=checkout)
    assert done.returncode == 2
    assert f"error: cannot pull the chart cube 3.3.0 from {upstream.url}: " in done.stderr
    assert "FLOE_CHART_MIRROR" in done.stderr
    assert leftovers(checkout) == []


@pytest.mark.parametrize(
    ("mirror", "words"),
    [
        ("empty", "does not contain the chart cube 3.3.0"),
        ("nowhere", "is not a folder"),
        ("older", "serves cube 3.2.9 for the chart cube 3.3.0"),
        ("file:///srv", "cannot pull the chart cube 3.3.0 from file:///srv"),
    ],
)
def test_a_mirror_without_the_chart_is_reported(checkout: Path, tmp_path: Path, mirror: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(checkout / "tests" / "charts", tmp_path / "older")
    meta = tmp_path / "older" / "cube" / "Chart.yaml"
    meta.write_text(meta.read_text().replace("version: 3.3.0", "version: 3.2.9"))
    with pytest.raises(FloeError) as error:
        list(charts.pull(repo.current(), ["dev"], mirror if "://" in mirror else str(tmp_path / mirror)))
    assert words in error.value.message
    assert leftovers(checkout) == []


def test_without_helm(checkout: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tools.TOOLS["helm"]
    monkeypatch.setitem(tools.TOOLS, "helm", tools.Tool("helm", tool.why, (99,), tool.version, (), tool.hint))
    tools.resolve.cache_clear()
    with pytest.raises(FloeError) as error:
        sources()
    assert "cannot pull the chart cube 3.3.0: helm 99 or newer is missing" in error.value.message
    assert "install Helm" in error.value.hint
    assert leftovers(checkout) == []
    assert sources(mirror=str(upstream.folder)) == {"mirror"}  # a mirror that is a folder needs no Helm
    tools.resolve.cache_clear()


def test_a_folder_that_cannot_be_written_is_reported(checkout: Path, packages: Path) -> None:
    (checkout / "overlays" / "dev" / "charts").write_text(
        "in the way"
    )  # root ignores permissions, so a file blocks the folder
    done = run(FLOE, "charts", "pull", "dev", "--mirror", packages, cwd=checkout)
    assert done.returncode == 2
    assert "cannot write the chart cube 3.3.0" in done.stderr
    assert (checkout / "overlays" / "dev" / "charts").read_text() == "in the way"


def test_real_charts_replace_stand_ins(checkout: Path, upstream: Upstream) -> None:
    hidden = upstream.folder.rename(upstream.folder.with_name("hidden"))
    done = run(FLOE, "charts", "pull", "--stand-ins", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("a stand-in for trying things out; do not deploy it (cannot pull the chart") == len(NAMES)
    assert sources(stand_ins=True) == {"present"}
    changed = checkout / "tests" / "charts" / "cube" / "values.yaml"
    changed.write_text(changed.read_text() + "# changed\n")
    assert sources(stand_ins=True) == {"present", "stand-in"}
    assert {finding.message for finding in verify(repo.current(), "prod")} == {
        "a stand-in, so values were not compared with the real chart's"
    }
    hidden.rename(upstream.folder)
    assert sources(stand_ins=True) == {"present"}
    assert sources() == {"repository"}
    assert not any(chart.is_stand_in() for chart in charts.pinned(repo.current(), "dev"))
    assert all(chart.is_stand_in() for chart in charts.pinned(repo.current(), "prod"))
    upstream.folder.rename(hidden)
    with pytest.raises(FloeError, match="cannot pull"):
        sources(stand_ins=True, force=True)
    assert not any(chart.is_stand_in() for chart in charts.pinned(repo.current(), "dev"))
