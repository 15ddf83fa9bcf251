"""The types of a policy, of its stage and of what it finds."""

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
    """One problem that a policy found: the object, the message, and whether a waiver may accept it.

    `file`: the file of the repository with the mistake, if it is not the one that the object was rendered from, and
    `file_line` the line in it; 0 if unknown. `severity`: overrides the severity of the policy. `cause`: equal for all
    hits of a policy that one edit would remove, which become one finding; if it is empty, the hit is a finding of its
    own. `value`: the text that somebody wrote and that is wrong, by which its line in the overlay is found, and
    `key` a pattern for the name of its key.
    """

    item: Object
    message: str
    waivable: bool = True
    file: str = ""
    file_line: int = 0
    severity: Severity | None = None
    cause: str = ""
    value: str = ""
    key: str = ""


Check = Callable[[Stream, Schemas], Iterable[Hit]]
"""A function that yields the problems of a stream, and raises LeftOut if it cannot check (all of) the stream."""


class Stage(Enum):
    """What a policy looks at; the value is the text in the documentation."""

    API_SERVER = "the objects, as the API server does"
    """These policies use only the objects and the schemas, so that another process can run them."""
    STREAM = "all objects together"
    REPOSITORY = "the objects and the repository"
    WAIVERS = "the waivers, after all other policies"


def _nothing(_stream: Stream, _schemas: Schemas) -> Iterable[Hit]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One rule with its documentation, written as the decorator of the function that checks it.

    A code is never reused, so that a search for it always finds the same rule. `why` and `remedy` are full sentences.
    `fails` and `passes` are streams of YAML, indented like the code around them; `plain` removes the indentation. The
    tests validate both examples: `fails` must give this code and no other one, `passes` must give no finding. If a
    document begins with a comment that is a file path, it becomes that file of the repository, and the other documents
    are the stream.
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
    """A sentence that says which findings can be waived, if only some of them can."""
    check: Check = _nothing

    def __call__(self, check: Check) -> Policy:
        """Return the policy with `check` as the function that checks it."""
        return dataclasses.replace(self, check=check)

    @property
    def number(self) -> int:
        """The number in the code of the policy, by which policies are sorted."""
        return int(self.code.removeprefix("FLOE"))


def plain(example: str) -> str:
    """An example without the indentation of the code around it, with one line break at its end."""
    import textwrap  # imported here, because only explanations need it

    return textwrap.dedent(example).strip("\n") + "\n"
