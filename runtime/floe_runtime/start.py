"""How every process of the production image starts: only with all the variables it needs.

`images/dagster` puts this in front of `dagster`, `dagster-webserver` and `dagster-daemon`, under their own names, since
a chart calls them by name and past an image's entry point. A process that would be the container's first gets an init.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from floe_runtime.errors import FloeError, in_words

PROGRAMS = Path("/opt/venv/bin")
"""Where the image has the real programs."""

_INIT = "/usr/bin/tini"
_CODE_LOCATION_SECONDS = 30  # of the 120 that the startup probe of the webserver allows
_NEEDS_INSTANCE = {"dagster-webserver": ("",), "dagster-daemon": ("run",)}
"""Which programs, with which word among their arguments, end up in files of their own without a dagster.yaml.

A run's pod has none: who launches it hands the instance over, as an argument.
"""


def main() -> None:
    """Check, then become the program after which this one is called."""
    program, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with in_words():
        check(program, arguments, os.environ)
        if program == "dagster-webserver":
            wait_for_code_locations(arguments)
    command = [str(PROGRAMS / program), *arguments]
    if os.getpid() == 1:
        command = [_INIT, "--", *command]
    os.execv(command[0], command)  # noqa: S606 # becoming another program is the purpose


def check(program: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Raise FloeError, with every variable that is missing, where the program would fail for want of one."""
    missing = _instance(program, arguments, env)
    if program == "dagster" and arguments[:1] == ["api"] and "grpc-health-check" not in arguments:
        missing |= _artifacts(env)
    if missing:
        names = ", ".join(missing)
        verb = "is not set" if len(missing) == 1 else "are not set"
        raise FloeError(f"{names} {verb}", "; ".join(f"{name}: {source}" for name, source in missing.items()))


def wait_for_code_locations(arguments: Sequence[str], seconds: float = _CODE_LOCATION_SECONDS) -> None:
    """Wait until every gRPC server that the workspace file (option `-w`) names accepts a connection.

    Returns after the given seconds at the latest, because the webserver is useful without a code location too.

    A webserver that failed to load a code location loads it again when the server's id changes. If the server starts
    right after the failed attempt, the webserver knows no other id, and shows the error until somebody presses Reload.
    """
    deadline = time.monotonic() + seconds
    for address in _code_locations(arguments):
        while not _accepts(address) and time.monotonic() < deadline:
            time.sleep(0.5)


def _code_locations(arguments: Sequence[str]) -> list[tuple[str, int]]:
    """Host and port of each gRPC server. Empty for an invalid file, since Dagster says what is wrong with it."""
    try:
        parts = [
            yaml.safe_load(Path(file).read_text())["load_from"]
            for option, file in pairwise(arguments)
            if option == "-w"
        ]
        servers = [entry["grpc_server"] for part in parts for entry in part if "grpc_server" in entry]
        return [(str(one["host"]), int(one["port"])) for one in servers]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return []


def _accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _instance(program: str, arguments: Sequence[str], env: Mapping[str, str]) -> dict[str, str]:
    """Variables that Dagster's dagster.yaml names and that are not set, with where they come from."""
    if program == "dagster" and {"execute_run", "execute_step"} & set(arguments):
        return {name: "the launched run reads it" for name in _handed_over(arguments) if not env.get(name)}
    file = Path(env.get("DAGSTER_HOME") or "/") / "dagster.yaml"
    try:
        text = file.read_text()
    except OSError as error:
        words = _NEEDS_INSTANCE.get(program, ())
        if "" in words or set(words) & set(arguments):
            raise FloeError(
                f"cannot read {file}: {error.strerror}", "mount dagster.yaml into the folder that DAGSTER_HOME names"
            ) from None
        return {}
    try:
        names = _named(yaml.safe_load(text))
    except yaml.YAMLError:
        raise FloeError(f"{file} is not YAML", "see the ConfigMap that is mounted there") from None
    return {name: f"{file} reads it" for name in names if not env.get(name)}


def _handed_over(arguments: Sequence[str]) -> list[str]:
    """The variables of the instance that a run gets as JSON, in which every part's configuration is YAML."""

    def parts(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = _named(yaml.safe_load(node["config_yaml"])) if isinstance(node.get("config_yaml"), str) else []
            return own + [name for value in node.values() for name in parts(value)]
        return []

    try:
        found = [parts(json.loads(argument)) for argument in arguments if argument.startswith("{")]
    except (ValueError, yaml.YAMLError):
        return []  # Dagster says what is wrong with it
    return list(dict.fromkeys(name for names in found for name in names))


def _named(node: Any) -> list[str]:
    """The variables that `{env: NAME}` stands for, in order, each once."""
    if isinstance(node, dict):
        if set(node) == {"env"} and isinstance(node["env"], str):
            return [node["env"]]
        return list(dict.fromkeys(name for value in node.values() for name in _named(value)))
    if isinstance(node, list):
        return list(dict.fromkeys(name for value in node for name in _named(value)))
    return []


def _artifacts(env: Mapping[str, str]) -> dict[str, str]:
    """Variables that the mounted CompiledArtifacts name and that are not set, with where they come from."""
    from floe_runtime.contract import artifacts

    file = env.get(artifacts.VARIABLE)
    if not file:
        return {artifacts.VARIABLE: "names the file that floe compile wrote"}
    # Dagster's own database is dagster.yaml's affair.
    platform = artifacts.read(Path(file)).platform
    database = {ref.env for ref in platform.refs(platform.metadata)}
    wanted = [ref for ref in platform.refs() if ref.default is None and ref.env not in database]
    return {
        ref.env: f"from the Secret {ref.secret}, key {ref.key or ref.env}" if ref.secret else f"{file} names it"
        for ref in wanted
        if not env.get(ref.env)
    }


if __name__ == "__main__":
    main()
