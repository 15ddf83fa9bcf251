"""Policies that compare the files of an environment with those of the others."""

from __future__ import annotations

import re
from collections import defaultdict
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
        valuesInline: {datasources: {default: {type: trino, host: trino.floe-staging.svc.cluster.local}}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
    passes="""
        # overlays/dev/values/cube.yaml
        kind: HelmChartInflationGenerator
        valuesInline: {datasources: {default: {type: trino, host: trino.floe-dev.svc.cluster.local}}}
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
    ours = identity.of(checkout, environment)
    found: dict[str, list[Spot]] = defaultdict(list)
    for spot in _annotations(stream.written, environment):
        found[f"the annotation {ENVIRONMENT} is not {environment}"].append(spot)
    for name in checkout.environments():
        if name != environment:
            theirs = identity.of(checkout, name)
            for what, spot in _named(stream.written, ours, theirs) or _unnamed(stream.written, ours, theirs, checkout):
                found[what].append(spot)
    for what, spots in found.items():
        yield Hit(stream.holder, f"{what}{also(spots)}", file=spots[0].file, file_line=spots[0].line)


def _annotations(written: Written, environment: str) -> Iterator[Spot]:
    for file, content in written.texts.items():
        if ENVIRONMENT in content:
            for place in written.places(file):
                if place.path[-1] == ENVIRONMENT and place.text not in (environment, None):
                    yield Spot(file, place.line)


def _named(written: Written, ours: Identity, theirs: Identity) -> list[tuple[str, Spot]]:
    """(what it is, place) of each value in this environment's files that contains the name of the other one.

    A longer value wins over one that is a part of it, so `trino.floe-dev` is not also reported as `floe-dev`.
    """
    shared = _shared(ours, theirs)
    words = {value.lower(): setting for value, setting in theirs.names.items() if theirs.names_itself(value)}
    patterns = [_WORD.format(re.escape(word)) for word in sorted(words, key=len, reverse=True)]
    patterns.append(_NAMED.format(re.escape(theirs.environment)))
    return [
        (f"{word} is {setting} of {theirs.environment}" if setting else f"{word} is another environment", spot)
        for word, spot in written.lines_with(re.compile("|".join(patterns), re.IGNORECASE))
        if word.lower() not in shared
        for setting in (words.get(word.lower()),)
    ]


def _shared(ours: Identity, theirs: Identity) -> set[str]:
    """The servers and buckets, in lower case, that both have with different places in them."""
    shared: set[str] = set()
    for part, place in ours.places.items():
        other = theirs.places.get(part, ())
        if place != other:
            same = takewhile(lambda pair: pair[0] == pair[1], zip(place, other, strict=False))
            shared |= {value.lower() for (_, value), _ in same}
    return shared


def _unnamed(written: Written, ours: Identity, theirs: Identity, checkout: Checkout) -> Iterator[tuple[str, Spot]]:
    """(what it is, place) of each value that belongs to the other environment and contains no environment's name."""
    order = checkout.settings.promotion

    def rank(name: str) -> tuple[int, str]:
        return (order.index(name) if name in order else -1, name)

    if rank(ours.environment) > rank(theirs.environment):
        return
    file = f"overlays/{ours.environment}/platform.yaml"
    everyone = [Identity(name) for name in checkout.environments()]
    for part, place in ours.places.items():
        values = " ".join(value for _, value in place)
        if theirs.places.get(part) == place and not any(one.names_itself(values) for one in everyone):
            fields = [name for name, value in place if value]
            line = next((one.line for one in written.places(file) if one.path == (part, fields[-1])), 1)
            settings = ", ".join(f"{part}.{name}" for name in fields)
            yield f"{settings} name a place that {theirs.environment} writes to", Spot(file, line)
    for setting, value in ours.own.items():
        if theirs.own.get(setting) == value and not any(one.names_itself(value) for one in everyone):
            for word, spot in written.lines_with(re.compile(_WORD.format(re.escape(value)))):
                yield f"{word} is {setting} of {theirs.environment}", spot
