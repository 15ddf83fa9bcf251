"""One validation from bytes to findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from floe import repo
from floe.errors import FloeError
from floe.kubernetes.objects import Object, environment_of, objects
from floe.validate import forked, policies
from floe.validate.findings import Finding, Omission
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.yaml import documents

FILES = (".yaml", ".yml", ".json")
"""How names of files end, as against those of overlays."""
_MANY_BYTES = 1 << 20  # of a stream that is worth a second process


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
    if len(content) < _MANY_BYTES or not forked.available():
        return _validate(content, source, schemas, environment)
    # The child reads the stream itself: objects that two processes share are copied page by page as they are counted.
    with forked.beside(lambda: policies.first(_objects(content, source), schemas)) as apart:
        return _validate(content, source, schemas, environment, apart)


def _objects(content: bytes, source: str) -> list[Object]:
    return list(objects(documents(content, source), source))


def _validate(
    content: bytes,
    source: str,
    schemas: Schemas,
    environment: str | None,
    apart: Callable[[], list[policies.Ran]] | None = None,
) -> Report:
    found = _objects(content, source)
    if not found:
        raise FloeError(
            f"{source}: nothing came to validate",
            "name another file, or an overlay: floe-validate ENV"
            if source.endswith(FILES)
            else "kustomize needs --enable-helm to inflate charts, and sends nothing when it fails: "
            "kustomize build --enable-helm overlays/ENV | floe-validate",
        )
    stream = _stream(found, environment)
    outcome = policies.check(stream, schemas, apart=apart)
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
    from floe.contract.files import load
    from floe_runtime.contract.platform import Platform

    platform = load(Platform, file)
    return Stream(found, environment, platform, platform.brought())
