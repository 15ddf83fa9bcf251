"""Where environments and applications write, so that no two of them write the same place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from floe.contract.files import load
from floe.errors import FloeError
from floe.repo import EMBEDDED, Checkout
from floe_runtime.contract.app import App
from floe_runtime.contract.platform import Platform, Postgres, RestCatalog, S3Storage, Trino
from floe_runtime.contract.refs import Setting

Server = tuple[str, str]
"""Host and port of a server that several environments can reach."""

_AWS = ("AWS", "")
_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Place:
    """A place on a server.

    `field`: the fields of platform.yaml that name it. `path`: its steps, such as a bucket and folders in it.
    """

    field: str
    server: Server
    path: tuple[str, ...]

    def crosses(self, other: Place) -> bool:
        """Whether one of two places of the same field is the other one, or is inside it."""
        shared = min(len(self.path), len(other.path))
        same = (self.field, self.server) == (other.field, other.server)
        return same and self.path[:shared] == other.path[:shared]


def refuse_shared_place(checkout: Checkout, environment: str, platform: Platform) -> None:
    """Raise FloeError if another environment of the checkout writes to a place of this one.

    Only servers that both environments can reach are compared. A host without a dot is a Service in an environment's
    own namespace; a host in a variable is unknown here; a file is in a pod or on one machine.
    """
    file = checkout.relative(checkout.platform_file(environment))
    own = list(_places(platform))
    for name in (EMBEDDED, *checkout.environments()):
        if name == environment:
            continue
        other_file = checkout.platform_file(name)
        try:
            others = list(_places(load(Platform, other_file)))
        except FloeError:
            continue  # `floe compile` of that environment reports what is wrong with its file
        for place in own:
            if any(place.crosses(other) for other in others):
                raise FloeError(
                    f"{file} and {checkout.relative(other_file)} write the same place: {place.field} "
                    f"({'/'.join(place.path)} on {':'.join(filter(None, place.server))})",
                    f"Give each environment its own: change {place.field} in the file of the newer one.",
                )


def refuse_shared_namespace(apps: Mapping[str, App]) -> None:
    """Raise FloeError if two applications write the same namespace.

    An application without `synthetic` only reads its raw tables.
    """
    writers: dict[str, tuple[str, str]] = {}
    for name, app in apps.items():
        written = {"raw_namespace": app.pipeline.raw_namespace} if app.synthetic else {}
        for field, namespace in (written | {"marts_namespace": app.pipeline.marts_namespace}).items():
            if namespace in writers:
                other, its_field = writers[namespace]
                raise FloeError(
                    f"apps/{other}/floe.yaml (pipeline.{its_field}) and apps/{name}/floe.yaml (pipeline.{field}) "
                    f"write the same namespace, {namespace!r}",
                    f"Give each app its own namespaces: change pipeline.{field} in apps/{name}/floe.yaml.",
                )
            writers[namespace] = (name, field)


def _places(platform: Platform) -> Iterator[Place]:
    storage, catalog, metadata, compute = platform.storage, platform.catalog, platform.metadata, platform.compute
    if isinstance(storage, S3Storage) and (server := _server(storage.endpoint) if storage.endpoint else _AWS):
        yield Place("storage.bucket and storage.prefix", server, _steps(f"{storage.bucket}/{storage.prefix}"))
        if platform.marts.kind == "parquet" and platform.marts.path.startswith("s3://"):
            # Without its last step, `s3://bucket` would contain any other path in the bucket.
            yield Place("marts.path", server, (*_steps(platform.marts.path.removeprefix("s3://")), ""))
    if isinstance(catalog, RestCatalog) and (server := _server(catalog.uri)):
        yield Place("catalog.warehouse", server, (catalog.warehouse,))
    server = _server(metadata.host, metadata.port) if isinstance(metadata, Postgres) else None
    if server and isinstance(metadata, Postgres) and isinstance(metadata.database, str):
        yield Place("metadata.database", server, (metadata.database,))
    if isinstance(compute, Trino) and (server := _server(compute.host, compute.port)):
        yield Place("compute.catalog", server, (compute.catalog,))


def _steps(path: str) -> tuple[str, ...]:
    return tuple(step for step in path.split("/") if step)


def _server(address: Setting, port: Setting = "") -> Server | None:
    """The server of a host name or URL; None if environments cannot share it, or if its name is not in the file."""
    if not isinstance(address, str) or not isinstance(port, str | int):
        return None
    url = urlsplit(address if "://" in address else f"//{address}")
    host = re.sub(r"(\.svc(\.cluster\.local)?)?\.?$", "", (url.hostname or "").lower())
    found = url.netloc.rpartition(":")[2] if re.search(r":\d+$", url.netloc) else _PORTS.get(url.scheme, "")
    return (host, str(port) or found) if "." in host or ":" in host else None
