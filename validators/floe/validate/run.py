"""One validation from bytes to findings."""

from __future__ import annotations

from dataclasses import dataclass

from floe import repo, yamlio
from floe.errors import FloeError
from floe.validate import policies
from floe.validate.findings import Finding
from floe.validate.objects import Stream, environment_of, objects
from floe.validate.schema import Schemas


@dataclass(frozen=True)
class Report:
    """The outcome for one source."""

    source: str
    environment: str | None
    objects: int
    findings: list[Finding]

    def count(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


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
    name = environment or environment_of(found)
    stream = Stream(found, name, _secrets(name, named=environment is not None))
    return Report(source, name, len(found), policies.check(stream, schemas))


def _secrets(environment: str | None, *, named: bool) -> frozenset[str]:
    """Secrets that the environment's platform.yaml says the cluster holds; none where the repository is not at hand."""
    if environment is None:
        return frozenset()
    from floe.contract.model import load
    from floe.contract.platform import Platform

    try:
        file = repo.platform_file(environment)
    except FloeError:
        if named:
            raise
        return frozenset()  # a stream of another repository: what it refers to must be in it
    return frozenset(load(Platform, file).secret_names())
