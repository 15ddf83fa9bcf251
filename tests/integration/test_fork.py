"""`floe fork` in copies of the repository: a fork, a fork of that fork, and a merge from upstream into both."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from floe import cli, fork
from floe.charts import packaging
from floe.contract.compiling import compile_environment
from floe.errors import FloeError
from floe.repo import Checkout
from floe.settings import Settings
from forks import commit, edit, git
from rendering import ROOT, copy_repository

SHIPPED = {name: Settings.model_fields[name].default for name in ("registry", "repository", "domain")}
UPSTREAM = {"registry": "ghcr.io/up", "repository": "https://github.com/up/deploy", "domain": "up.example"}
OURS = {"registry": "r.acme.io:5000/d", "repository": "https://git.acme.io/d/p", "domain": "data.up.example"}


def values(settings: Settings) -> dict[str, str]:
    return {name: getattr(settings, name) for name in OURS}


def left(folder: Path, *texts: str) -> list[str]:
    """The lines of manifests and values that have one of some texts, except for OURS and what only a person decides."""
    folders = ("apps", "base", "clusters", "overlays", "charts/*/values-*.yaml", "charts/*/Chart.yaml")
    names = git(folder, "ls-files", *folders).splitlines()
    lines = [line for name in names for line in (folder / name).read_text().splitlines()]
    known = re.compile("|".join(map(re.escape, OURS.values())))
    decided = re.compile("issuer|email", re.IGNORECASE)
    return [line for line in lines if any(text in known.sub("", line) for text in texts) and not decided.search(line)]


def is_generated(checkout: Checkout) -> bool:
    """Whether compiled files and charts/ match what they are generated from."""
    return not [*packaging.changes(checkout)] and all(
        compile_environment(checkout, name).text() == checkout.artifacts_file(name).read_text()
        for name in checkout.environments()
    )


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fork of this repository, which tests must not change. Its clones are forks of a fork."""
    folder = tmp_path_factory.mktemp("upstream") / "deploy"
    copy_repository(folder)
    (folder / "README.md").write_text("A fork of upstream\n")
    shutil.copy(ROOT / ".gitignore", folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "As it is")
    fork.fork(Checkout(folder), UPSTREAM)
    commit(folder, "Names of upstream")
    return folder


@pytest.fixture
def clone(upstream: Path, tmp_path: Path) -> Checkout:
    return Checkout(cloned(upstream, tmp_path / "a fork of ours"))


def cloned(source: Path, folder: Path) -> Path:
    git(source, "clone", "--quiet", str(source), str(folder))
    return folder


def test_a_fork_has_its_own_values_everywhere_and_a_second_run_changes_nothing(clone: Checkout) -> None:
    planned = fork.fork(clone, OURS, dry_run=True)
    assert git(clone.root, "status", "--porcelain") == ""
    done = fork.fork(clone, OURS)
    assert {*planned.changed} <= {*done.changed}
    assert git(clone.root, "diff", "--name-only").splitlines() == sorted(done.changed)
    assert values(Checkout(clone.root).settings) == OURS
    assert is_generated(Checkout(clone.root))
    assert left(clone.root, *UPSTREAM.values(), *SHIPPED.values()) == []
    again = fork.fork(Checkout(clone.root), OURS)
    assert again.changed == []
    assert git(clone.root, "diff", "--name-only").splitlines() == sorted(done.changed)


def test_what_only_a_person_can_fill_in_is_listed_with_its_line(clone: Checkout) -> None:
    done = fork.fork(clone, {"domain": OURS["domain"]})
    assert values(Checkout(clone.root).settings) == UPSTREAM | {"domain": OURS["domain"]}
    assert any(one.field == "spec.login.issuer" for one in done.by_hand)
    for one in done.by_hand:
        line = (clone.root / one.file).read_text().splitlines()[one.line - 1]
        assert one.field.rpartition(".")[2] in line
        assert one.value in line
    assert {*done.secrets} == {f"overlays/{name}/platform.yaml" for name in clone.environments()}
    assert all(done.secrets.values())


def test_a_value_that_stands_again_in_the_values_of_charts_is_listed_there_too(clone: Checkout) -> None:
    storage = yaml.safe_load(clone.platform_file("dev").read_text())["storage"]
    name, bucket, host = "overlays/dev/values/more.yaml", storage["bucket"], storage["endpoint"].partition("://")[2]
    (clone.root / name).write_text(f"a: 1\n---\na:\n  aBucket: {bucket}\n  name: {bucket}\n  endpoint: {host}\n")
    done = fork.fork(clone, {}, dry_run=True)
    assert [(one.line, one.field, one.value) for one in done.by_hand if one.file == name] == [
        (4, "a.aBucket", bucket),
        (6, "a.endpoint", host),
    ]


def test_an_interrupted_run_is_finished_by_the_same_command(clone: Checkout, tmp_path: Path) -> None:
    """floe.toml is written first, so all that an interrupted run leaves is some files that do not follow it yet."""
    whole = Checkout(cloned(clone.root, tmp_path / "whole"))
    changed = fork.fork(whole, OURS).changed
    assert changed[0] == "floe.toml"
    for name in changed[:4]:
        shutil.copy(whole.root / name, clone.root / name)
    assert {*fork.fork(clone, OURS).changed} == {*changed[4:]}
    for name in changed:
        assert (clone.root / name).read_bytes() == (whole.root / name).read_bytes()


def test_uncommitted_changes_are_refused_or_kept(clone: Checkout) -> None:
    (clone.root / "README.md").write_text("half a sentence")
    with pytest.raises(FloeError, match="there is 1 uncommitted change") as error:
        fork.fork(clone, OURS)
    assert "--allow-dirty" in error.value.hint
    assert fork.fork(clone, OURS, dry_run=True).replacements
    assert git(clone.root, "diff", "--name-only") == "README.md"
    assert "floe.toml" in fork.fork(clone, OURS, allow_dirty=True).changed
    assert (clone.root / "README.md").read_text() == "half a sentence"


def test_a_merge_from_upstream_is_finished_by_the_command_without_options(clone: Checkout, tmp_path: Path) -> None:
    """Upstream adds an app and a host, and edits a line beside one that the fork changed in a generated file."""
    source = cloned(clone.root, tmp_path / "upstream")
    fork.fork(clone, OURS)
    commit(clone.root, "Our names")
    theirs, wanted = Checkout(source).settings, Checkout(clone.root).settings

    app = source / "apps" / "returns" / "deploy" / "code-location.yaml"
    app.parent.mkdir(parents=True)
    app.write_bytes(f"image: &image {theirs.registry}/floe-dagster # a note\r\n".encode())
    prod = source / "overlays" / "prod"
    edit(prod / "values" / "cube.yaml", "    pathType: Prefix\n", f"    pathType: Prefix # of cube.{theirs.domain}\n")
    (prod / "objects" / "note.txt").write_text(f"new.{theirs.domain}\n")
    packaging.write(Checkout(source), [*packaging.changes(Checkout(source))])
    commit(source, "An app, and a comment")
    git(clone.root, "fetch", "--quiet", str(source), "main")
    with pytest.raises(Exception, match="exit status 1"):
        git(clone.root, "merge", "FETCH_HEAD")

    by_hand = "overlays/prod/values/cube.yaml"
    conflicts = git(clone.root, "diff", "--name-only", "--diff-filter=U").splitlines()
    assert {by_hand, "charts/floe-cube/values-prod.yaml"} <= {*conflicts}
    with pytest.raises(FloeError, match=f"a merge left conflicts in {by_hand}$"):
        fork.fork(Checkout(clone.root), {})
    git(clone.root, "checkout", "--theirs", "--", by_hand)
    git(clone.root, "add", by_hand)
    assert {by_hand, "charts/floe-cube/values-prod.yaml"} <= {*fork.fork(Checkout(clone.root), {}).changed}
    assert Checkout(clone.root).settings == wanted
    added = clone.root / app.relative_to(source)
    assert added.read_bytes() == f"image: &image {wanted.registry}/floe-dagster # a note\r\n".encode()
    assert f"hostname: cube.{wanted.domain}" in (clone.root / by_hand).read_text()
    assert (clone.root / "overlays/prod/objects/note.txt").read_text() == f"new.{wanted.domain}\n"
    assert is_generated(Checkout(clone.root))
    commit(clone.root, "Merge upstream")
    assert fork.fork(Checkout(clone.root), {}, dry_run=True).changed == []


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("registry", "https://ghcr.io/acme", "be without https://"),
        ("registry", "ghcr.io/Acme", "be in lower case"),
        ("registry", "ghcr.io/acme/", "be without the slash at its end"),
        ("registry", "", "be a host, and a path if there is one"),
        ("repository", "git@github.com:acme/data.git", "begin with https://"),
        ("repository", "http://github.com/acme/data", "begin with https://"),
        ("repository", "https://github.com", "be https://, a host and a path"),
        ("repository", 'https://github.com/acme/"data', "be https://, a host and a path"),
        ("repository", "https://somebody:secret@github.com/acme/data", "be without a user name"),
        ("domain", "https://data.acme.io", "be without https://"),
        ("domain", "data.acme.io/", "be without a path"),
        ("domain", "*.acme.io", "be without *"),
        ("domain", "acme", "have a dot"),
        ("domain", "acme.io.", "be without a dot at its beginning or end"),
        ("domain", "-a.acme.io", "consist of letters, digits and -, with dots between its parts"),
        ("domain", "Acme.io", "be in lower case"),
        ("domain", "10.0.0.1", "be a name instead of an address"),
        ("domain", f"{'a' * 64}.io", "have at most 63 characters between two dots"),
        ("domain", f"{'a.' * 126}io", "consist of letters, digits and -, with dots between its parts"),
        ("domain", "a.io\nb = 1", "consist of letters, digits and -, with dots between its parts"),
        ("domain", "a.io\n", "consist of letters, digits and -, with dots between its parts"),
    ],
)
def test_a_value_that_is_none_is_refused_in_words(upstream: Path, setting: str, value: str, words: str) -> None:
    with pytest.raises(
        FloeError, match=rf"^a value cannot be used:\n  {setting}: must {re.escape(words)}, as in "
    ) as error:
        fork.fork(Checkout(upstream), {setting: value})
    assert "secret" not in error.value.message
    assert "--registry ghcr.io/acme" in error.value.hint
    assert git(upstream, "status", "--porcelain") == ""


def test_the_command_takes_an_address_as_git_hosts_print_it(clone: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOE_ROOT", str(clone.root))
    arguments = ["fork", "--repository", f"{OURS['repository']}.git"]
    planned = CliRunner().invoke(cli.app, [*arguments, "--dry-run"])
    assert "would change: clusters/base/repository/configmap.yaml" in planned.output
    assert f"    {UPSTREAM['repository']} → {OURS['repository']}\n" in planned.output
    assert "floe-validate" not in planned.output
    done = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert done.exit_code == 0
    assert "charts/floe-cube/Chart.yaml" in json.loads(done.stdout)["changed"]
    assert f"url: {OURS['repository']}.git\n" in (clone.root / "clusters/base/repository/configmap.yaml").read_text()
    assert Checkout(clone.root).settings.repository == OURS["repository"]
    assert "unchanged: every file" in CliRunner().invoke(cli.app, ["fork", "--dry-run"]).output
