"""The policy on values that the repository came with and that a fork must replace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from floe.kubernetes.objects import Object, texts
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.validate.written import also

_PLACEHOLDER = re.compile(
    r"(?<![\w-])(?:example\.(?:com|org|net)(?=-tls|(?![\w-]))|(?:change-?me|123456789012|0{12})(?![\w-]))"
    r"|<(?:owner|domain|account(?:[-_ ]id)?|your[-_ ][a-z_ -]+)>",
    re.IGNORECASE,
)
"""Domains that RFC 2606 reserves for examples, words that ask for a value, and account ids of examples."""


@Policy(
    code="FLOE030",
    stage=Stage.REPOSITORY,
    severity="warning",
    title="A placeholder is still there",
    why="A domain such as example.com, a word such as CHANGEME, and an account such as 123456789012 stand for "
    "a value that only you know, so nobody reaches the host or the account. The environments that get promotions are "
    "searched, which are all in the promotion order except for the first; the first may be without public hosts. It is "
    "a warning, because the repository is published with placeholders; with `--strict` it fails a run.",
    remedy="Replace the value in the lines that the finding names with your own. With `--domain DOMAIN`, `floe fork` "
    "replaces the domain in hosts, addresses and certificate names. It keeps the `issuer` and `emailDomains` in "
    "`objects/environment.yaml`, since a login may have another domain: set these by hand.",
    fails="""
        # overlays/staging/values/extra.yaml
        owner: CHANGEME
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-staging, annotations: {floe-runtime.io/environment: staging, owner: CHANGEME}}
    """,
    passes="""
        # overlays/dev/values/extra.yaml
        owner: CHANGEME
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev, owner: CHANGEME}}
    """,
)
def placeholder(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Search the objects, and find the lines in the environment's files; each placeholder is one finding.

    Raises LeftOut if there is no platform.yaml for the environment.
    """
    overlay = stream.overlay()
    order = overlay.checkout.settings.promotion
    if overlay.environment not in (order[1:] or order):
        return
    found: dict[str, Object] = {}
    for item in stream.objects:
        for value in texts(item.value):
            for match in _PLACEHOLDER.finditer(value):
                found.setdefault(match[0], item)
    for word, item in found.items():
        spots = [spot for other, spot in stream.written.lines_with(_PLACEHOLDER) if other == word]
        words = f"{word} is a placeholder{also(spots)}"
        if spots:
            yield Hit(stream.holder, words, file=spots[0].file, file_line=spots[0].line)
        else:
            yield Hit(item, words)
