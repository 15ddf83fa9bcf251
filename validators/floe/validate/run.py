"""One validation from bytes to findings."""

from __future__ import annotations

from dataclasses import dataclass

from floe import repo, yamlio
from floe.errors import FloeError
from floe.validate import policies
from floe.validate.findings import Finding, Omission
from floe.validate.objects import Object, environment_of, objects
from floe.validate.schema import Schemas
from floe.validate.stream import Stream

FILES = (".yaml", ".yml", ".json")
"""How names of files end, as against those of overlays."""


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
        """Whether the stream is a file, whose lines are a place to point at."""
        return self.source.endswith(FILES)

    def count(self, severity: str) -> int:
        """How many findings of a severity no waiver lets stand."""
        return sum(finding.severity == severity and not finding.waived for finding in self.findings)


def validate(content: bytes, source: str, schemas: Schemas, environment: str | None = None) -> Report:
    """Check one stream of manifests.

    `environment` overrides what the objects' annotation says. Raises YamlError where a document does not parse,
    FloeError for a stream without objects or an environment that does not exist.
    """
    found = list(objects(yamlio.documents(content, source), source))
    if not found:
        raise FloeError(
            f"{source}: nothing came to validate",
            "kustomize needs --enable-helm to inflate charts, and sends nothing when it fails: "
            "kustomize build --enable-helm overlays/ENV | floe-validate",
        )
    stream = _stream(found, environment)
    outcome = policies.check(stream, schemas)
    return Report(source, stream.environment, len(found), outcome.findings, outcome.left_out)


def _stream(found: list[Object], named: str | None) -> Stream:
    """The objects with what the repository says of their environment, where it is at hand."""
    environment = named or environment_of(found)
    if environment is None:
        return Stream(found)
    try:
        file = repo.platform_file(environment)
    except FloeError as error:
        if named:
            raise
        return Stream(found, environment, no_repository=error.message)  # a stream of another repository
    from floe.contract.model import load
    from floe.contract.platform import Platform

    platform = load(Platform, file)
    return Stream(found, environment, platform, platform.brought())
