"""Compares the verdicts of floe-validate with those of a real API server, on objects with random mistakes.

hypothesis changes objects that the server accepts: rendered ones, and those of samples/, which have more kinds. Both
sides judge the same YAML. If the server answers with 400 or 404, its decoder or strict field validation refused the
object: that is the verdict on the schema. If it answers with 422, it refused a value. floe-validate checks only some of
the values, so there are two separate figures. FLOE_TRUTH=20000 tests that many objects, and other ones in each run.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from apiserver.client import ApiServer, Verdict
from apiserver.mutations import dump, mutated, request
from floe import render, repo
from floe.errors import FloeError
from floe.kubernetes.objects import objects
from floe.kubernetes.releases import RELEASE
from floe.validate.policies import api, kinds
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.yaml import documents, load_file

ASKED_FOR = os.environ.get("FLOE_TRUTH")
OBJECTS = int(ASKED_FOR or 2500)
LEAST = 0.995
SCHEMAS = Schemas()
POLICIES = (kinds.schema, kinds.unknown_kind, kinds.removed, api.bad_name, api.bad_value)

STRICTER = {
    "must be set": "the published schema requires the field, but Go cannot tell a missing value from an empty one",
    "must be a string": "Go reads a list of numbers as bytes",
    "appears twice": "kubectl drops the first of two equal keys before the server sees it",
    "a key must be a string": "kubectl rewrites such a key",
}
"""Why floe-validate refuses objects that the server accepts, by a part of the message."""


def ours(body: bytes) -> list[str]:
    """The messages of floe-validate --strict-kinds for an object."""
    try:
        stream = Stream(list(objects(documents(body, "x"), "x")))
    except FloeError as error:
        return [error.message]
    return [hit.message for policy in POLICIES for hit in policy.check(stream, SCHEMAS)]


@pytest.fixture(scope="module")
def seeds(defined: ApiServer) -> list[dict[str, Any]]:
    """Objects that both the server and floe-validate accept."""
    assert defined.version().startswith(f"v{RELEASE}.")
    samples = [load_file(file) for file in sorted((Path(__file__).parent / "samples").glob("*.yaml"))]
    for environment in repo.current().environments():
        stream = objects(documents(render.render(repo.current(), environment), environment), environment)
        samples += [one.value for one in stream if one.kind != "Namespace"]
    for one, verdict in zip(samples, defined.dry_run(samples), strict=True):
        assert verdict.accepted, (one["kind"], one["metadata"], verdict)
        assert not ours(dump(one).encode()), (one["kind"], one["metadata"])
    return samples


def outcome(verdict: Verdict) -> str | None:
    """The verdict as `accepted`, `schema` or `values`; None if the server did not check the object itself."""
    if verdict.accepted:
        return "accepted"
    if verdict.status == 422:
        return "values"
    absent = verdict.status == 404 and verdict.reason == "NotFound"  # the namespace
    return None if absent or verdict.status in (403, 409) else "schema"


def test_floe_validate_agrees_with_the_server(
    api_server: ApiServer, seeds: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    trees: list[tuple[str, Any]] = []

    @settings(
        max_examples=OBJECTS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(int.from_bytes(os.urandom(4)) if ASKED_FOR else 20250131)
    @given(mutated(seeds))
    def mutate(example: tuple[str, Any]) -> None:
        trees.append(example)

    mutate()
    verdicts = api_server.dry_run([request(tree) for _, tree in trees], create_namespaces=False)
    counts: Counter[tuple[str, bool]] = Counter()
    lax, strict, unexplained = [], [], []
    for (done, tree), verdict in zip(trees, verdicts, strict=True):
        truth = outcome(verdict)
        if truth is None:
            continue
        body = dump(tree).encode()
        errors = ours(body)
        counts[truth, not errors] += 1
        answer = f"server {verdict.status} {verdict.message[:200]!r}"
        line = f"{tree.get('kind')}: {done}: {answer}, floe-validate {errors[:2]}"
        if truth == "schema" and not errors:
            lax.append(line)
        elif truth == "values" and not errors:
            strict.append(line)
        elif truth == "accepted" and errors and not explained(done, errors[0]):
            unexplained.append(line)
    schema = {key: count for key, count in counts.items() if key[0] != "values"}
    by_schema, overall = agreement(schema), agreement(counts)
    with capsys.disabled():
        print(f"\nschema verdict: {by_schema[0]} of {by_schema[1]} agree, {by_schema[0] / by_schema[1]:.2%}")
        print(f"with the server's verdict on values: {overall[0]} of {overall[1]}, {overall[0] / overall[1]:.2%}")
        for (truth, accepts), count in sorted(counts.items()):
            print(f"  server: {truth:<9} floe-validate: {'accepted' if accepts else 'refused':<9} {count:>6}")
        for title, lines in (("unexplained", unexplained), ("accepted, refused by schema", lax), ("values", strict)):
            print("".join(f"  {title}: {line}\n" for line in lines[: None if ASKED_FOR else 5]), end="")
    assert not lax
    assert not unexplained
    assert by_schema[0] >= LEAST * by_schema[1]
    assert by_schema[1] >= min(OBJECTS, 2500) * 0.8


def explained(done: str, message: str) -> bool:
    if "must be a string" in message:
        return "data" in done.lower()
    return any(part in message for part in STRICTER)


def agreement(counts: dict[tuple[str, bool], int]) -> tuple[int, int]:
    """(number of objects with the same verdict on both sides, number of all objects)."""
    agreed = sum(count for (truth, accepts), count in counts.items() if (truth == "accepted") == accepts)
    return agreed, sum(counts.values())
