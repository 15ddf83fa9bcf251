"""Real servers for tests, each on free ports of loopback, each of which ends with its block."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from floe.demo.processes import answers, tied_to_us
from floe_runtime.connect import s3_client
from floe_runtime.contract.platform import S3Storage
from toolbox import resolve

HOST = "127.0.0.1"
_UP_SECONDS = 180  # Trino needs 15 on a machine that does nothing else


def free_ports(count: int) -> list[int]:
    """Different free ports, below the range from which the kernel takes ports for outgoing connections."""
    ports: list[int] = []
    port = 20000 + os.getpid() % 5000
    while len(ports) < count:
        port += 1
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            ports.append(port)
    return ports


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server with one user, who is a superuser."""

    port: int
    user: str
    password: str
    database: str

    @property
    def env(self) -> dict[str, str]:
        """The environment variables by which floe finds the server."""
        return {
            "FLOE_POSTGRES_HOST": HOST,
            "FLOE_POSTGRES_PORT": str(self.port),
            "FLOE_POSTGRES_USER": self.user,
            "FLOE_POSTGRES_PASSWORD": self.password,
            "FLOE_POSTGRES_DATABASE": self.database,
        }


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL server during the block, with its data in `folder`."""
    binary = resolve("postgres").resolve()
    server = Postgres(free_ports(1)[0], "floe", "a-password-of-this-test", "postgres")
    password = folder / "password"
    password.write_text(server.password)
    data = str(folder / "data")
    initialise = [str(binary.with_name("initdb")), "-D", data, "-U", server.user, f"--pwfile={password}"]
    subprocess.run([*_not_root(), *initialise, "-A", "scram-sha-256", "-N"], check=True, capture_output=True)
    listen = ["-p", str(server.port), "-k", "", "-c", f"listen_addresses={HOST}"]

    def up() -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(
                host=HOST, port=server.port, user=server.user, password=server.password, dbname=server.database
            ).close()
            return True
        return False

    with running([*_not_root(), str(binary), "-D", data, "-F", *listen], folder, os.environ.copy(), up):
        yield server


def _not_root() -> list[str]:
    """The prefix of a command that runs as root: a user namespace, because PostgreSQL refuses to run as root."""
    return ["unshare", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class ObjectStore:
    """A SeaweedFS server, which takes the place of S3 and of Polaris, an Iceberg REST catalog with OAuth2."""

    s3: str
    catalog: str
    key: str
    secret: str
    bucket: str = "floe"
    warehouse: str = "s3://warehouse"

    @property
    def env(self) -> dict[str, str]:
        """The environment variables with which floe authenticates."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "FLOE_CATALOG_CLIENT_ID": self.key,
            "FLOE_CATALOG_CLIENT_SECRET": self.secret,
        }


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Run a SeaweedFS server during the block, with its data in `folder`, one bucket and one warehouse."""
    names = ("s3.port", "s3.port.iceberg", "s3.port.lance", "master.port", "filer.port", "volume.port", "admin.port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    server = ObjectStore(
        f"http://{HOST}:{ports['s3.port']}",
        f"http://{HOST}:{ports['s3.port.iceberg']}",
        "key-of-this-test",
        "a-secret-of-this-test",
    )
    command = [str(resolve("weed")), "mini", f"-dir={folder}", f"-ip={HOST}", f"-ip.bind={HOST}"]
    command += ["-master.telemetry=false", "-webdav=false", f"-bucket={server.bucket}"]
    command += [f"-tableBucket={server.warehouse.removeprefix('s3://')}"]
    command += [f"-{name}={port}" for name, port in ports.items()]

    storage = S3Storage(kind="s3", bucket=server.bucket, endpoint=server.s3)

    def up() -> bool:
        if not answers(f"{server.catalog}/v1/config?warehouse={server.warehouse}"):
            return False
        with suppress(ClientError, BotoCoreError):  # the port is open a moment before the bucket exists
            s3_client(storage, server.env).head_bucket(Bucket=server.bucket)
            return True
        return False

    with running(command, folder, os.environ | server.env, up):
        yield server


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run an OCI registry without TLS during the block, with its data in `folder`; yields its `host:port`."""
    host = f"{HOST}:{free_ports(1)[0]}"
    config = folder / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}}
    config.write_text(json.dumps({"version": "0.1", "storage": storage, "http": {"addr": host}}))
    command = [str(resolve("registry")), "serve", str(config)]
    with running(command, folder, os.environ.copy(), lambda: answers(f"http://{host}/v2/")):
        yield host


@contextmanager
def running(command: list[str], folder: Path, env: dict[str, str], up: Callable[[], bool]) -> Iterator[None]:
    """Run a server during the block, which starts once `up` returns true; then delete `folder` with its log and data.

    Raises RuntimeError with the end of the log if the server does not start in time.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*tied_to_us(), *command], cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + _UP_SECONDS
        while not up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
