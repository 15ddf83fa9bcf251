"""The code of the image does not import the commands of a checkout, and the image uses all of its modules."""

from __future__ import annotations

import ast
import json
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import platform
from floe_runtime.errors import in_words
from images.build import RECIPES

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "images/dagster"
PACKAGES = (ROOT / "runtime/floe_runtime", ROOT / "synthetic/floe_synthetic")
OF_A_CHECKOUT = {"floe", *(file.stem for file in (ROOT / "tests").iterdir())}
"""Top-level modules that exist only in a checkout."""
STARTS = [*sorted((IMAGE / "bin").iterdir()), IMAGE / "floe.py", IMAGE / "Dockerfile"]
STARTS += [*sorted((ROOT / "apps").rglob("*.py")), ROOT / "runtime/floe_runtime/profile.py"]
"""The files that the image starts, and files that name modules for these programs."""


def modules() -> dict[str, Path]:
    """The modules of the image's packages, by name."""
    files = {}
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            steps = file.relative_to(package.parent).with_suffix("").parts
            files[".".join(steps[:-1] if steps[-1] == "__init__" else steps)] = file
    return files


def imported(file: Path) -> Iterator[str]:
    """The imports of a module, also those within functions: modules, and names that may be modules."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", ["runtime", "synthetic", "apps", "images/dagster"])
def test_the_image_imports_no_module_of_a_checkout(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    imports = [(str(file.relative_to(ROOT)), name) for file in files for name in imported(file)]
    assert [(file, name) for file, name in imports if name.partition(".")[0] in OF_A_CHECKOUT] == []


def test_a_checkout_imports_the_contract() -> None:
    """Show that the test above would find imports."""
    files = (ROOT / "validators").rglob("*.py")
    assert any(name.startswith("floe_runtime.contract.") for file in files for name in imported(file))


def test_the_image_uses_all_of_its_modules() -> None:
    known = modules()
    texts = [file.read_text() for file in STARTS]
    waiting = [name for text in texts for name in re.findall(r"\bfloe_(?:runtime|synthetic)[\w.]*", text)]
    reached: set[str] = set()
    while waiting:
        steps = waiting.pop().split(".")
        for end in range(1, len(steps) + 1):  # the module and the packages that contain it
            name = ".".join(steps[:end])
            if name in known and name not in reached:
                reached.add(name)
                waiting.extend(imported(known[name]))
    assert set(known) - reached == set()


def copied() -> list[str]:
    """The paths that the Dockerfile copies from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.*)$", (IMAGE / "Dockerfile").read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_copied_files_are_inputs_of_the_recipe_and_in_the_build_context() -> None:
    inputs = RECIPES["dagster"].inputs
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in copied():
        assert any((ROOT / source).is_relative_to(one) for one in inputs), source
        assert f"!{source.partition('/')[0]}" in ignored
    assert [one for one in inputs if not one.exists()] == []


def in_the_image(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the installed packages and the code of the image instead of that of the checkout."""
    for source in (source for source in copied() if source.startswith(("runtime/", "synthetic/"))):
        shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(IMAGE / "floe.py", folder / "runtime")
    path = ":".join([f"{folder}/runtime", f"{folder}/synthetic", *site.getsitepackages()])
    command = [sys.executable, "-S", *arguments]  # -S: without the installed .pth file, which points to the checkout
    env = {"PYTHONPATH": path, "PATH": "/usr/bin:/bin", **variables}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_the_image_has_only_the_command_floe_preflight(tmp_path: Path) -> None:
    done = in_the_image(tmp_path / "preflight", "-m", "floe", "preflight", "--mounted")
    assert done.returncode == 2
    assert done.stderr.startswith("floe: the environment variable FLOE_COMPILED_ARTIFACTS is not set\n  next: ")
    done = in_the_image(tmp_path / "another", "-m", "floe", "render", "dev")
    assert (done.returncode, done.stdout) == (1, "")
    assert "every other command needs a checkout" in done.stderr


def test_preflight_in_the_image(tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("warehouse", "catalog.db")}
    made = platform(
        storage={"kind": "file", "path": places["warehouse"]}, catalog={"kind": "sql", "path": places["catalog.db"]}
    ).model_dump(mode="json")
    file = tmp_path / "CompiledArtifacts.json"
    file.write_text(json.dumps({"version": 1, "environment": "there", "platform": made, "apps": {}}))
    done = in_the_image(tmp_path / "image", "-m", "floe", "preflight", "--mounted", FLOE_COMPILED_ARTIFACTS=str(file))
    assert done.returncode == 0, done.stderr
    assert "preflight there: 3 passed" in done.stdout


@pytest.mark.parametrize("traceback", ["", "1"])
def test_an_unexpected_error_is_shown_without_its_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], traceback: str
) -> None:
    """The message may hold a secret."""
    monkeypatch.setenv("FLOE_TRACEBACK", traceback)
    with pytest.raises(KeyError if traceback else SystemExit) as raised, in_words():
        raise KeyError("a-password")
    if not traceback:
        assert raised.value.args == (2,)
        output = capsys.readouterr().err
        assert "unexpected KeyError in test_runtime.py, line " in output
        assert "a-password" not in output
