"""What belongs to one environment alone: its names, its hosts, and the places that it writes to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from floe.contract.files import load
from floe.errors import FloeError
from floe.kubernetes.objects import mapping, text
from floe.repo import Checkout
from floe.yaml import load_file
from floe_runtime.contract.platform import Platform

_SERVERS: dict[str, dict[str, tuple[str, ...]]] = {
    "compute": {"trino": ("host", "catalog"), "snowflake": ("account", "database"), "bigquery": ("project",)},
    "storage": {"s3": ("endpoint", "bucket", "prefix")},
    "catalog": {"rest": ("uri", "warehouse")},
    "metadata": {"postgres": ("host", "database")},
}
"""By part and kind of platform.yaml, the fields that together name a place which two environments cannot share.

Two environments may have the same server, and even the same bucket, if the other fields differ.
"""
_ADDRESSES = frozenset({"host", "endpoint", "uri"})
"""Fields among these that hold a host name or a URL."""
_CLUSTER = re.compile(r"\.svc(\.cluster\.local)?$")


Fields = tuple[tuple[str, str], ...]
"""(field, value) of the fields that together name a place; an empty value if the field is not set."""


@dataclass
class Identity:
    """The values of one environment.

    `own`: values that no two environments have, by the setting. `places`: by part of platform.yaml, the fields and
    values that name the place. `names`: the setting of each of these values, by the value. A host is complete: that of
    a Service in the namespace has the namespace in it.
    """

    environment: str
    namespace: str = ""
    own: dict[str, str] = field(default_factory=dict)
    places: dict[str, Fields] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def names_itself(self, value: str) -> bool:
        """Whether a value contains the environment's name as a whole word."""
        return re.search(rf"(?<![a-z0-9]){re.escape(self.environment)}(?![a-z0-9])", value, re.IGNORECASE) is not None


def of(checkout: Checkout, environment: str) -> Identity:
    """The identity of an environment; a file that is missing or not valid adds nothing to it."""
    overlay, identity = checkout.overlay(environment), Identity(environment)
    metadata = mapping(_content(checkout, environment, "objects/namespace.yaml").get("metadata"))
    identity.namespace = identity.own["the namespace"] = text(metadata.get("name"))
    spec = mapping(_content(checkout, environment, "objects/environment.yaml").get("spec"))
    identity.own["the host of the login"] = text(mapping(spec.get("login")).get("host"))
    for file in sorted((overlay / "values").glob("*.yaml")):
        for host in _ingress_hosts(_content(checkout, environment, f"values/{file.name}").get("valuesInline")):
            identity.own[f"the host of the Ingress of {file.stem}"] = host
    identity.own = {setting: value for setting, value in identity.own.items() if value}
    identity.names = {value: setting for setting, value in identity.own.items()}
    identity.places = dict(_places(checkout, environment, identity.namespace))
    for part, place in identity.places.items():
        for name, value in place:
            identity.names.setdefault(value, f"{part}.{name}")
    return identity


def _places(checkout: Checkout, environment: str, namespace: str) -> Iterator[tuple[str, Fields]]:
    """(part of platform.yaml, fields that name its place); a place that depends on a variable is left out."""
    try:
        platform = load(Platform, checkout.platform_file(environment))
    except FloeError:
        return
    endpoint = ""
    for part, kinds in _SERVERS.items():
        settings = getattr(platform, part)
        kind: str = getattr(settings, "target", "") or getattr(settings, "kind", "")
        names = kinds.get(kind, ())
        values = [_value(getattr(settings, name), name, namespace) for name in names]
        place = tuple((name, value) for name, value in zip(names, values, strict=True) if value is not None)
        if names and len(place) == len(names):
            endpoint = dict(place).get("endpoint", endpoint)
            yield part, place
    if platform.marts.path.startswith("s3://"):
        yield "marts", (("endpoint", endpoint), ("path", platform.marts.path.rstrip("/")))


def _content(checkout: Checkout, environment: str, file: str) -> dict[str, Any]:
    try:
        return load_file(checkout.overlay(environment) / file)
    except FloeError:
        return {}


def _ingress_hosts(node: Any) -> Iterator[str]:
    for key, value in mapping(node).items():
        if key == "ingress":
            yield from (host for name in ("hostname", "host") if (host := text(mapping(value).get(name))))
        else:
            yield from _ingress_hosts(value)


def _value(setting: object, name: str, namespace: str) -> str | None:
    """A setting as text; None if it comes from a variable, so that its value is not known."""
    if setting is None:
        return ""
    if not isinstance(setting, (str, int)):
        return None
    value = str(setting)
    return _host(value, namespace) if name in _ADDRESSES else value.strip("/")


def _host(address: str, namespace: str) -> str:
    """The host of an address; a name without a dot is a Service in the namespace."""
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return address
    return _CLUSTER.sub("", host) if "." in host else f"{host}.{namespace}"
