"""`objects/environment.yaml` of an overlay: what floe's own objects take from the environment.

kustomize copies it into base/platform and base/auth-proxy, `floe charts sync` into the values of floe's charts.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, StrictInt, model_validator
from pydantic.alias_generators import to_camel

from floe.contract.files import load
from floe.kubernetes.names import is_label_value, is_subdomain, key_problem
from floe.repo import Checkout
from floe_runtime.contract.model import Model

FILE = Path("objects", "environment.yaml")

_SIZE = re.compile(r"(0|[1-9][0-9]{0,8})(m|Ki|Mi|Gi|Ti)?")
_COUNT = re.compile(r"(0|[1-9][0-9]{0,8})")
Size = Literal["requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "requests.storage"]
Count = Literal[
    "pods",
    "persistentvolumeclaims",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "secrets",
    "configmaps",
]


def _valid_size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError('must be a quantity in quotes, such as "4", 500m or 8Gi')
    return text


def _valid_name(text: str) -> str:
    if not is_subdomain(text):
        raise ValueError("must consist of lower-case letters, digits, - and .")
    return text


def _valid_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"must be a range of addresses, such as 10.0.0.0/8: {error}") from None
    return text


def _valid_labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if key_problem(key) or not is_label_value(value):
            raise ValueError(f"{key}: {value} cannot be a label")
    return labels


def _not_empty(items: T) -> T:
    if not items:
        raise ValueError("must not be empty; leave it out")
    return items


def _valid_counts(quota: Quota) -> Quota:
    for key, value in quota.items():
        if key in get_args(Count) and not _COUNT.fullmatch(value):
            raise ValueError(f'{key} must be a whole number in quotes, such as "30"')
    return quota


Quota = dict[Size | Count, Annotated[str, AfterValidator(_valid_size)]]
T = TypeVar("T", tuple[Any, ...], Quota)
Name = Annotated[str, AfterValidator(_valid_name)]


class _CamelCaseModel(Model):
    model_config = ConfigDict(alias_generator=to_camel)


class Port(_CamelCaseModel):
    """A port of a NetworkPolicy."""

    protocol: Literal["TCP", "UDP", "SCTP"]
    port: Annotated[StrictInt, Field(ge=1, le=65535)]


class Selector(_CamelCaseModel):
    """Selects by labels; without any it selects everything."""

    match_labels: Annotated[dict[str, str], AfterValidator(_valid_labels), Field(default_factory=dict)]


class IpBlock(_CamelCaseModel):
    """A range of addresses."""

    cidr: Annotated[str, AfterValidator(_valid_network)]


class Peer(_CamelCaseModel):
    """A destination: addresses, or pods by their labels and those of their namespace."""

    ip_block: IpBlock | None = None
    namespace_selector: Selector | None = None
    pod_selector: Selector | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Peer:
        if None in self.model_dump(exclude_unset=True).values():
            raise ValueError("must not be null")
        if (self.ip_block is None) == (self.namespace_selector is None and self.pod_selector is None):
            raise ValueError("must have either ipBlock, or namespaceSelector, podSelector or both")
        return self


class Egress(_CamelCaseModel):
    """A rule of a NetworkPolicy, which allows these ports of these destinations."""

    ports: Annotated[tuple[Port, ...], AfterValidator(_not_empty)] = ()
    to: Annotated[tuple[Peer, ...], AfterValidator(_not_empty)] = ()

    @model_validator(mode="after")
    def _is_limited(self) -> Egress:
        if not self.model_fields_set:
            raise ValueError("must have ports, to or both, since a rule without either allows everything")
        return self


class Egresses(_CamelCaseModel):
    """The rule of each part."""

    dagster: Annotated[Egress, Field(description="webserver, daemon, code locations and runs")]
    cube: Egress
    cubestore: Egress


class Tls(_CamelCaseModel):
    """The certificate of some hosts."""

    hosts: Annotated[tuple[Name, ...], AfterValidator(_not_empty)]
    secret_name: Name


class Login(_CamelCaseModel):
    """The login in front of Dagster's web page: oauth2-proxy, and its Ingress, of which something else may end TLS."""

    host: Name
    ingress_class_name: Name
    tls: Annotated[tuple[Tls, ...], AfterValidator(_not_empty)] = ()
    issuer: Annotated[str, Field(pattern=r"^https?://\S+$")]
    email_domains: Annotated[str, Field(pattern=r"^[^\s,]+(,[^\s,]+)*$", description="separated by commas; * for any")]
    secret: Annotated[Name, Field(description="the Secret with oauth2-proxy's credentials")]


class Spec(_CamelCaseModel):
    """What the environment sets; without quota or login it has none."""

    quota: Annotated[Quota, AfterValidator(_not_empty), AfterValidator(_valid_counts)] = Field(default_factory=dict)
    egress: Egresses
    login: Login | None = None
    helm: Annotated[StrictBool, Field(description="whether floe's charts have values for this environment")] = True


class Metadata(_CamelCaseModel):
    """The annotation keeps kustomize from printing the file as an object."""

    name: str
    annotations: Annotated[dict[Literal["config.kubernetes.io/local-config"], Literal["true"]], Field(min_length=1)]


class EnvironmentFile(_CamelCaseModel):
    """The file."""

    api_version: Literal["floe-runtime.io/v1"]
    kind: Literal["Environment"]
    metadata: Metadata
    spec: Spec


def read(checkout: Checkout, environment: str) -> Spec:
    """What an overlay's file sets. Raises FloeError that names the field at fault."""
    return load(EnvironmentFile, checkout.overlay(environment) / FILE).spec


def as_written(part: Model) -> dict[str, Any]:
    """A part of the file as it is written there, which is what kustomize copies."""
    return part.model_dump(mode="json", by_alias=True, exclude_unset=True)
