"""Starts the programs of the production image, after a check that the variables they need are set.

`images/dagster` installs this as `dagster`, `dagster-webserver` and `dagster-daemon`, because Dagster's chart calls
these programs by name and does not use the entry point of the image. If it is the container's first process, it starts
the program under an init process (tini).
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
"""The folder of the real programs in the image."""

_INIT = "/usr/bin/tini"
_CODE_LOCATION_SECONDS = 30  # the startup probe of the webserver allows 120
_NEEDS_INSTANCE = {"dagster-webserver": ("",), "dagster-daemon": ("run",)}
"""Programs that need a dagster.yaml, each with the arguments that need it ("" for any).

Without dagster.yaml they would store their data in files of the container. The pod of a run needs none: the instance is
passed as an argument.
"""


def main() -> None:
    """Check, then replace this process by the program of the same name."""
    program, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with in_words():
        check(program, arguments, os.environ)
        if program == "dagster-webserver":
            wait_for_code_locations(arguments)
    command = [str(PROGRAMS / program), *arguments]
    if os.getpid() == 1:
        command = [_INIT, "--", *command]
    os.execv(command[0], command)  # noqa: S606 # to replace the process is the purpose


def check(program: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Raise FloeError if a variable that the program needs is not set. The error names all such variables."""
    missing = _instance(program, arguments, env)
    if program == "dagster" and arguments[:1] == ["api"] and "grpc-health-check" not in arguments:
        missing |= _artifacts(env)
    if missing:
        names = ", ".join(missing)
        verb = "is not set" if len(missing) == 1 else "are not set"
        hints = "; ".join(f"{name} ({source})" for name, source in missing.items())
        raise FloeError(f"{names} {verb}", f"Set {hints}.")


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
    """Host and port of each gRPC server. Empty for an invalid file, because Dagster reports the error itself."""
    try:
        parts = [
            yaml.safe_load(Path(file).read_text())["load_from"]
            for option, file in pairwise(arguments)
            if option == "-w"
        ]
        servers = [entry["grpc_server"] for part in parts for entry in part if "grpc_server" in entry]
        return [(str(server["host"]), int(server["port"])) for server in servers]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return []


def _accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _instance(program: str, arguments: Sequence[str], env: Mapping[str, str]) -> dict[str, str]:
    """The variables that dagster.yaml refers to and that are not set: name → where it is used or comes from."""
    if program == "dagster" and {"execute_run", "execute_step"} & set(arguments):
        return {name: "the launched run refers to it" for name in _handed_over(arguments) if not env.get(name)}
    file = Path(env.get("DAGSTER_HOME") or "/") / "dagster.yaml"
    try:
        text = file.read_text()
    except OSError as error:
        words = _NEEDS_INSTANCE.get(program, ())
        if "" in words or set(words) & set(arguments):
            raise FloeError(
                f"cannot read {file}: {error.strerror}", "Mount dagster.yaml into the folder that DAGSTER_HOME names."
            ) from None
        return {}
    try:
        names = _named(yaml.safe_load(text))
    except yaml.YAMLError:
        raise FloeError(f"{file} is not valid YAML", "Correct the ConfigMap that is mounted there.") from None
    return {name: f"{file} refers to it" for name in names if not env.get(name)}


def _handed_over(arguments: Sequence[str]) -> list[str]:
    """The variables in the instance that a run receives as a JSON argument. Its parts are configured in YAML."""

    def parts(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = _named(yaml.safe_load(node["config_yaml"])) if isinstance(node.get("config_yaml"), str) else []
            return own + [name for value in node.values() for name in parts(value)]
        return []

    try:
        variables = [parts(json.loads(argument)) for argument in arguments if argument.startswith("{")]
    except (ValueError, yaml.YAMLError):
        return []  # Dagster itself reports what is wrong with the argument
    return list(dict.fromkeys(name for names in variables for name in names))


def _named(node: Any) -> list[str]:
    """The names of the variables in references of the form `{env: NAME}`, in order and without duplicates."""
    if isinstance(node, dict):
        if set(node) == {"env"} and isinstance(node["env"], str):
            return [node["env"]]
        return list(dict.fromkeys(name for value in node.values() for name in _named(value)))
    if isinstance(node, list):
        return list(dict.fromkeys(name for value in node for name in _named(value)))
    return []


def _artifacts(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that the mounted CompiledArtifacts refer to and that are not set: name → where it comes from."""
    from floe_runtime.contract import artifacts

    file = env.get(artifacts.VARIABLE)
    if not file:
        return {artifacts.VARIABLE: "the path of the file that `floe compile` wrote"}
    # Dagster reads the settings of its database from dagster.yaml, so skip those of CompiledArtifacts.
    platform = artifacts.read(Path(file)).platform
    database = {ref.env for ref in platform.refs(platform.metadata)}
    required = [ref for ref in platform.refs() if ref.default is None and ref.env not in database]
    return {
        ref.env: f"from the Secret {ref.secret}, key {ref.key or ref.env}" if ref.secret else f"{file} refers to it"
        for ref in required
        if not env.get(ref.env)
    }


if __name__ == "__main__":
    main()
