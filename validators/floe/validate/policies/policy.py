"""What a policy is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
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


Check = Callable[[Stream, Schemas], Iterable[Hit]]
"""Yields what breaks the rule, and raises LeftOut where the rest cannot be told."""


class Stage(Enum):
    """What a policy looks at, in the words of the documentation."""

    API_SERVER = "the objects, as the API server does"
    """Needs nothing but the objects and the schemas, so that another process may run it."""
    STREAM = "all objects together"
    REPOSITORY = "the objects and the repository"
    WAIVERS = "the waivers, after all other policies"


def _nothing(_stream: Stream, _schemas: Schemas) -> Iterable[Hit]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One rule with all that is said of it, written as the decorator of the function that checks it.

    A code is never reused, so that a search finds it for good. `why` and `remedy` are full sentences. `fails` and
    `passes` are streams of YAML, indented as the code around them; `plain` takes that off. The tests validate both: of
    the first comes this code and no other, of the second nothing. A part whose first line is a comment with the path of
    a file is a file of the repository; the rest is the stream.
    """

    code: str
    stage: Stage
    severity: Severity
    title: str
    why: str
    remedy: str
    fails: str
    passes: str
    waivable: bool = True
    waiver: str = ""
    """What a waiver may let stand, in a sentence, where that is not everything or nothing."""
    check: Check = _nothing

    def __call__(self, check: Check) -> Policy:
        """The same policy with the function that it decorates."""
        return dataclasses.replace(self, check=check)

    @property
    def number(self) -> int:
        """Its place among all policies."""
        return int(self.code.removeprefix("FLOE"))


def plain(example: str) -> str:
    """An example without the indentation of the code around it."""
    import textwrap  # not before somebody asks for an explanation

    return textwrap.dedent(example).strip("\n") + "\n"
