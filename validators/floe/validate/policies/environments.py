"""Policies that compare the files of an environment with those of the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from floe.kubernetes.objects import ENVIRONMENT
from floe.repo import Checkout
from floe.validate import identity
from floe.validate.identity import Identity
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.validate.written import Spot, Written, also

_WORD = r"(?<![\w-]){}(?=-tls(?![\w-])|(?![\w-]))"
"""A whole word; the certificate of a host has the host's name and -tls."""
_NAMED = "|".join(rf"(?<=\b{before}){{0}}(?![\w-])" for before in ("name=", "overlays/", "clusters/", "values-"))
"""Where the name of an environment stands for nothing else: `name=qa`, `overlays/qa/secrets`, `values-qa.yaml`."""


@Policy(
    code="FLOE026",
    stage=Stage.REPOSITORY,
    severity="error",
    title="Something of another environment is in this one",
    why="An environment that was made by copying another one would act on what belongs to the other, for example start "
    "its runs in the other's namespace or write its tables. Environments may share servers, registries and domains. "
    "Only the following belongs to one environment: its name, its namespace, the hosts of its web pages, the values in "
    "platform.yaml that contain its name, and each place that it writes to, which is a bucket with its prefix, a "
    "catalog with its warehouse, an engine with its catalog, or a database server with its database. A server that two "
    "platform.yaml name with different places on it is shared on purpose, and so is a bucket with different prefixes. "
    "A name is only found as a whole word, so dev is not found in dev-eu. If nothing tells whose a value is, the "
    "environment that is later in the promotion order has it.",
    remedy="Set this environment's own value in the line that the finding names.",
    fails="""
        # overlays/dev/values/cube.yaml
        kind: HelmChartInflationGenerator
        valuesInline: {ingress: {hostname: cube.staging.example.com}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
    passes="""
        # overlays/dev/values/cube.yaml
        kind: HelmChartInflationGenerator
        valuesInline: {ingress: {hostname: cube.dev.example.com}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
)
def foreign(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Search the files of the environment for the other environments' values, and compare the places.

    Raises LeftOut if there is no platform.yaml for the environment.
    """
    overlay = stream.overlay()
    environment, checkout = overlay.environment, overlay.checkout
    others = [name for name in checkout.environments() if name != environment]
    ours = identity.of(checkout, environment)
    found: dict[str, tuple[str, list[Spot]]] = {}
    for place in _annotations(stream.written, environment):
        found.setdefault(f"the annotation {ENVIRONMENT} is not {environment}", ("", []))[1].append(place)
    for name in others:
        theirs = identity.of(checkout, name)
        words = _foreign_words(ours, theirs)
        for word, spot in _spots(stream.written, words, ours, theirs):
            what = (
                f"{word} is {setting} of {name}"
                if (setting := words.get(word.lower()))
                else f"{word} is another environment"
            )
            found.setdefault(what, (name, []))[1].append(spot)
        if not any(owner == name for owner, _ in found.values()):
            yield from _same_places(stream, ours, theirs, checkout)
    for words_of, (_owner, spots) in found.items():
        yield Hit(stream.holder, f"{words_of}{also(spots)}", file=spots[0].file, file_line=spots[0].line)


def _annotations(written: Written, environment: str) -> Iterator[Spot]:
    for file, content in written.texts.items():
        if ENVIRONMENT in content:
            for place in written.places(file):
                if place.path[-1] == ENVIRONMENT and place.text not in (environment, None):
                    yield Spot(file, place.line)


def _shared(ours: Identity, theirs: Identity) -> set[str]:
    """The servers and buckets with the other's name that both have, with different places in them."""
    shared: set[str] = set()
    for part, place in ours.places.items():
        other = theirs.places.get(part, ())
        if place != other:
            same = takewhile(lambda pair: pair[0] == pair[1], zip(place, other, strict=False))
            shared |= {value for (_, value), _ in same if theirs.names_itself(value)}
    return shared


def _foreign_words(ours: Identity, theirs: Identity) -> dict[str, str]:
    """The other environment's values that contain its name, and what each is; without those that are shared."""
    shared = _shared(ours, theirs)
    return {
        value.lower(): what
        for value, what in theirs.names.items()
        if theirs.names_itself(value) and value not in shared
    }


def _spots(written: Written, words: dict[str, str], ours: Identity, theirs: Identity) -> Iterator[tuple[str, Spot]]:
    """Each value of the other environment in a file of this one; a longer value wins over one that is a part of it."""
    shared = _shared(ours, theirs)
    ordered = sorted({*words, *shared}, key=len, reverse=True)
    patterns = [_WORD.format(re.escape(word)) for word in ordered]
    patterns.append(_NAMED.format(re.escape(theirs.environment)))
    for word, spot in written.lines_with(re.compile("|".join(patterns), re.IGNORECASE)):
        if word not in shared:
            yield word, spot


def _same_places(stream: Stream, ours: Identity, theirs: Identity, checkout: Checkout) -> Iterator[Hit]:
    """Report a place or host that is equal in both environments, in the one that does not own it."""
    order = checkout.in_promotion_order()
    takes_part = checkout.settings.promotion

    def rank(name: str) -> tuple[bool, int]:
        return name in takes_part, order.index(name) if name in takes_part else -order.index(name)

    file = f"overlays/{ours.environment}/platform.yaml"
    same = [
        (", ".join(f"{part}.{name}" for name, value in place if value), part, place[-1][0], place)
        for part, place in ours.places.items()
        if theirs.places.get(part) == place
    ]
    for fields, part, last, place in same:
        values = " ".join(value for _, value in place)
        if not ours.names_itself(values) and rank(ours.environment) < rank(theirs.environment):
            lines = [one.line for one in stream.written.places(file) if one.path in ((part, last), (part, place[0][0]))]
            line = lines[-1] if lines else 0
            words = f"{fields} name a place that {theirs.environment} writes to"
            yield Hit(stream.holder, words, file=file, file_line=line)
    for setting, value in ours.own.items():
        taken = theirs.own.get(setting) == value and not ours.names_itself(value)
        if taken and rank(ours.environment) < rank(theirs.environment):
            spots = [spot for _, spot in stream.written.lines_with(re.compile(_WORD.format(re.escape(value))))]
            if spots:
                words = f"{value} is {setting} of {theirs.environment}{also(spots)}"
                yield Hit(stream.holder, words, file=spots[0].file, file_line=spots[0].line)
