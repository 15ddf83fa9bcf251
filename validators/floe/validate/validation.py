"""Runs one validation: reads the bytes of a stream and returns its findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from floe.errors import FloeError
from floe.kubernetes.objects import Object, environment_of, objects
from floe.repo import Checkout
from floe.validate import forked, policies
from floe.validate.findings import Finding, Omission
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.yaml import documents

FILES = (".yaml", ".yml", ".json")
"""Suffixes by which a file is told from an overlay."""
_NO_CHECKOUT = "there is no floe repository here to look the environment up in"
_MANY_BYTES = 1 << 20  # a stream of this size or more is worth a second process


@dataclass(frozen=True)
class Report:
    """The outcome for one source."""

    source: str
    environment: str | None
    objects: int
    findings: list[Finding]
    left_out: list[Omission]

    @property
    def is_file(self) -> bool:
        """Whether the stream is a file, so that a finding can point at one of its lines."""
        return self.source.endswith(FILES)

    def count(self, severity: str) -> int:
        """The number of findings of a severity that are not waived."""
        return sum(finding.severity == severity and not finding.waived for finding in self.findings)


def validate(
    content: bytes, source: str, schemas: Schemas, environment: str | None = None, *, checkout: Checkout | None = None
) -> Report:
    """Check one stream of manifests.

    `source` is the name of the stream in findings and messages. `environment` overrides the annotation of the objects.
    `checkout` is where the environment is looked up; without it, policies about the repository are left out.
    Raises YamlError if a document cannot be parsed, and FloeError for a stream without objects or an environment that
    does not exist.
    """
    if len(content) < _MANY_BYTES or not forked.available():
        return _report(content, source, schemas, environment, checkout)
    # The child parses the stream itself. If it used the parent's objects, counting references would copy their memory.
    with forked.beside(lambda: policies.first(_parsed_objects(content, source), schemas)) as apart:
        return _report(content, source, schemas, environment, checkout, apart)


def _parsed_objects(content: bytes, source: str) -> list[Object]:
    return list(objects(documents(content, source), source))


def _report(
    content: bytes,
    source: str,
    schemas: Schemas,
    environment: str | None,
    checkout: Checkout | None,
    apart: Callable[[], list[policies.Ran]] | None = None,
) -> Report:
    items = _parsed_objects(content, source)
    if not items:
        raise FloeError(
            f"{source} contains no objects to validate",
            "name another file, or an overlay: floe-validate ENV"
            if source.endswith(FILES)
            else "check that kustomize succeeds (it prints nothing when it fails, and it needs --enable-helm for "
            "charts): kustomize build --enable-helm overlays/ENV | floe-validate",
        )
    stream = _with_environment(items, environment, checkout)
    result = policies.check(stream, schemas, apart=apart)
    return Report(source, stream.environment, len(items), result.findings, result.left_out)


def _with_environment(items: list[Object], named: str | None, checkout: Checkout | None) -> Stream:
    """The objects together with the platform.yaml of their environment, if this repository has that environment."""
    environment = named or environment_of(items)
    if environment is None:
        return Stream(items)
    if checkout is None:
        if named:
            raise FloeError(_NO_CHECKOUT, "Change into your fork, or set FLOE_ROOT=/path/to/it.")
        return Stream(items, environment, no_repository=_NO_CHECKOUT)
    try:
        file = checkout.platform_file(environment)
    except FloeError as error:
        if named:
            raise
        return Stream(items, environment, no_repository=error.message)  # a stream of another repository
    from floe.contract.files import load
    from floe_runtime.contract.platform import Platform

    platform = load(Platform, file)
    return Stream(items, environment, checkout, platform, platform.brought())
