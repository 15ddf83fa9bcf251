"""Runs a real Trino on the object store of a test; its server and Iceberg connector are pinned and come from Maven."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trino.exceptions

from code_location import edit
from floe import repo
from floe.errors import FloeError
from floe.tools.sources import install
from floe_runtime.connect import trino_connection
from floe_runtime.contract.platform import Trino
from servers import HOST, ObjectStore, free_ports
from servers import running as serving_process
from toolbox import resolve

VERSION = "476"
ARTIFACTS = {
    f"io.trino:trino-server-core:{VERSION}:tar.gz": "0f388f9967c177ae70a47c099082fc95387f0c3cb96d8000d1d41fc3a5223158",
    f"io.trino:trino-iceberg:{VERSION}:zip": "99edba5b491ed94d599aeb61e0794272d3569d8b563f3bb8569e8a49daa87b6c",
}


@dataclass(frozen=True)
class Server:
    """A running server, which accepts plain HTTP and any user name."""

    port: int

    @property
    def compute(self) -> Trino:
        """The server as a compute target, as platform.yaml describes it."""
        return Trino(target="trino", host=HOST, port=self.port, http_scheme="http", user="floe")

    @property
    def cube(self) -> dict[str, str]:
        """The variables of a Cube that reads the marts from the server."""
        address = {"CUBEJS_DB_TYPE": "trino", "CUBEJS_DB_HOST": HOST, "CUBEJS_DB_PORT": str(self.port)}
        names = {"CUBEJS_DB_PRESTO_CATALOG": "iceberg", "FLOE_MART": "iceberg.{namespace}.{mart}"}
        return address | names | {"CUBEJS_DB_USER": "floe"}

    def use(self, checkout: Path, store: ObjectStore) -> None:
        """Let a checkout compute with the server, on the store that the server reads."""
        file = checkout / "platform.yaml"
        edit(file, ("compute",), self.compute.model_dump(exclude_none=True))
        edit(file, ("storage",), {"kind": "s3", "bucket": store.bucket, "endpoint": store.s3})
        edit(file, ("catalog",), {"kind": "rest", "uri": store.catalog, "warehouse": store.warehouse})
        edit(file, ("marts",), {"kind": "tables", "path": "iceberg"})


def installed() -> Path:
    """Trino's folder in the cache, downloaded if it does not exist yet (540 MB, a minute).

    Raises FloeError if Maven is missing or a download does not have the pinned hash.
    """
    folder = repo.cache_dir() / "tools" / f"trino-{VERSION}"
    install(folder, _fill)
    return folder


def _fill(folder: Path) -> None:
    for coordinates, wanted in ARTIFACTS.items():
        copy = ["dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}"]
        subprocess.run([str(resolve("mvn")), "-q", "-B", *copy], check=True, timeout=900, stdin=subprocess.DEVNULL)
        _, name, version, kind = coordinates.split(":")
        archive = folder / f"{name}-{version}.{kind}"
        with archive.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != wanted:
                raise FloeError(f"the downloaded file of {coordinates} does not have the pinned hash")
        if kind == "zip":
            with zipfile.ZipFile(archive) as members:
                members.extractall(folder / "plugins")  # noqa: S202 # the pinned file
        else:
            with tarfile.open(archive) as members:
                members.extractall(folder, filter="fully_trusted")  # noqa: S202 # the pinned file
        archive.unlink()


@contextmanager
def server(folder: Path, store: ObjectStore) -> Iterator[Server]:
    """Run Trino during the block, with one catalog, `iceberg`: the store's REST catalog with OAuth2, and its bucket."""
    java = resolve("java")
    home = installed()
    running = Server(free_ports(1)[0])
    files = {
        "config.properties": {
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": str(running.port),
            "discovery.uri": f"http://{HOST}:{running.port}",
            "plugin.dir": str(home / "plugins"),
            "query.max-memory": "500MB",
        },
        "node.properties": {"node.environment": "test", "node.data-dir": str(folder / "data")},
        "catalog/iceberg.properties": {
            "connector.name": "iceberg",
            "iceberg.catalog.type": "rest",
            "iceberg.rest-catalog.uri": store.catalog,
            "iceberg.rest-catalog.warehouse": store.warehouse,
            "iceberg.rest-catalog.security": "OAUTH2",
            "iceberg.rest-catalog.oauth2.credential": "${ENV:FLOE_CATALOG_CLIENT_ID}:${ENV:FLOE_CATALOG_CLIENT_SECRET}",
            "iceberg.rest-catalog.oauth2.scope": "PRINCIPAL_ROLE:ALL",
            "iceberg.rest-catalog.oauth2.server-uri": f"{store.catalog}/v1/oauth/tokens",
            "fs.native-s3.enabled": "true",
            "s3.endpoint": store.s3,
            "s3.region": "us-east-1",
            "s3.path-style-access": "true",
            "s3.aws-access-key": "${ENV:AWS_ACCESS_KEY_ID}",
            "s3.aws-secret-key": "${ENV:AWS_SECRET_ACCESS_KEY}",
        },
    }
    for name, settings in files.items():
        file = folder / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    options = (repo.current().root / "base/services/trino/etc/jvm.config").read_text().split()
    (folder / "etc/jvm.config").write_text("\n".join(["-Xmx1200M", *(o for o in options if "-Xm" not in o), ""]))
    launcher = home / f"trino-server-core-{VERSION}" / "bin" / "launcher"
    env = os.environ | store.env | {"JAVA_HOME": str(java.parent.parent), "PATH": f"{java.parent}:{os.environ['PATH']}"}

    def up() -> bool:
        with suppress(trino.exceptions.Error, OSError):
            connection = trino_connection(running.compute)
            connection.cursor().execute("show schemas from iceberg").fetchall()
            return True
        return False

    try:
        with serving_process([str(launcher), "run", f"--etc-dir={folder / 'etc'}"], folder, env, up):
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)
