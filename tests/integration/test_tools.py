"""The resolver of tools: it prefers tools on PATH that are new enough, and downloads pinned versions of the others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import toolbox
from floe import repo, tools
from floe.errors import FloeError
from floe.kubernetes import crds
from floe.kubernetes.releases import RELEASE
from floe.tools import sources
from toolbox.servers import SERVERS, GoServers, required

FLOE = Path(sys.executable).with_name("floe")


def program(folder: Path, name: str, prints: str, code: int = 0) -> Path:
    """Write a program that prints a text and ends."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{prints}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("prints", "code", "taken"),
    [("v5.8.1", 0, True), ("v6.0.0", 0, True), ("v5.8.0", 0, False), ("no version", 0, False), ("v5.9.0", 1, False)],
)
def test_a_tool_on_path_is_used_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, code: int, taken: bool
) -> None:
    mine = program(tmp_path / "bin", "kustomize", prints, code)
    monkeypatch.setenv("PATH", f"{mine.parent}{os.pathsep}{os.environ['PATH']}")
    tool = tools.find("kustomize")
    assert (tool is not None and tool.path == mine) is taken


def test_the_version_of_an_unchanged_program_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are cached, except those of scripts on PATH, which may start another program later."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetched = repo.cache_dir() / "tools" / "kustomize-x"
    fetched.parent.mkdir(parents=True)
    for folder, remembered in ((tmp_path / "bin", False), (fetched, True)):
        mine = program(folder, "kustomize", "v5.9.0")
        monkeypatch.setenv("PATH", str(folder))
        status = mine.stat()
        for version, expected in (("v5.9.0", "5.9.0"), ("v5.9.1", "5.9.0" if remembered else "5.9.1")):
            mine.write_text(f"#!/bin/sh\necho '{version}'\nexit 0\n")
            os.utime(mine, ns=(status.st_atime_ns, status.st_mtime_ns))
            tool = tools.find("kustomize")
            assert tool is not None
            assert tool.version == expected
        os.utime(mine)
        changed = tools.find("kustomize")
        assert changed is not None
        assert changed.version == "5.9.1"


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}', ""])
def test_an_invalid_cache_of_versions_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "floe" / "tools").mkdir(parents=True)
    (tmp_path / "floe" / "tools" / "versions.json").write_text(content)
    monkeypatch.setenv("PATH", str(program(tmp_path / "bin", "kustomize", "v5.9.0").parent))
    tool = tools.find("kustomize")
    assert tool is not None
    assert tool.version == "5.9.0"


def test_a_fresh_cache_is_filled_from_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first use on a new machine: no tool is on PATH, and the cache is empty."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    if tools.find("kustomize"):
        pytest.fail("this machine has a kustomize in /usr/bin")
    tool = tools.get("kustomize")
    assert tool.path.is_relative_to(tmp_path)
    assert tool.source in ("package", "go")
    if tool.source == "package":
        assert tools.get("helm").path.parent == tool.path.parent  # one package contains both
    assert not list(tmp_path.rglob("*.part"))


def test_a_missing_tool_is_reported_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FloeError) as error:
        tools.get("npm")
    assert "npm 9 or newer is missing" in error.value.message
    assert "Node.js 20" in error.value.hint
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FloeError, match="Go is not on PATH"):
        tools.get("kubeconform")


def test_unknown_tool_lists_those_that_exist() -> None:
    done = subprocess.run([FLOE, "tools", "kubeseal2"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "kustomize" in done.stderr


def test_machine_format() -> None:
    done = subprocess.run([FLOE, "tools", "--json"], capture_output=True, text=True, check=True)
    table = json.loads(done.stdout)
    assert set(table) == set(tools.TOOLS) - {tool.name for tool in toolbox.TOOLS}
    kustomize = table["kustomize"]
    assert os.access(kustomize["path"], os.X_OK)
    version = subprocess.run([kustomize["path"], "version"], capture_output=True, text=True, check=True).stdout
    assert kustomize["version"] in version


def test_every_pin_has_hashes() -> None:
    for tool in tools.TOOLS.values():
        for source in tool.sources:
            if isinstance(source, sources.Package):
                assert "--hash=sha256:" in sources.pins(source.lock)[source.name].block


def servers() -> list[GoServers]:
    return [one for tool in tools.TOOLS.values() for one in tool.sources if isinstance(one, GoServers)]


def test_the_go_module_lists_exactly_the_commands_of_the_table() -> None:
    module = (SERVERS / "go.mod").read_text()
    listed = re.findall(r"^\t(\S+)$", module, re.MULTILINE)  # lines of requirements also contain a version
    assert sorted(listed) == sorted({command for one in servers() for command in one.commands})


@pytest.mark.parametrize("server", servers(), ids=lambda one: one.path)
def test_the_commands_of_a_build_include_its_program(server: GoServers) -> None:
    assert server.path in [sources.GoModule(command, "").path for command in server.commands]
    assert required(server.module)


def test_all_parts_of_kubernetes_have_the_same_version() -> None:
    """The servers, their libraries, and the default schemas of floe-validate."""
    version = required("k8s.io/kubernetes")
    assert version.startswith(f"{RELEASE}.")
    replaced = re.findall(r"=> k8s\.io/\S+ v0\.(\S+)", (SERVERS / "go.mod").read_text())
    assert len(replaced) > 20
    assert {f"1.{minor}" for minor in replaced} == {version}


def test_controllers_and_their_definitions_have_the_same_version() -> None:
    defined = {one.module: one.version for modules in crds.CONTROLLERS.values() for one in modules}
    commands = {command for one in servers() for command in one.commands}
    built = {module for module in defined if any(command.startswith(module) for command in commands)}
    assert len(built) == 4
    assert {module: f"v{required(module)}" for module in built}.items() <= defined.items()


def test_the_version_of_a_go_program_is_read_from_its_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    controller = program(tmp_path / "bin", "helm-controller", "")
    monkeypatch.setenv("PATH", f"{controller.parent}{os.pathsep}{os.environ['PATH']}")
    assert tools.find("helm-controller") is None
    with controller.open("ab") as file:
        file.write(b"\0dep\tgithub.com/fluxcd/helm-controller\tv1.4.3\th1:x\n")
    tool = tools.find("helm-controller")
    assert tool is not None
    assert (tool.path, tool.version) == (controller, "1.4.3")


def test_a_failed_build_is_reported_and_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = program(tmp_path / "bin", "go", "go: downloading a.example/b v1.0.0\n./main.go:1:1: this does not compile", 1)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FloeError, match="this does not compile"):
        servers()[0].get()
    assert [path.suffix for path in (tmp_path / "floe" / "tools").iterdir()] == [".lock"]
