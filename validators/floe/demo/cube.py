"""Cube, the semantic layer, as a process on this machine: install it, start it, query it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, cast
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from floe import process, repo
from floe.console import err, out, run
from floe.errors import FloeError
from floe.repo import Checkout
from floe.tools import resolve

_INSTALL_SECONDS = 1200  # 400 MB of packages, on a slow line
_REFRESH_SECONDS = 2  # how long Cube caches a result; new rows show after about twice that time
_KEPT = ("PATH", "HOME", "TMPDIR", "TZ")  # of the caller's environment


class CubeError(FloeError):
    """Cube refused a request or did not answer."""

    def __init__(self, message: str, status: int) -> None:
        """`message`: Cube's own words. `status`: the HTTP status, 0 if nothing answered."""
        super().__init__(f"Cube answers {status}: {message}" if status else f"Cube does not answer: {message}")
        self.status = status


@dataclass(frozen=True)
class CubeInstall:
    """Cube's packages on this machine."""

    path: Path
    native: Literal["real", "stand-in"]  # which Rust addon Cube uses


def install(checkout: Checkout) -> CubeInstall:
    """Install Cube as locked in images/cube into the cache folder, unless it is there already.

    If its Rust addon cannot be downloaded, the stand-in in tests/cube-native is used. Raises FloeError if npm fails.
    """
    recipe, standin = checkout.root / "images/cube", checkout.root / "tests/cube-native"
    digest = hashlib.sha256()
    for file in (recipe / "package-lock.json", recipe / "install.sh", *sorted(standin.iterdir())):
        digest.update(file.read_bytes())
    path = repo.cache_dir() / f"cube-{digest.hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits for the first
        if not path.is_dir():
            _run_installer(recipe / "install.sh", path, standin)
    kind = (path / "native.txt").read_text().strip()
    return CubeInstall(path, cast("Literal['real', 'stand-in']", kind))


def _run_installer(script: Path, path: Path, standin: Path) -> None:
    err().print("[dim]installing Cube: 400 MB of packages, once[/]")
    node = resolve("node")
    path_variable = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"  # npm runs the node that it finds on PATH
    env = {"NODE": str(node), "NPM": str(resolve("npm")), "PATH": path_variable}
    command = ["sh", str(script), str(path), str(standin)]
    process.run(
        command,
        seconds=_INSTALL_SECONDS,
        env=env,
        own_session=True,  # so that the npm that it starts ends with it
        what="Cube could not be installed",
        hint=f"Check that npm's registry can be reached. To see all output, run: {shlex.join(command)}",
    )


def version(checkout: Checkout) -> str:
    """The version of Cube that images/cube locks."""
    lock = json.loads((checkout.root / "images/cube/package-lock.json").read_bytes())
    return str(lock["packages"]["node_modules/@cubejs-backend/server"]["version"])


def gather_models(models: Mapping[str, Path], folder: Path) -> Path:
    """Link the data models of applications, by name, into one folder, as the image holds them; returns the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for app, model in models.items():
        (folder / app).symlink_to(model.absolute(), target_is_directory=True)
    return folder


def parquet_marts(folder: Path) -> str:
    """The value of FLOE_MARTS for marts that are published in a folder.

    Raises FloeError for a path with characters that DuckDB would interpret.
    """
    text = str(folder.absolute())
    if odd := sorted(set(text) & set("*?[]")):
        raise FloeError(
            f"the folder {text} has {' '.join(odd)} in its name, which DuckDB would read as a pattern",
            "Choose a folder without these characters.",
        )
    return text


def environment(model: Path, marts: str, port: int, secret: str) -> dict[str, str]:
    """All environment variables of an embedded Cube: DuckDB in memory, loopback only, refreshing within seconds.

    `marts`: the value of FLOE_MARTS, see parquet_marts. `secret`: the key that signs API tokens. Only _KEPT is taken
    from the caller's environment, so that variables for another Cube have no effect.
    """
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "FLOE_CUBE_MODEL": str(model.absolute()),
        "FLOE_MARTS": marts,
        "FLOE_CUBE_HOST": "127.0.0.1",
        "FLOE_CUBE_REFRESH": str(_REFRESH_SECONDS),
        "PORT": str(port),
        "CUBEJS_API_SECRET": secret,
        "CUBEJS_DB_TYPE": "duckdb",
        "CUBEJS_DB_DUCKDB_MEMORY_LIMIT": "1GB",
        "CUBEJS_REFRESH_WORKER": "true",
        "CUBEJS_LOG_LEVEL": "error",
    }


def command(checkout: Checkout, install: CubeInstall) -> list[str]:
    """The command that serves Cube in the foreground; SIGTERM ends it within a few seconds."""
    return [str(resolve("node")), str(checkout.root / "images/cube/start.js"), str(install.path)]


def token(secret: str, minutes: int = 60) -> str:
    """A token for Cube's API. `secret`: the key that signs it. `minutes`: how long it is valid."""
    import jwt

    return jwt.encode({"exp": int(time.time()) + 60 * minutes}, secret, algorithm="HS256")


def load(url: str, token: str, query: dict[str, Any], seconds: float = 60) -> list[dict[str, Any]]:
    """The rows of a query, with numbers as strings, as Cube returns them. Raises CubeError if Cube refuses."""
    return cast("list[dict[str, Any]]", answer(url, token, query, seconds)["data"])


def answer(url: str, token: str, query: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    """Cube's whole answer to a query: its rows, and the rollups that they came from.

    While a query takes longer than a request should, Cube answers `Continue wait`, and the request is repeated.
    Raises CubeError if Cube refuses, FloeError after `seconds`.
    """
    deadline = time.monotonic() + seconds
    address = f"{url}/cubejs-api/v1/load?{urlencode({'query': json.dumps(query)})}"
    while True:
        reply = _get(address, token, max(deadline - time.monotonic(), 1))
        if "error" not in reply:
            return reply
        if reply["error"] != "Continue wait":
            raise CubeError(str(reply["error"]), 200)
        if time.monotonic() > deadline:
            raise FloeError(f"Cube is still computing after {seconds:.0f} s", "Ask again, or use a smaller query.")


def meta(url: str, token: str, seconds: float = 60) -> dict[str, Any]:
    """The cubes and views of the model. Raises CubeError if Cube cannot compile it."""
    return _get(f"{url}/cubejs-api/v1/meta", token, seconds)


def _get(address: str, token: str, seconds: float) -> dict[str, Any]:
    request = Request(address, headers={"Authorization": token} if token else {})  # noqa: S310 # callers pass http URLs only
    try:
        with urlopen(request, timeout=seconds) as response:  # noqa: S310 # as above
            return cast("dict[str, Any]", json.load(response))
    except HTTPError as error:
        with error:
            body = error.read().decode(errors="replace")
        try:
            message = str(json.loads(body)["error"])
        except (ValueError, KeyError, TypeError):
            message = body.strip() or error.reason
        raise CubeError(message, error.code) from None
    except (OSError, HTTPException) as error:
        raise CubeError(str(error), 0) from error


def _report() -> None:
    checkout = repo.current()
    cube = install(checkout)
    out().print(f"[green]✓[/] cube       {version(checkout):<10} {cube.path} [dim](native addon: {cube.native})[/]")


if __name__ == "__main__":
    run(_report)
