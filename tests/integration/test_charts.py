"""Charts from real repositories and registries on loopback: pulled, locked, listed, verified, and every bad answer."""

from __future__ import annotations

import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

import servers
from floe import charts, render, repo, tools
from floe.charts import archives, lockfile
from floe.charts.audit import rows, verify
from floe.charts.schemas import bundle_schemas
from floe.charts.values import unknown_values
from floe.errors import FloeError

ROOT = Path(__file__).parents[2]
FLOE = Path(sys.executable).with_name("floe")
NAMES = ("cube", "cubestore", "dagster")


def run(*command: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, timeout=120
    )


def helm(*words: str | Path, cwd: Path) -> None:
    done = run(tools.resolve("helm"), *words, cwd=cwd)
    assert done.returncode == 0, done.stderr


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a web server on loopback over a folder."""
    with http.server.ThreadingHTTPServer((servers.HOST, 0), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://{servers.HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of archives as `helm package` makes them."""
    folder = tmp_path_factory.mktemp("packages")
    generators = [one for environment in repo.environments() for one in render.chart_generators(environment)]
    for name in NAMES:
        chart = tmp_path_factory.mktemp("unpacked") / name
        shutil.copytree(ROOT / "tests" / "charts" / name, chart)
        # The stand-ins know no more values than they need; as real charts they know whatever overlays set.
        keys = {key for one in generators if one["name"] == name for key in one["valuesInline"]}
        reads = "".join(f'{{{{ toYaml (index .Values "{key}") }}}}' for key in sorted(keys))
        (chart / "templates" / "_any.tpl").write_text(f'{{{{ define "any" }}}}{reads}{{{{ end }}}}')
        helm("package", chart, cwd=folder)
    return folder


class Upstream:
    """A chart repository, which the checkout's overlays take their charts from."""

    def __init__(self, folder: Path, url: str) -> None:
        """Over a folder of archives."""
        self.folder, self.url = folder, url
        self.index()

    def index(self) -> None:
        helm("repo", "index", self.folder, cwd=self.folder)

    def archive(self, name: str) -> Path:
        (found,) = self.folder.glob(f"{name}-[0-9]*.tgz")
        return found

    def change(self, name: str) -> None:
        """Serve another archive of the same version."""
        rewrite(self.archive(name), lambda files: files | {f"{name}/README.md": b"another"})
        self.index()


@pytest.fixture
def upstream(checkout: Path, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A repository of the checkout's own, and an empty cache."""
    for tool in ("helm", "kustomize"):
        monkeypatch.setenv("PATH", f"{tools.resolve(tool).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(charts.MIRROR, raising=False)
    folder = tmp_path / "upstream"
    shutil.copytree(packages, folder)
    with serving(folder) as url:
        point_at(checkout, url)
        yield Upstream(folder, url)


def point_at(checkout: Path, url: str) -> None:
    """Make a repository that of every chart."""
    for name in NAMES:
        file = checkout / "base" / "charts" / f"{name}.yaml"
        lines = [f"repo: {url}" if line.startswith("repo: ") else line for line in file.read_text().splitlines()]
        file.write_text("\n".join(lines) + "\n")


def rewrite(archive: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """Change the files of an archive."""
    with tarfile.open(archive) as tar:
        files = {member.name: read(tar, member) for member in tar if member.isfile()}
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in change(files).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content
    return content.read()


def sources(*arguments: Any, **options: Any) -> set[str]:
    """Where a pull of all charts of dev took them from."""
    return {pulled.source for pulled in charts.pull(["dev"], *arguments, **options)}


def lock(**options: Any) -> dict[str, str]:
    return {outcome.chart.split()[0]: outcome.status for outcome in lockfile.lock(**options)}


def leftovers(checkout: Path) -> list[Path]:
    """Whatever a pull left in dev's folder of charts."""
    return list((checkout / "overlays" / "dev").glob("charts/*"))


def test_from_the_repository_to_a_rendered_overlay(checkout: Path, upstream: Upstream) -> None:
    done = run(FLOE, "charts", "pull", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("from its repository (unlocked: charts.lock has no sha256 for it)") == len(NAMES)
    for chart in charts.pinned("dev"):
        record = chart.record()
        assert record
        assert (record.origin, record.location) == ("repository", upstream.url)
        assert record.archive == archives.sha256(upstream.archive(chart.name))
    assert b"kind: Deployment" in render.render("dev")  # the record beside the chart is no hindrance
    again = run(FLOE, "charts", "pull", cwd=checkout)
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.usefixtures("upstream")
def test_locked_archives_are_pulled_and_verified(checkout: Path) -> None:
    assert set(lock().values()) == {"locked"}
    assert set(lock().values()) == {"unchanged"}
    notes = {pulled.note for pulled in charts.pull(repo.environments())}
    assert notes == {"sha256 as in charts.lock"}
    done = run(FLOE, "charts", "verify", cwd=checkout)
    assert done.returncode == 0, done.stdout
    assert {(row.name, bool(row.locked), *row.overlays.values()) for row in rows()} == {
        (name, True, *["repository"] * len(repo.environments())) for name in NAMES
    }


def test_the_committed_lock_has_what_overlays_pin() -> None:
    pins = charts.chart.places(repo.environments())
    locked = lockfile.digests(ROOT)
    assert lockfile.file(ROOT).read_text() == lockfile.text({key: locked.get(key) for key in pins})


def test_a_lock_reads_as_it_was_written(tmp_path: Path) -> None:
    digests = ["0" * 64, "1" * 63 + "e", "12e" + "4" * 61, "1" * 31 + "e" + "2" * 32, "f" * 64, None]
    versions = ["1.2.3", "1.20", "7", "v1.0.0-rc.1+build"]
    repositories = ["oci://r.example:5000/x", "https://r.example/?a=b: c # d"]
    locked = {
        (f"chart-{number}", version, repository): digest
        for number, (digest, version, repository) in enumerate(product(digests, versions, repositories))
    }
    lockfile.file(tmp_path).write_text(lockfile.text(locked))
    assert lockfile.digests(tmp_path) == locked
    yamllint = Path(sys.executable).with_name("yamllint")
    linted = run(yamllint, "--strict", "-c", ROOT / ".yamllint.yaml", "charts.lock", cwd=tmp_path)
    assert linted.returncode == 0, linted.stdout


def test_another_archive_than_the_locked_one_is_refused(checkout: Path, upstream: Upstream) -> None:
    lock()
    before = lockfile.file(checkout).read_text()
    old = archives.sha256(upstream.archive("cube"))
    upstream.change("cube")
    new = archives.sha256(upstream.archive("cube"))

    done = run(FLOE, "charts", "lock", cwd=checkout)
    assert done.returncode == 1
    assert old in done.stdout
    assert new in done.stdout
    assert lockfile.file(checkout).read_text() == before

    shutil.rmtree(repo.cache_dir() / "charts")
    for stand_ins in (False, True):  # a stand-in is for what cannot be had, not for what must not be had
        with pytest.raises(FloeError) as error:
            list(charts.pull(["dev"], stand_ins=stand_ins))
        assert old in error.value.message
        assert new in error.value.message
        assert "floe charts lock --update cube" in error.value.hint
        assert leftovers(checkout) == []

    assert lock(update=["cube"]) == {"cube": "updated", "cubestore": "unchanged", "dagster": "unchanged"}
    assert sources() == {"cache", "repository"}
    with pytest.raises(FloeError, match="no overlay pins a chart kube"):
        lock(update=["kube"])


def test_a_chart_that_is_locked_anew_is_pulled_anew(upstream: Upstream) -> None:
    lock()
    assert sources() == {"cache"}
    upstream.change("cube")
    lock(update=["cube"])
    problems = {finding.chart: finding.message for finding in verify("dev")}
    assert set(problems) == {"cube 3.3.0"}
    assert "charts.lock says" in problems["cube 3.3.0"]
    assert sources() == {"cache", "present"}
    assert verify("dev") == []


def test_what_cannot_be_locked_keeps_its_entry(checkout: Path, upstream: Upstream) -> None:
    lock()
    first = lockfile.digests(checkout)
    upstream.archive("cube").unlink()
    upstream.change("dagster")
    done = run(FLOE, "charts", "lock", "--update", "dagster", cwd=checkout)
    assert done.returncode == 2
    assert "failed    cube 3.3.0: cannot pull" in done.stdout
    second = lockfile.digests(checkout)
    changed = {name for (name, _, _), digest in second.items() if digest not in first.values()}
    assert changed == {"dagster"}


def test_entries_that_nothing_pins_go(checkout: Path, upstream: Upstream) -> None:
    stale = ("old", "1.0.0", upstream.url)
    lockfile.file(checkout).write_text(lockfile.text({stale: "0" * 64}))
    lock()
    assert {name for name, _, _ in lockfile.digests(checkout)} == set(NAMES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("charts: [{name: cube, version: 1.0.0, repository: x, sha256: abc}]", "charts.0.sha256"),
        ("charts: [{name: cube, version: 1.0.0, repository: x}, {name: cube, version: 1.0.0, repository: x}]", "twice"),
        ("<<<<<<< ours", "charts.lock"),
    ],
)
def test_a_broken_lock_is_a_sentence(checkout: Path, content: str, words: str) -> None:
    lockfile.file(checkout).write_text(content)
    done = run(FLOE, "charts", "pull", cwd=checkout)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert lockfile.file(checkout).read_text() == content


def test_the_cache_saves_the_network(checkout: Path, upstream: Upstream) -> None:
    assert sources() == {"repository"}
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    upstream.archive("cube").unlink()
    assert sources() == {"cache"}
    with pytest.raises(FloeError, match="cannot pull the chart cube"):
        sources(force=True)
    assert all(chart.is_pulled() for chart in charts.pinned("dev"))  # what was there stays


def test_a_cache_that_holds_something_else_is_passed_over(checkout: Path, upstream: Upstream) -> None:
    lock()
    cached = next((repo.cache_dir() / "charts").glob("cube-3*.tgz"))
    cached.write_bytes(b"damaged")
    assert {pulled.chart.split()[0]: pulled.source for pulled in charts.pull(["dev"])} == {
        "cube": "repository",
        "cubestore": "cache",
        "dagster": "cache",
    }
    assert archives.sha256(cached) == archives.sha256(upstream.archive("cube"))
    cached.write_bytes(b"damaged")
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    upstream.archive("cube").unlink()
    with pytest.raises(FloeError, match=r"cannot pull .* what the cache holds cannot be used: .* charts\.lock says"):
        sources()


def test_a_mirror_wins_over_cache_and_checkout(checkout: Path, upstream: Upstream, tmp_path: Path) -> None:
    list(charts.pull(repo.environments()))
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    mirror = tmp_path / "mirror"
    shutil.copytree(upstream.folder, mirror)
    assert sources(str(mirror)) == {"mirror"}
    record = charts.pinned("dev")[0].record()
    assert record
    assert record.location.startswith(str(mirror))
    # Nobody vouches for a mirror's archive, so it is not kept for those who name no mirror.
    shutil.rmtree(repo.cache_dir() / "charts")
    shutil.rmtree(checkout / "overlays" / "dev" / "charts")
    sources(str(mirror))
    assert not (repo.cache_dir() / "charts").exists()


def test_another_checkout_is_filled_from_this_one(checkout: Path, upstream: Upstream, tmp_path: Path) -> None:
    list(charts.pull(["dev"]))
    shutil.rmtree(repo.cache_dir() / "charts")
    shutil.rmtree(upstream.folder)
    base = tmp_path / "base revision"
    shutil.copytree(checkout, base, ignore=shutil.ignore_patterns("charts"))
    shutil.copytree(checkout / "base" / "charts", base / "base" / "charts")
    shutil.rmtree(base / "tests")
    assert sources(root=base) == {"checkout"}
    pulled = charts.pinned("dev", root=base)
    assert {chart.path.is_relative_to(base) and chart.is_pulled() for chart in pulled} == {True}
    assert [chart.record() for chart in pulled] == [chart.record() for chart in charts.pinned("dev")]
    shutil.rmtree(base / "overlays" / "dev" / "charts")
    (charts.pinned("dev")[0].path / "values.yaml").write_text("changed: by hand")
    with pytest.raises(FloeError, match="cannot pull"):
        sources(root=base)


def test_stand_ins_fill_another_checkout_too(upstream: Upstream, checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(upstream.folder)
    base = tmp_path / "base revision"
    shutil.copytree(checkout, base)
    shutil.rmtree(base / "tests")
    assert sources(stand_ins=True, root=base) == {"stand-in"}
    assert all(chart.is_stand_in() for chart in charts.pinned("dev", root=base))


def test_a_mirror_of_archives_and_one_of_folders(checkout: Path, packages: Path) -> None:
    assert sources(str(packages)) == {"mirror"}
    assert sources(str(packages)) == {"present"}
    records = [chart.record() for chart in charts.pinned("dev")]
    assert all(record and record.archive for record in records)
    done = run(FLOE, "charts", "pull", "--force", "--mirror", checkout / "tests" / "charts", "dev", cwd=checkout)
    assert done.stderr.count("from the mirror (unpacked, not checked against charts.lock)") == len(NAMES)
    records = [chart.record() for chart in charts.pinned("dev")]
    assert {record and record.archive for record in records} == {None}


def test_a_mirror_by_url_keeps_its_credentials_to_itself(checkout: Path, upstream: Upstream) -> None:
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


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[str]:
    """An OCI registry on loopback that holds the charts."""
    with servers.registry(tmp_path_factory.mktemp("registry")) as host:
        for archive in sorted(packages.glob("*.tgz")):
            helm("push", archive, f"oci://{host}/mirrored/charts", "--plain-http", cwd=packages)
        yield f"oci://{host}/mirrored/charts"


@pytest.mark.usefixtures("upstream")
def test_a_mirror_that_is_a_registry(checkout: Path, packages: Path, registry: str) -> None:
    assert set(lock(mirror=registry).values()) == {"locked"}
    assert sources(registry) == {"mirror"}
    for chart in charts.pinned("dev"):
        (archive,) = packages.glob(f"{chart.name}-[0-9]*.tgz")
        record = chart.record()
        assert record
        assert (record.archive, record.location) == (archives.sha256(archive), registry)
    done = run(FLOE, "charts", "pull", "prod", "--mirror", f"{registry}/nowhere", cwd=checkout)
    assert done.returncode == 2
    assert "cannot pull the chart cube 3.3.0 from oci://" in done.stderr


def test_a_registry_as_the_public_repository(checkout: Path, upstream: Upstream, registry: str) -> None:
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
def test_only_registries_on_this_machine_go_without_tls(url: str, plain: bool) -> None:
    assert archives._is_loopback(url) is plain


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
        (linked, "is no plain file"),
        (another_chart, "which is not in cube/"),
        (another_name, "serves kube 3.3.0 for the chart cube 3.3.0"),
        (another_version, "serves cube 3.2.9 for the chart cube 3.3.0"),
        (no_chart_yaml, "something without a readable Chart.yaml"),
        (bad_chart_yaml, "something without a readable Chart.yaml"),
        (bad_schema, "is not JSON"),
        (huge, "more than 100 MiB"),
    ],
)
def test_a_bad_archive_leaves_nothing(
    checkout: Path, upstream: Upstream, spoil: Callable[[Path], None], words: str
) -> None:
    archive = upstream.archive("cube")  # the first that is pulled; the index still promises what it was
    spoil(archive)
    for mirror in (None, str(upstream.folder)):
        with pytest.raises(FloeError) as error:
            list(charts.pull(["dev"], mirror, stand_ins=True))
        assert words in error.value.message
        assert error.value.hint
        assert leftovers(checkout) == []
    assert not list(checkout.parent.rglob("escaped"))
    assert not (repo.cache_dir() / "charts").exists()
    assert lock()["cube"] == ("locked" if spoil is bad_schema else "failed")


def test_an_unreadable_folder_in_a_mirror(checkout: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(checkout / "tests" / "charts", mirror)
    (mirror / "cube" / "templates" / "broken.yaml").symlink_to("nowhere")
    with pytest.raises(FloeError, match=r"serves as cube 3\.3\.0 is not a chart: .*nowhere|broken\.yaml"):
        sources(str(mirror))
    assert leftovers(checkout) == []
    assert lock(mirror=str(mirror))["cube"] == "failed"


def test_a_web_page_for_an_index(checkout: Path, upstream: Upstream) -> None:
    (upstream.folder / "index.yaml").write_text("<!doctype html><title>Not found</title>")
    done = run(FLOE, "charts", "pull", "--mirror", upstream.url, cwd=checkout)
    assert done.returncode == 2
    assert f"error: cannot pull the chart cube 3.3.0 from {upstream.url}: " in done.stderr
    assert "FLOE_CHART_MIRROR" in done.stderr
    assert leftovers(checkout) == []


@pytest.mark.parametrize(
    ("mirror", "words"),
    [
        ("empty", "does not hold the chart cube 3.3.0"),
        ("nowhere", "is not a folder"),
        ("older", "serves cube 3.2.9 for the chart cube 3.3.0"),
        ("file:///srv", "cannot pull the chart cube 3.3.0 from file:///srv"),
    ],
)
def test_a_mirror_without_the_chart(checkout: Path, tmp_path: Path, mirror: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(checkout / "tests" / "charts", tmp_path / "older")
    meta = tmp_path / "older" / "cube" / "Chart.yaml"
    meta.write_text(meta.read_text().replace("version: 3.3.0", "version: 3.2.9"))
    with pytest.raises(FloeError) as error:
        list(charts.pull(["dev"], mirror if "://" in mirror else str(tmp_path / mirror)))
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
    assert sources(str(upstream.folder)) == {"mirror"}  # a folder needs no helm
    tools.resolve.cache_clear()


def test_a_place_that_cannot_be_written(checkout: Path, packages: Path) -> None:
    (checkout / "overlays" / "dev" / "charts").write_text("in the way")  # permissions do not keep root out
    done = run(FLOE, "charts", "pull", "dev", "--mirror", packages, cwd=checkout)
    assert done.returncode == 2
    assert "cannot put the chart cube 3.3.0 in its place" in done.stderr
    assert (checkout / "overlays" / "dev" / "charts").read_text() == "in the way"


def test_stand_ins_say_why_and_give_way(checkout: Path, upstream: Upstream) -> None:
    hidden = upstream.folder.rename(upstream.folder.with_name("hidden"))
    done = run(FLOE, "charts", "pull", "--stand-ins", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("a stand-in, for a look, not to deploy (cannot pull the chart") == len(NAMES)
    assert sources(stand_ins=True) == {"present"}
    changed = checkout / "tests" / "charts" / "cube" / "values.yaml"
    changed.write_text(changed.read_text() + "# changed\n")
    assert sources(stand_ins=True) == {"present", "stand-in"}
    assert {finding.message for finding in verify("prod")} == {
        "a stand-in; its values were not compared with the chart's"
    }
    hidden.rename(upstream.folder)
    assert sources(stand_ins=True) == {"present"}
    assert sources() == {"repository"}
    assert not any(chart.is_stand_in() for chart in charts.pinned("dev"))
    assert all(chart.is_stand_in() for chart in charts.pinned("prod"))
    upstream.folder.rename(hidden)
    with pytest.raises(FloeError, match="cannot pull"):
        sources(stand_ins=True, force=True)
    assert not any(chart.is_stand_in() for chart in charts.pinned("dev"))


@pytest.mark.usefixtures("upstream")
def test_verify_finds_what_is_not_as_it_was_pulled(checkout: Path) -> None:
    lock()
    list(charts.pull(["dev"]))
    cube, cubestore, dagster = charts.pinned("dev")
    (cube.path / "templates" / "extra.yaml").write_text("# by hand")
    shutil.rmtree(cubestore.path)
    (dagster.path.parent / ".pulled.json").write_text("{}")
    done = run(FLOE, "charts", "verify", "dev", "--json", cwd=checkout)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert {finding["chart"]: (finding["message"], finding["remedy"]) for finding in report["findings"]} == {
        "cube 3.3.0": ("its files are not what was pulled", "floe charts pull dev --force"),
        "cubestore 1.2.0": ("not pulled", "floe charts pull dev"),
        str(dagster): ("something else than floe put it there", "floe charts pull dev --force"),
    }
    text = run(FLOE, "charts", "verify", "dev", cwd=checkout)
    assert text.returncode == 1
    assert "next: floe charts pull dev --force" in text.stdout
    # What floe did not put there is left alone until it is told to replace it.
    assert "left as it is in overlays/dev" in run(FLOE, "charts", "pull", "dev", cwd=checkout).stderr
    assert run(FLOE, "charts", "pull", "dev", "--force", cwd=checkout).returncode == 0
    assert run(FLOE, "charts", "verify", "dev", cwd=checkout).returncode == 0


@pytest.mark.usefixtures("upstream")
def test_list_says_where_each_chart_is(checkout: Path) -> None:
    list(charts.pull(["dev"]))
    table = json.loads(run(FLOE, "charts", "list", "--json", cwd=checkout).stdout)
    assert [row["name"] for row in table] == sorted(NAMES)
    others = dict.fromkeys(repo.environments(), "missing")
    assert {tuple(row["overlays"].items()) for row in table} == {tuple((others | {"dev": "repository"}).items())}
    text = run(FLOE, "charts", "list", cwd=checkout)
    assert (text.returncode, text.stdout.count("unlocked")) == (0, len(NAMES))
    assert text.stdout.count("dev: repository") == len(NAMES)


VALUES = """\
image:
  tag:
  pullPolicy: Always
config:
  apiSecret:
  # apiSecretFromSecret:
  #   name:
  port: 4000
free: {}
list: []
probe:
  seconds: 1
sub:
  replicas: 1
"""
TEMPLATE = """\
{{- if .Values.config.fromTemplate }}{{ .Values.config.fromTemplate.name }}{{ end }}
{{- index .Values "with-dash" "a" }}
{{- if .Values.probe }}{{ toYaml .Values.probe }}{{ end }}
"""


def test_values_that_the_chart_does_not_know(checkout: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(checkout / "tests" / "charts", mirror)
    (mirror / "cube" / "values.yaml").write_text(VALUES)
    for template in (mirror / "cube" / "templates").iterdir():
        template.unlink()
    (mirror / "cube" / "templates" / "a.yaml").write_text(TEMPLATE)
    subchart = mirror / "cube" / "charts" / "sub"
    subchart.mkdir(parents=True)
    (subchart / "Chart.yaml").write_text("{apiVersion: v2, name: sub, version: 1.0.0}")
    (subchart / "values.yaml").write_text("service: {port: 1}\n")
    base = checkout / "base" / "charts" / "cube.yaml"
    generator = yaml.safe_load(base.read_text())
    generator["valuesInline"] = {
        "image": {"tag": "1", "tagg": "1"},
        "config": {
            "apiSecretFromSecret": {"name": "x"},
            "fromTemplate": {"name": "x", "nmae": "x"},
            "prot": 1,
            "port": 1,
        },
        "free": {"any": {"thing": 1}},
        "list": [{"a": 1}],
        "probe": {"httpGet": {"port": 1}},
        "sub": {"service": {"port": 2, "prot": 2}, "replicas": 2},
        "global": {"a": 1},
        "with-dash": {"a": 1},
        "imgae": {},
    }
    base.write_text(yaml.safe_dump(generator))
    pin = checkout / "overlays" / "dev" / "values" / "cube.yaml"
    patch = yaml.safe_load(pin.read_text())
    pin.write_text(yaml.safe_dump({**patch, "valuesInline": {"image": {"tag": "2", "pullPolicy": "Never"}}}))
    assert unknown_values("dev") == []  # nothing is pulled
    list(charts.pull(["dev"], str(mirror)))
    unknown = {value.removeprefix("cube: ") for value in unknown_values("dev")}
    assert unknown >= {"config.fromTemplate.nmae", "config.prot", "image.tagg", "imgae", "sub.service.prot"}
    known = {"image.tag", "config.apiSecretFromSecret", "config.fromTemplate.name", "config.port", "free", "list"}
    known |= {"image.pullPolicy", "probe", "sub.service.port", "sub.replicas", "global", "with-dash"}
    assert not [value for value in unknown if f"{value}.".startswith(tuple(f"{key}." for key in known))]
    messages = [finding.message for finding in verify("dev") if finding.chart == "cube 3.3.0"]
    assert "the chart does not know the value config.prot" in messages


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("version", "^3.0.0", "no exact version of the chart cube in overlays/dev/values/cube.yaml"),
        ("version", "../../x", "no exact version of the chart cube"),
        ("version", 3, "no exact version of the chart cube"),
    ],
)
def test_a_version_must_be_exact(checkout: Path, field: str, value: Any, words: str) -> None:
    pin = checkout / "overlays" / "dev" / "values" / "cube.yaml"
    pin.write_text(yaml.safe_dump({**yaml.safe_load(pin.read_text()), field: value}))
    with pytest.raises(FloeError, match=words):
        charts.pinned("dev")


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
