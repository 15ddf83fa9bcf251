"""What a policy is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from floe.kubernetes.objects import Object
from floe.validate.findings import Severity
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


class Hit(NamedTuple):
    """What a policy found: the object, what is wrong with it, and whether a waiver may let it stand.

    `file`: where the mistake is, in the repository, if not in what the object was made from. `severity`: if another
    than the policy's.
    """

    item: Object
    message: str
    waivable: bool = True
    file: str = ""
    severity: Severity | None = None


@dataclass(frozen=True)
class Policy:
    """One rule. A code is never reused, so that a search finds it for good.

    `check` yields what breaks the rule, and raises LeftOut where the rest cannot be told.
    """

    code: str
    title: str
    severity: Severity
    why: str
    remedy: str
    check: Callable[[Stream, Schemas], Iterable[Hit]]
    waivable: bool = True
