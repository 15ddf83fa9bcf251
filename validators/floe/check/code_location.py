"""Loads the code location of an app in a process of its own, as Dagster does, and parses its dbt project.

`python -m floe.check.code_location FOLDER MODULE` is that process.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from floe import credentials, process
from floe.errors import FloeError
from floe.repo import Checkout
from floe_runtime.contract.app import package
from floe_runtime.contract.artifacts import VARIABLE, CompiledArtifacts

_SECONDS = 300  # dbt parses a large project in a minute
_LINES = 12
_MARK = "\x1e"  # on stderr, around the reason, since libraries print before and after it


@dataclass(frozen=True)
class _Location:
    """What decides whether a code location loads. Environments in which it is equal share the result."""

    root: Path
    app: str
    specification: str
    target: str  # of the compute, which dbt parses the project for
    artifacts: str = field(compare=False)


def load(checkout: Checkout, artifacts: CompiledArtifacts, app: str) -> str:
    """Load an app's code location with these artifacts; returns why it cannot be loaded, or an empty text."""
    specification, target = artifacts.apps[app].model_dump_json(), artifacts.platform.compute.target
    return _load(_Location(checkout.root, app, specification, target, artifacts.text()))


@cache
def _parsed(_root: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder for what dbt makes of a checkout's projects, until this process ends: to parse one costs seconds."""
    return tempfile.TemporaryDirectory(prefix="floe-check-")


@cache
def _load(location: _Location) -> str:
    with tempfile.TemporaryDirectory(prefix="floe-check-") as folder:
        file = Path(folder, "CompiledArtifacts.json")
        file.write_text(location.artifacts)
        env = {"FLOE_ROOT": str(location.root), VARIABLE: str(file), "FLOE_DBT_TARGET": _parsed(location.root).name}
        arguments = [str(location.root / "apps" / location.app), f"{package(location.app)}.definitions"]
        command = [sys.executable, "-m", "floe.check.code_location", *arguments]
        done = process.run(command, seconds=_SECONDS, env=env | {"DO_NOT_TRACK": "1"}, own_session=True, check=False)
    if not done.returncode:
        return ""
    _, marked, reason = done.stderr.partition(_MARK)
    if not marked:  # it was killed, or Python itself could not start
        return process.complaint(done, _LINES)
    return "\n".join(credentials.masked(reason.partition(_MARK)[0], os.environ).strip().splitlines()[:_LINES])


def main() -> None:
    """Import the module that the arguments name, and resolve its definitions. Ends with 1 and a reason on stderr."""
    folder, module = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(folder))
    try:
        import dagster as dg

        dg.Definitions.validate_loadable(importlib.import_module(module).defs)
    except Exception as error:
        sys.stderr.write(f"{_MARK}{_reason(error, folder)}{_MARK}")
        sys.stderr.flush()
        os._exit(1)


def _reason(error: Exception, folder: Path) -> str:
    """The error's own words and, unless they say it themselves as those of dbt do, the line from which it came."""
    if isinstance(error, FloeError):
        return error.message
    words = "".join(traceback.format_exception_only(error)).strip()
    lines = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).is_relative_to(folder)]
    root = folder.parents[1]
    where = f" ({Path(lines[-1].filename).relative_to(root)}, line {lines[-1].lineno})" if lines else ""
    return f"{words.removeprefix(f'{type(error).__module__}.')}{where}"


if __name__ == "__main__":
    main()
