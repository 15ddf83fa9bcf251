"""Runs all policies and turns what they find into findings. Nothing here depends on a single policy."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from floe.kubernetes.objects import Object
from floe.validate.findings import Finding, Omission
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.policies.registry import POLICIES
from floe.validate.schema import Schemas
from floe.validate.stream import LeftOut, Stream
from floe.validate.waivers import read

__all__ = ["POLICIES", "Policy", "Ran", "Result", "Stage", "check", "first"]


@dataclass(frozen=True)
class Result:
    """Every finding of every policy, in the stream's order, and the policies that could not run."""

    findings: list[Finding]
    left_out: list[Omission]


def check(
    stream: Stream,
    schemas: Schemas,
    today: datetime.date | None = None,
    apart: Callable[[], list[Ran]] | None = None,
) -> Result:
    """Run every policy on a stream.

    `today`: the day that decides whether a waiver has expired; without it, the current day in UTC. `apart`: returns the
    result of `first` for the same objects if another process computes it; without it, those policies run here.
    """
    waivable = {policy.code for policy in POLICIES if policy.waivable}
    waivers = list(read(stream.objects, waivable, today or datetime.datetime.now(datetime.UTC).date()))
    in_force = {(id(waiver.item), waiver.code): waiver for waiver in waivers if not waiver.problem}
    findings, left_out = [], []
    unused = dict(in_force)
    for policy, hits, reason in _hits_of_policies(stream, schemas, apart):
        if reason:
            left_out.append(Omission(policy.code, reason))
            for key in [key for key in unused if key[1] == policy.code]:
                del unused[key]  # the policy did not look at everything, so the waiver may still be needed
        open_hits = []
        for hit in hits:
            key = (id(hit.item), policy.code)
            waiver = in_force.get(key) if hit.waivable else None
            if waiver is None:
                open_hits.append(hit)
            else:
                unused.pop(key, None)
                findings.append(_finding(stream, policy, hit, waiver.words))
        findings += [_finding(stream, policy, hit) for hit in _by_cause(open_hits)]
    unsound = [(waiver.item, waiver.problem) for waiver in waivers if waiver.problem]
    unsound += [(waiver.item, f"the waiver of {waiver.code} waives nothing") for waiver in unused.values()]
    judged = replace(stream, unsound=unsound)
    for policy in _policies_of(Stage.WAIVERS):
        findings += [_finding(stream, policy, hit) for hit in policy.check(judged, schemas)]
    numbers = {policy.code: policy.number for policy in POLICIES}
    return Result(sorted(findings, key=lambda finding: (finding.document, numbers[finding.code])), left_out)


def _policies_of(*stages: Stage) -> list[Policy]:
    """The policies of the given stages, by number."""
    return [policy for policy in POLICIES if policy.stage in stages]


_BY_NUMBER = Object("", 0, 0, {})  # placeholder: the receiving process puts its own object in this place
Ran = tuple[list[tuple[int, Hit]], str]
"""The hits of one policy, each with the index of its object, and the reason if the policy could not look everywhere."""


def first(items: list[Object], schemas: Schemas) -> list[Ran]:
    """Run the policies of the stage API_SERVER and return their hits in a form that can be sent to another process."""
    stream, numbers = Stream(items), {id(item): number for number, item in enumerate(items)}
    ran = (_hits_and_reason(policy, stream, schemas) for policy in _policies_of(Stage.API_SERVER))
    return [([(numbers[id(hit.item)], hit._replace(item=_BY_NUMBER)) for hit in hits], reason) for hits, reason in ran]


def _hits_of_policies(
    stream: Stream, schemas: Schemas, apart: Callable[[], list[Ran]] | None
) -> Iterator[tuple[Policy, list[Hit], str]]:
    """Yield (policy, hits, reason) of each policy that does not check waivers.

    The reason says why the policy could not look everywhere; it is empty if the policy could.
    """
    others = [
        (policy, *_hits_and_reason(policy, stream, schemas)) for policy in _policies_of(Stage.STREAM, Stage.REPOSITORY)
    ]
    if apart is None:
        yield from ((policy, *_hits_and_reason(policy, stream, schemas)) for policy in _policies_of(Stage.API_SERVER))
    else:
        for policy, (hits, reason) in zip(_policies_of(Stage.API_SERVER), apart(), strict=True):
            yield policy, [hit._replace(item=stream.objects[number]) for number, hit in hits], reason
    yield from others


def _hits_and_reason(policy: Policy, stream: Stream, schemas: Schemas) -> tuple[list[Hit], str]:
    hits: list[Hit] = []
    try:
        hits.extend(policy.check(stream, schemas))
    except LeftOut as reason:
        return hits, str(reason)
    return hits, ""


_SHOWN = 3  # objects in a message


def _by_cause(hits: list[Hit]) -> list[Hit]:
    """One hit for each cause: the first of those with the same cause, whose message then names the other objects."""
    by_cause: dict[object, list[Hit]] = {}
    for number, hit in enumerate(hits):
        by_cause.setdefault(hit.cause or number, []).append(hit)
    return [_with_others(*same) for same in by_cause.values()]


def _with_others(hit: Hit, *same: Hit) -> Hit:
    labels = list(dict.fromkeys(other.item.label for other in same if other.item is not hit.item))
    if not labels:
        return hit
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return hit._replace(message=f"{hit.message}; the same in {', '.join(labels[:_SHOWN])}{more}")


def _finding(stream: Stream, policy: Policy, hit: Hit, waived: str = "") -> Finding:
    item = hit.item
    file, line = (hit.file, hit.file_line) if hit.file else stream.edited(item, hit.value, hit.key)
    return Finding(
        policy.code,
        hit.severity or policy.severity,
        item.source,
        item.document,
        item.line,
        _printable(item.label),
        _printable(hit.message),
        policy.remedy,
        _printable(file),
        line,
        _printable(waived),
    )


def _printable(words: str) -> str:
    """The words with every control character replaced, so that a name cannot affect the terminal or add lines."""
    return words if words.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in words)
