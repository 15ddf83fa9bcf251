"""`floe render` and floe-validate on overlays, with the commands that people and CI run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from floe import charts, manifest_files, repo, tools
from floe.contract.compiling import compile_environment
from rendering import ROOT, parse

BIN = Path(sys.executable).parent
MOVING = "FLOE010"


@pytest.fixture
def pulled(checkout: Path) -> Path:
    """A checkout with the stand-in charts."""
    list(charts.pull(repo.current(), repo.current().environments(), stand_ins=True))
    return checkout


def run(*command: str | Path, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, check=False, timeout=120)


def kustomize(folder: Path, environment: str) -> bytes:
    """The output of `kustomize build --enable-helm overlays/ENV`."""
    helm = tools.resolve("helm")
    command = [str(tools.resolve("kustomize")), "build", "--enable-helm", f"overlays/{environment}"]
    env = os.environ | {"PATH": f"{helm.parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True).stdout


def test_an_overlay_piped_into_floe_validate_is_clean(pulled: Path, environment: str) -> None:
    stream = kustomize(pulled, environment)
    done = run(BIN / "floe-validate", "--format", "json", cwd=pulled, stdin=stream)
    assert done.returncode == 0, done.stdout
    (report,) = json.loads(done.stdout)["reports"]
    assert (report["environment"], report["objects"]) == (environment, len(parse(stream)))
    assert {finding["code"] for finding in report["findings"]} == {
        "FLOE020"
    }  # the finding says that the charts are stand-ins


def test_an_app_has_its_own_image_as_documented(pulled: Path) -> None:
    """Its code location, and its runs through DAGSTER_CURRENT_IMAGE; every other pod keeps the common image."""
    page = (ROOT / "docs" / "09-images.md").read_text()
    (documented,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    values = pulled / "overlays" / "dev" / "values"
    (values / "images.yaml").write_text(documented.replace("<app>", "ecommerce"))
    with (values / "kustomization.yaml").open("a") as file:
        file.write("  - images.yaml\n")
    location = pulled / "apps" / "ecommerce" / "deploy" / "code-location.yaml"
    location.write_text(location.read_text().replace("/floe-dagster", "/floe-ecommerce"))
    found = re.findall(r"floe-(?:ecommerce|dagster):\S+", kustomize(pulled, "dev").decode())
    assert [name for name in found if "ecommerce" in name] == ["floe-ecommerce:0.3.0"] * 2
    assert {name.partition(":")[0] for name in found} == {"floe-ecommerce", "floe-dagster"}


def test_a_moving_tag_is_found(pulled: Path) -> None:
    values = pulled / "overlays" / "prod" / "values" / "cube.yaml"
    text = values.read_text()
    assert "tag: 0.1.0" in text
    values.write_text(text.replace("tag: 0.1.0", "tag: latest"))
    done = run(BIN / "floe-validate", cwd=pulled, stdin=kustomize(pulled, "prod"))
    assert done.returncode == 1
    assert MOVING.encode() in done.stdout
    assert b"floe-cube:latest has the tag latest" in done.stdout


def test_empty_stdin_is_reported_with_the_options_of_kustomize(pulled: Path) -> None:
    done = run(BIN / "floe-validate", cwd=pulled)
    assert done.returncode == 2
    assert b"contains no objects to validate" in done.stderr
    assert b"--enable-helm" in done.stderr


def test_render_prints_the_output_of_kustomize(pulled: Path) -> None:
    done = run(BIN / "floe", "render", "prod", cwd=pulled)
    assert (done.returncode, done.stdout) == (0, kustomize(pulled, "prod"))


def test_render_names_the_charts_that_are_not_pulled(checkout: Path) -> None:
    done = run(BIN / "floe", "render", "prod", cwd=checkout)
    assert done.returncode == 2
    assert b"dagster 1.12.17" in done.stderr
    assert b"floe charts pull" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("floe", "render", "prod"),
        ("floe", "compile", "--check", "prod"),
        ("floe", "status"),
        ("floe-validate", "overlays/prod"),
        ("floe-validate", "prod"),
    ],
)
def test_a_folder_outside_of_any_checkout_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Another repository with overlays is not mistaken for the checkout that floe is installed from."""
    monkeypatch.delenv("FLOE_ROOT", raising=False)
    (tmp_path / "overlays" / "prod").mkdir(parents=True)
    (tmp_path / "overlays" / "prod" / "kustomization.yaml").write_text("resources: []\n")
    done = run(BIN / command[0], *command[1:], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"is not inside a floe repository" in done.stderr
    assert b"Change into your fork" in done.stderr


def test_render_reports_errors_of_kustomize(pulled: Path) -> None:
    (pulled / "overlays" / "prod" / "objects" / "namespace.yaml").unlink()
    done = run(BIN / "floe", "render", "prod", cwd=pulled)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"namespace.yaml" in done.stderr


def test_render_writes_one_file_for_each_object(pulled: Path, tmp_path: Path) -> None:
    target = tmp_path / "rendered" / "prod"
    done = run(BIN / "floe", "render", "prod", "-o", target, cwd=pulled)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    files = sorted(target.glob("*.yaml"))
    stream = kustomize(pulled, "prod")
    documents = [f"{document}\n" for document in stream.decode().removesuffix("\n").split("\n---\n")]
    assert sorted(file.read_text() for file in files) == sorted(documents)
    assert target / "deployment-floe-prod_cube-api.yaml" in files
    assert target / "namespace-floe-prod.yaml" in files
    # A second rendering replaces the files, and deletes those of objects that are no longer rendered.
    (pulled / "overlays" / "prod" / "kustomization.yaml").write_text("resources: [platform-namespace.yaml]\n")
    (pulled / "overlays" / "prod" / "platform-namespace.yaml").write_text(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: floe-prod\n"
    )
    assert run(BIN / "floe", "render", "prod", "-o", target, cwd=pulled).returncode == 0
    assert [file.name for file in sorted(target.iterdir())] == [manifest_files.LIST, "namespace-floe-prod.yaml"]
    assert [path.name for path in target.parent.iterdir()] == ["prod"]


@pytest.mark.parametrize("spoil", ["foreign", "edited", "file"])
def test_render_does_not_replace_files_of_others(pulled: Path, tmp_path: Path, spoil: str) -> None:
    target = tmp_path / "rendered"
    if spoil == "file":
        target.write_text("mine")
    else:
        assert run(BIN / "floe", "render", "prod", "-o", target, cwd=pulled).returncode == 0
        name = "notes.txt" if spoil == "foreign" else "namespace-floe-prod.yaml"
        (target / name).write_text("mine")
    done = run(BIN / "floe", "render", "prod", "-o", target, cwd=pulled)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    kept = target if spoil == "file" else target / name
    assert kept.read_text() == "mine"
    assert kept.name.encode() in done.stderr


def test_a_failed_rendering_does_not_change_the_folder(pulled: Path, tmp_path: Path) -> None:
    target = tmp_path / "rendered"
    assert run(BIN / "floe", "render", "prod", "-o", target, cwd=pulled).returncode == 0
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    (pulled / "overlays" / "prod" / "kustomization.yaml").write_text("resources: [not-there.yaml]\n")
    assert run(BIN / "floe", "render", "prod", "-o", target, cwd=pulled).returncode == 2
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if "rendered" in path.name] == ["rendered"]


def test_names_of_files_do_not_collide(tmp_path: Path) -> None:
    stream = "---\n".join(
        f"apiVersion: {group}/v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
        for group, kind, name, namespace in (
            ("a", "Ingress", "x", "shop"),
            ("b", "Ingress", "x", "shop"),
            ("a", "Role", "a:b/../../c", "shop"),
            ("a", "Role", "b-c", "a"),
            ("a", "Role", "c", "a-b"),
        )
    )
    assert manifest_files.write(stream.encode(), tmp_path / "d") == 5
    assert sorted(file.name for file in (tmp_path / "d").glob("*.yaml")) == [
        "ingress-shop_x-2.yaml",
        "ingress-shop_x.yaml",
        "role-a-b_c.yaml",
        "role-a_b-c.yaml",
        "role-shop_a%3Ab%2F..%2F..%2Fc.yaml",
    ]


def test_render_of_a_form(pulled: Path) -> None:
    done = run(BIN / "floe", "render", "prod", "--form", "flux", cwd=pulled)
    assert done.returncode == 0, done.stderr
    assert b"kind: HelmRelease" in done.stdout
    shutil.rmtree(pulled / "overlays" / "prod" / "flux")
    for form, says in (("flux", b"flux/kustomization.yaml"), ("tarball", b"forms: manifests, flux")):
        done = run(BIN / "floe", "render", "prod", "--form", form, cwd=pulled)
        assert (done.returncode, done.stdout) == (2, b"")
        assert says in done.stderr


def test_unknown_overlay_lists_those_that_exist(checkout: Path) -> None:
    done = run(BIN / "floe", "render", "produktion", cwd=checkout)
    assert done.returncode == 2
    assert b"dev, prod" in done.stderr


def test_committed_artifacts_equal_the_output_of_compile() -> None:
    for environment in repo.current().environments():
        assert (
            repo.current().artifacts_file(environment).read_text()
            == compile_environment(repo.current(), environment).text()
        )
