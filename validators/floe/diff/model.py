"""What a comparison says, as `floe diff --format json` prints it. Secrets are masked before they get here."""

from __future__ import annotations

from typing import Any, Literal

from floe_runtime.contract.model import Model

MASK = "••••"
"""What stands for a secret value, whatever its length."""
MASK_CHANGED = "•••• (changed)"
"""What stands for the new one where the two differ."""

Change = Literal["added", "removed", "changed"]


class Field(Model):
    """One field that differs."""

    path: str
    """Where: `spec.template.spec.containers[name=api].image`, `data["dagster.yaml"]`."""
    change: Literal["added", "removed", "changed", "reordered"]
    """`reordered`: the elements of a list that both hold changed places; `old` and `new` are their names."""
    old: Any = None
    new: Any = None


class ObjectChange(Model):
    """One object that differs. The identity is that of the new side where both have it."""

    change: Change
    group: str
    """API group, "" for the core; two versions of a group are one object."""
    kind: str
    namespace: str
    name: str
    renamed_from: str | None = None
    """The old name of a ConfigMap or Secret where only kustomize's content hash in it differs."""
    fields: tuple[Field, ...] = ()
    """What differs, of a changed object."""
    object: dict[str, Any] | None = None
    """The whole of an added or removed object."""

    @property
    def label(self) -> str:
        """How a person names it: `Deployment floe-prod/cube-api`."""
        return f"{self.kind or 'object'} {self.namespace + '/' if self.namespace else ''}{self.name or '(no name)'}"


class Comparison(Model):
    """What differs in one environment."""

    environment: str
    base: str
    """The revision as it was asked for."""
    commit: str
    """What it is: the commit's full hash."""
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
    """The document that `--format json` prints. A field may be added; none changes its meaning under one version."""

    version: Literal[1] = 1
    uncommitted: bool
    """Whether the working tree, which the base is compared with, holds what no commit does."""
    environments: tuple[Comparison, ...]
