"""The result of a comparison, as `floe diff --format json` prints it. Secret values are already masked."""

from __future__ import annotations

from typing import Any, Literal

from floe_runtime.contract.model import Model

MASK = "••••"
"""Replaces a secret value, whatever its length."""
MASK_CHANGED = "•••• (changed)"
"""Replaces the new value if a secret value has changed."""

Change = Literal["added", "removed", "changed"]


class Field(Model):
    """One field that differs."""

    path: str
    """Path of the field: `spec.template.spec.containers[name=api].image`, `data["dagster.yaml"]`."""
    change: Literal["added", "removed", "changed", "reordered"]
    """`reordered`: elements of a list that are on both sides changed their order; `old` and `new` are their names."""
    old: Any = None
    new: Any = None


class ObjectChange(Model):
    """One object that differs. If both sides have it, its identity is that of the new side."""

    change: Change
    group: str
    """API group, "" for the core group. Its version is not part of the identity."""
    kind: str
    namespace: str
    name: str
    renamed_from: str | None = None
    """The old name of a ConfigMap or Secret if only kustomize's content hash in the name differs."""
    fields: tuple[Field, ...] = ()
    """The differences in a changed object."""
    object: dict[str, Any] | None = None
    """The whole of an added or removed object."""

    @property
    def label(self) -> str:
        """The object's name in text: `Deployment floe-prod/cube-api`."""
        return f"{self.kind or 'object'} {self.namespace + '/' if self.namespace else ''}{self.name or '(no name)'}"


class Comparison(Model):
    """The differences in one environment."""

    environment: str
    base: str
    """The revision as the user named it."""
    commit: str
    """The full hash of the commit that `base` names."""
    changed: int
    added: int
    removed: int
    objects: tuple[ObjectChange, ...]

    @property
    def summary(self) -> str:
        """`prod: 1 changed, 0 added, 0 removed (base HEAD~1 = abc1234)`."""
        counts = f"{self.changed} changed, {self.added} added, {self.removed} removed"
        return f"{self.environment}: {counts} (base {self.base} = {self.commit[:7]})"


class Report(Model):
    """The document that `--format json` prints. Fields may be added; a changed meaning gets another `version`."""

    version: Literal[1] = 1
    uncommitted: bool
    """Whether the working tree has uncommitted changes, which the comparison includes."""
    environments: tuple[Comparison, ...]
