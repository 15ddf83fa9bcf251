"""Emulators of Snowflake and BigQuery for `dbt debug`, each in a virtual environment with packages pinned by hash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from floe import repo
from floe.tools.sources import install, uv
from floe_runtime.contract.platform import BigQuery, Snowflake
from servers import HOST, free_ports, running

LOCKS = Path(__file__).parent / "engines/emulators"


def _environment(name: str) -> Path:
    """The virtual environment of an emulator in the cache folder, created if it does not exist yet."""
    lock = LOCKS / f"{name}.lock"
    folder = repo.cache_dir() / "tools" / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"

    def fill(part: Path) -> None:
        subprocess.run([uv(), "venv", "--quiet", "--relocatable", "--python", sys.executable, str(part)], check=True)
        install = [uv(), "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
        subprocess.run(install, check=True, env=os.environ | {"VIRTUAL_ENV": str(part)})

    install(folder, fill)
    return folder


@contextmanager
def snowflake(folder: Path) -> Iterator[Snowflake]:
    """Run an emulator of Snowflake during the block; yields the compute of a platform.yaml for it."""
    (port,) = free_ports(1)
    program = _environment("fakesnow") / "bin/fakesnow"
    with running([str(program), "-s", "-p", str(port)], folder, os.environ.copy(), lambda: _listens(port)):
        yield Snowflake(
            target="snowflake",
            account="fakesnow",
            host=HOST,
            port=port,
            http_scheme="http",
            database="floe",
            warehouse="floe",
            role="public",
            user="floe",
        )


@contextmanager
def bigquery(folder: Path) -> Iterator[BigQuery]:
    """Run an emulator of BigQuery during the block; yields the compute of a platform.yaml for it.

    The key file of the service account is written to `folder`.
    """
    rest, grpc = free_ports(2)
    venv = _environment("bqemulator")
    home = folder / "home"
    (package,) = venv.glob("lib/python3*/site-packages/duckdb_extension_spatial/extensions/*")
    place = home / ".duckdb/extensions" / package.name / "linux_amd64"
    place.mkdir(parents=True)
    (place / "spatial.duckdb_extension").symlink_to(package / "spatial.duckdb_extension")
    ports = ["--rest-port", str(rest), "--grpc-port", str(grpc)]
    command = [str(venv / "bin/bqemulator"), "start", *ports, "--project", "floe"]
    with (
        _tokens() as token_uri,
        running(command, folder, os.environ | {"HOME": str(home)}, lambda: _listens(rest)),
    ):
        keyfile = folder / "key.json"
        keyfile.write_text(json.dumps(_service_account(token_uri)))
        yield BigQuery(target="bigquery", project="floe", keyfile=str(keyfile), endpoint=f"http://{HOST}:{rest}")


def _service_account(token_uri: str) -> dict[str, str]:
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl is needed to create a key"
    key = subprocess.run([openssl, "genpkey", "-quiet", "-algorithm", "RSA"], capture_output=True, check=True).stdout
    return {
        "type": "service_account",
        "project_id": "floe",
        "private_key_id": "of-this-test",
        "private_key": key.decode(),
        "client_email": "floe@example.com",
        "token_uri": token_uri,
    }


@contextmanager
def _tokens() -> Iterator[str]:
    """Serve the part of Google's token endpoint that a service account needs; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server requires
            body = json.dumps({"access_token": "of-this-test", "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_port}/token"
    finally:
        server.shutdown()
        server.server_close()


def _listens(port: int) -> bool:
    with suppress(OSError):
        with suppress(HTTPError):
            urlopen(f"http://{HOST}:{port}/", timeout=5).close()
        return True
    return False
