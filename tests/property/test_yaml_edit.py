"""Edits of YAML files change the requested values and no other byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floe.errors import FloeError
from floe.yaml import documents, edit
from fuzz import inputs

PLACES = ("version", "values.image.tag", "values.list[a].tag", "values.list[b].tag", "values.list[2].deep.tag")
TEXT = """\
# head
version: {}
values: # why
  image:
    name: x
    tag: {}
  list:
    - name: a # one
      tag: {}
    - {{tag: {}, name: b}}
    - deep: {{other: "1.28", tag: {}}}
# end"""
versions = st.from_regex(
    r"v?[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,3}(-[a-z0-9]{1,4})?(@sha256:[0-9a-f]{64})?", fullmatch=True
)
ODD = """1.28 1e3 0777 yes null ~ 12 2027-01-02 ' " {a} a,b !a ä &a *a | > @ `"""
odd = st.sampled_from([*ODD.split(" "), "", "a: b", "a #b", "- a"])
values = versions | odd | st.text(max_size=12)
written = st.tuples(versions | st.sampled_from(["it's", "1.28"]), st.sampled_from("'\" "))


PREFIXES = ("", "&{0} ", "!!str ", "!!str &{0} ", "&{0} !!str ")
"""What may precede a value: an anchor, a tag, or both."""
LIST = """\
# head
resources: &kept [other]
parts: # why
  - first # one

  # about the second
  - second
patches: *kept
"""
FLOW = "resources: [other]\nparts: [first, second] # why\nrest: 1\n"


def quoted(value: str, quote: str) -> str:
    if quote == "'":
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value) if quote == '"' or "'" in value or value == "1.28" else value


def read(text: str) -> dict[str, Any]:
    """The values at the edited places, as kubectl reads them."""
    (document,) = documents(text, "it")
    value = document.value
    first, second, third = value["values"]["list"]
    values = (value["version"], value["values"]["image"]["tag"], first["tag"], second["tag"], third["deep"]["tag"])
    assert (first["name"], second["name"], third["deep"]["other"]) == ("a", "b", "1.28")
    return dict(zip(PLACES, values, strict=True))


@settings(max_examples=inputs(200), deadline=None)
@given(st.tuples(*[written] * len(PLACES)), st.dictionaries(st.sampled_from(PLACES), values))
def test_only_the_requested_values_change(old: tuple[tuple[str, str], ...], new: dict[str, str]) -> None:
    parts = [quoted(value, quote) for value, quote in old]
    text = TEXT.format(*parts)
    edited = edit.replace(text, new, "it")
    before = dict(zip(PLACES, (value for value, _ in old), strict=True))
    if all(value.isprintable() for value in new.values()):
        assert read(edited) == before | new
    rest = edited
    for piece in TEXT.replace("{{", "{").replace("}}", "}").split("{}"):
        assert piece in rest, "another byte was changed"
        rest = rest[rest.index(piece) + len(piece) :]
    assert edit.replace(text, before, "it") == text


five = st.tuples(*[written] * len(PLACES))
five_prefixes = st.tuples(*[st.sampled_from(PREFIXES)] * len(PLACES))


@settings(max_examples=inputs(30), deadline=None)
@given(five, five_prefixes, st.dictionaries(st.sampled_from(PLACES), versions))
def test_anchors_tags_and_line_ends_stay(
    old: tuple[tuple[str, str], ...], prefixes: tuple[str, ...], new: dict[str, str]
) -> None:
    befores = [prefix.format(f"a{number}") for number, prefix in enumerate(prefixes)]
    parts = [before + quoted(value, quote) for before, (value, quote) in zip(befores, old, strict=True)]
    text = TEXT.replace("\n", "\r\n").format(*parts)
    before = dict(zip(PLACES, (value for value, _ in old), strict=True))
    edited = edit.replace(text, new, "it")
    assert edited.count("\n") == edited.count("\r\n") == TEXT.count("\n")
    assert all(one in edited for one in befores)
    assert read(edited) == before | new
    assert edit.replace(edited, before, "it") == text


def test_an_alias_is_replaced_only_if_its_anchor_has_another_value() -> None:
    text = "a: &tag 1.0.0 # why\r\nb: *tag\r\nc: *tag\r\nd: &empty\r\n"
    assert edit.replace(text, {"b": "2.0.0"}, "it") == text.replace("b: *tag", "b: 2.0.0")
    assert edit.replace(text, {"a": "2.0.0", "b": "2.0.0"}, "it") == text.replace("1.0.0", "2.0.0")
    assert edit.replace(text, {"d": "x"}, "it") == text.replace("&empty", "&empty x")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("after", ["first", "second", None])
@pytest.mark.parametrize("text", [LIST, FLOW, LIST.removesuffix("\npatches: *kept\n")], ids=["block", "flow", "end"])
def test_an_item_is_added_and_removed_again(text: str, after: str | None, newline: str) -> None:
    text = text.replace("\n", newline)
    added = edit.with_item(text, "parts", "third: 3", after, "it")
    items = ["first", "second"]
    items.insert(items.index(after or "second") + 1, "third: 3")
    (document,) = documents(added, "it")
    assert document.value["parts"] == items
    assert edit.without_item(added, "parts", "third: 3", "it") == text
    assert edit.without_item(text, "parts", "third: 3", "it") == text


def test_a_list_without_the_item_is_reported() -> None:
    for place, after in (("parts", "absent"), ("absent", None), ("resources.absent", None)):
        with pytest.raises(FloeError, match=rf"it has no list {place}"):
            edit.with_item(LIST, place, "third", after, "it")


BEFORE, AFTER = "# head\na: {b: 1} # one\n", "\n# about the rest\nrest: 1 # end\n"
REMOVED = {
    "apps:\n  x: {c: 1} # why\n  y: 2\n": "apps:\n  y: 2\n",
    "apps:\n  y: 2\n  x:\n    # inside\n    c:\n      - 1\n": "apps:\n  y: 2\n",
    "apps:\n  x:\n    c: 1\n": "",
    "apps: {x: {c: 1}} # why\n": "",
    "apps: {x: {c: 1}, y: 2} # why\n": "apps: {y: 2} # why\n",
    "apps: {y: 2, 'x': {c: 1}}\n": "apps: {y: 2}\n",
    "apps:\n  y: 2\n  x:\n": "apps:\n  y: 2\n",
    "apps: {y: 2}\n": "apps: {y: 2}\n",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("after", [AFTER, ""])
@pytest.mark.parametrize("part", REMOVED)
def test_a_key_is_removed_with_what_it_leaves_empty(part: str, after: str, newline: str) -> None:
    text, wanted = (f"{BEFORE}{one}{after}".replace("\n", newline) for one in (part, REMOVED[part]))
    assert edit.without_key(text, "apps.x", "it") == wanted


@pytest.mark.parametrize("text", ["apps: {x: &one {c: 1}}\nrest: *one\n", "a: &one {c: 1}\napps: {y: 2, x: *one}\n"])
def test_a_key_that_cannot_be_removed_alone_is_reported(text: str) -> None:
    with pytest.raises(FloeError, match=r"it has apps\.x where it cannot be removed alone"):
        edit.without_key(text, "apps.x", "it")


@pytest.mark.parametrize(
    "place", ["values", "values.image", "values.image.tags", "values.list[c].tag", "values.list[0].tag"]
)
def test_a_missing_place_is_reported(place: str) -> None:
    with pytest.raises(FloeError, match=r"^it has no "):
        edit.replace(TEXT.format(*["1"] * len(PLACES)), {place: "2"}, "it")


def test_invalid_yaml_is_reported() -> None:
    with pytest.raises(FloeError, match="it is not YAML"):
        edit.replace("a: [", {"a": "1"}, "it")
