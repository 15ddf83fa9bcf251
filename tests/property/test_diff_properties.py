"""floe diff on random sets of objects: it reports all differences and no others, in both directions."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from floe.diff import formats
from floe.diff.changes import Comparison, ObjectChange, Report
from floe.diff.compare import compare
from floe.kubernetes.objects import Object
from fuzz import inputs

MIRRORED = {"added": "removed", "removed": "added", "changed": "changed", "reordered": "reordered"}
SECRET = secrets.token_hex(16)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(0, 2)
    | st.sampled_from(["", "a", "b\nc\n", "1", "\x1b[2J\r\nx", "````\n"])
)
keys = st.sampled_from(["name", "a", "b.c", "args", "data", "value", "password"])
trees = st.recursive(
    scalars, lambda node: st.lists(node, max_size=4) | st.dictionaries(keys, node, max_size=4), max_leaves=12
)
names = st.sampled_from(["x", "y", "x-2456789bcd", "x-fghkmt2222", "x-production"])


@st.composite
def sets(draw: st.DrawFn) -> list[Object]:
    """Objects of a few kinds and names, so that two sets have some in common. A set may contain an identity twice."""
    return [
        Object(
            "",
            1,
            1,
            {
                "apiVersion": draw(st.sampled_from(["v1", "apps/v1", "apps/v1beta1"])),
                "kind": draw(st.sampled_from(["ConfigMap", "Secret", "Deployment"])),
                "metadata": {"name": draw(names)},
                "data": draw(trees),
                "spec": draw(trees),
            },
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


def report(changes: Sequence[ObjectChange]) -> Report:
    one = Comparison(
        environment="e", base="HEAD", commit="0" * 40, changed=0, added=0, removed=0, objects=tuple(changes)
    )
    return Report(uncommitted=False, environments=(one,))


@settings(max_examples=inputs(200), deadline=None)
@given(sets())
def test_a_set_of_objects_does_not_differ_from_itself(objects: list[Object]) -> None:
    copies = [Object("", 2, 7, json.loads(json.dumps(item.value))) for item in objects]
    assert compare(objects, copies) == []


@settings(max_examples=inputs(300), deadline=None)
@given(sets(), sets())
def test_both_directions_report_the_same_changes(base: list[Object], head: list[Object]) -> None:
    forward, backward = compare(base, head), compare(head, base)
    assert sorted((change.renamed_from or change.name, MIRRORED[change.change]) for change in forward) == sorted(
        (change.name, change.change) for change in backward
    )
    assert sum(len(change.fields) == 0 for change in forward) == sum(len(change.fields) == 0 for change in backward)


@settings(max_examples=inputs(300), deadline=None)
@given(trees, trees)
def test_changed_paths_are_those_whose_values_differ(old: Any, new: Any) -> None:
    def objects(spec: Any) -> list[Object]:
        return [Object("", 1, 1, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})]

    changes = compare(objects(old), objects(new))
    assert bool(changes) is (json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True))
    for change in changes:
        assert change.fields
        for field in change.fields:
            assert field.path.startswith("spec")
            assert json.dumps(field.old) != json.dumps(field.new) or field.change in ("added", "removed")


@settings(max_examples=inputs(300), deadline=None)
@given(st.data(), sets(), sets())
def test_a_secret_is_never_shown_and_its_change_always_reported(
    data: st.DataObject, base: list[Object], head: list[Object]
) -> None:
    """The secret is in the data of a Secret or in a field named password, on one side or on both."""
    values = [f"{SECRET}{number}" for number in range(3)]
    for side in (base, head):
        for item in side:
            value = data.draw(st.sampled_from(values))
            if item.kind == "Secret":
                item.value["data"] = data.draw(st.sampled_from([value, {"a": value}, {"a": [value, {"b": value}]}]))
            item.value["spec"] = {"password": value, "tree": item.value["spec"]}
    changes = compare(base, head)
    outcome = report(changes)
    for shown in (outcome.model_dump_json(), formats.markdown(outcome), "\n".join(_text(changes))):
        assert SECRET not in shown
    again = compare(head, base)
    assert {change.name for change in again if change.change == "changed"} == {
        change.renamed_from or change.name for change in changes if change.change == "changed"
    }


def _text(changes: Sequence[ObjectChange]) -> list[str]:
    return [line for change in changes for _, line in formats._lines(change, inline=True)]


@settings(max_examples=inputs(200), deadline=None)
@given(sets(), sets(), st.integers(500, 3000))
def test_a_comment_is_never_longer_than_its_limit(base: list[Object], head: list[Object], limit: int) -> None:
    assert len(formats.markdown(report(compare(base, head)), limit)) <= limit


@settings(max_examples=inputs(200), deadline=None)
@given(sets(), sets())
def test_output_contains_no_control_characters(base: list[Object], head: list[Object]) -> None:
    for line in _text(compare(base, head)):
        assert line.replace("\t", "").isprintable()
