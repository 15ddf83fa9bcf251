"""For any input, `validate` quickly returns a report or raises FloeError, and shows no value of a Secret."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floe import repo
from floe.errors import FloeError
from floe.validate.schema import Schemas
from floe.validate.validation import Report, validate
from fuzz import inputs

PLANTED = "correct-horse-battery-staple-7"
STREAM = f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {{note: "a: b"}}
spec:
  selector: {{matchLabels: &labels {{app: web}}}}
  template:
    metadata: {{labels: *labels}}
    spec:
      serviceAccountName: web
      imagePullSecrets: [{{name: registry}}]
      initContainers:
      - {{name: wait, image: "busybox@sha256:{"0" * 64}", command: [sh, -c, "sleep 1"]}}
      containers:
      - name: web
        image: registry.example.com:5000/web:1.2.3
        args: ["--password", {PLANTED}]
        env:
        - {{name: DB_PASSWORD, value: {PLANTED}}}
        - {{name: A, valueFrom: {{secretKeyRef: {{name: web, key: a, optional: true}}}}}}
        resources: {{requests: {{cpu: 10m, memory: 16Mi}}, limits: {{memory: 32Mi}}}}
      volumes:
      - {{name: v, projected: {{sources: [{{configMap: {{name: web}}}}]}}}}
---
apiVersion: v1
kind: List
items:
- {{apiVersion: v1, kind: ServiceAccount, metadata: {{name: web}}}}
- apiVersion: v1
  kind: ConfigMap
  metadata: {{name: web}}
  data:
    app.ini: |
      password = {PLANTED}
---
apiVersion: v1
kind: Secret
metadata: {{name: web, namespace: shop}}
stringData: {{password: {PLANTED}}}
"""
SCHEMAS = Schemas()
WORDS = (
    *(
        "apiVersion: ",
        "kind: ",
        "metadata: ",
        "name: ",
        "null",
        "~",
        "yes",
        "0x",
        "1e999",
        "[",
        "]",
        "{",
        "}",
        "- ",
        ": ",
        "? ",
    ),
    *(
        "&a ",
        "*a",
        "*labels",
        "<<: ",
        "!!int ",
        "!!binary ",
        "! ",
        "'",
        '"',
        "|\n",
        ">-\n",
        "\n",
        "\n---\n",
        "\n...\n",
        "#",
        "\t",
        "\r\n",
    ),
    *(
        "%YAML 1.1\n",
        "\\",
        "\0",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "\U0001f600",
        "items",
        "spec",
        "containers",
        "env",
        "Secret",
        "List",
    ),
)
edits = st.lists(
    st.tuples(st.integers(0, len(STREAM)), st.integers(0, 12), st.sampled_from(WORDS) | st.text(max_size=4)),
    min_size=1,
    max_size=6,
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(
    scalars,
    lambda node: st.lists(node, max_size=4) | st.dictionaries(st.text(max_size=6), node, max_size=4),
    max_leaves=8,
)


def attempt(content: bytes) -> Report | FloeError:
    """The report, or the FloeError. Any other exception fails the test."""
    try:
        return validate(content, "x", SCHEMAS, checkout=repo.current())
    except FloeError as error:
        return error


def edited(pieces: Sequence[tuple[int, int, str]]) -> str:
    text = STREAM
    for place, length, word in pieces:
        text = text[:place] + word + text[place + length :]
    return text


def paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(deeper for key, value in below for deeper in paths(value, (*path, key)))]


@settings(max_examples=inputs(300), deadline=None)
@given(edits)
def test_edited_text(pieces: list[tuple[int, int, str]]) -> None:
    attempt(edited(pieces).encode(errors="replace"))


@settings(max_examples=inputs(200), deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(STREAM)), st.binary(max_size=4)), min_size=1, max_size=5))
def test_edited_bytes(pieces: list[tuple[int, bytes]]) -> None:
    content = STREAM.encode()
    for place, piece in pieces:
        content = content[:place] + piece + content[place + len(piece) :]
    attempt(content)


@settings(max_examples=inputs(100), deadline=None)
@given(st.binary(max_size=300) | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_random_values(content: bytes) -> None:
    attempt(content)


@settings(max_examples=inputs(300), deadline=None)
@given(st.data(), trees)
def test_each_node_replaced_by_other_values(data: st.DataObject, tree: Any) -> None:
    """Policies also run on objects that do not match their schema, so they must not rely on the types of fields."""
    documents = [document for document in _documents() if document]
    document = data.draw(st.sampled_from(documents))
    path = data.draw(st.sampled_from([path for path in paths(document) if path]))
    *above, last = path
    parent = document
    for step in above:
        parent = parent[step]
    parent[last] = tree
    attempt("\n---\n".join(json.dumps(document) for document in documents).replace("NaN", "1").encode())


def _documents() -> list[Any]:
    from floe.yaml import documents

    return [json.loads(json.dumps(document.value)) for document in documents(STREAM, "x")]


# Use the same edits in every run, because a random one may turn the value into a key or a name, which is shown.
@settings(max_examples=inputs(500), deadline=None)
@given(edits)
def test_no_output_shows_a_planted_value(pieces: list[tuple[int, int, str]]) -> None:
    outcome = attempt(edited(pieces).encode(errors="replace"))
    shown = repr(outcome.findings) if isinstance(outcome, Report) else f"{outcome.message} {outcome.hint}"
    assert PLANTED not in shown


def test_the_unchanged_stream_has_the_expected_findings() -> None:
    outcome = attempt(STREAM.encode())
    assert isinstance(outcome, Report)
    assert outcome.objects == 4
    findings = [(finding.code, finding.object) for finding in outcome.findings]
    assert findings == [
        *[("FLOE011", "Deployment web")] * 2,
        ("FLOE012", "Deployment web"),
        ("FLOE013", "Deployment web"),
        ("FLOE014", "Deployment web"),
        *[("FLOE015", "Deployment web")] * 8,  # four for each container
        ("FLOE011", "ConfigMap web"),
        ("FLOE011", "Secret shop/web"),
    ]


@pytest.mark.parametrize("nested", ["[" * 10_000, "- " * 10_000, "{a: " * 10_000, '{"a":' * 10_000])
def test_deep_nesting(nested: str) -> None:
    for content in (nested, f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {nested}"):
        assert isinstance(attempt(content.encode()), FloeError)


@pytest.mark.parametrize("depth", [100, 190])
def test_validation_handles_the_deepest_nesting_that_yaml_allows(depth: int) -> None:
    """Schemas with recursive types, policies and nested lists can handle the depth that the YAML loader allows."""
    schema = '{"not": ' * depth + "{}" + "}" * depth
    crd = f"""{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{name: x}}, spec: {{
      group: g, scope: Namespaced, names: {{kind: X, plural: xs}},
      versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {schema}}}}}]}}}}"""
    env = "[" * depth + "]" * depth
    pod = f"{{apiVersion: v1, kind: Pod, metadata: {{name: x}}, spec: {{containers: [{{name: a, env: {env}}}]}}}}"
    lists = '{"apiVersion": "v1", "kind": "List", "items": [' * (depth // 2) + "]}" * (depth // 2)
    for content in (crd, pod, lists + "\n---\n" + pod):
        outcome = attempt(content.encode())
        assert isinstance(outcome, Report) or "nested" in outcome.message


def test_alias_bomb() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    start = time.perf_counter()
    outcome = attempt("\n".join(lines).encode())
    assert isinstance(outcome, FloeError)
    assert "aliases" in outcome.message
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", ["&a [*a]", "&a {b: *a}", "kind: List\nitems: &a [*a]", "&a {<<: *a}"])
def test_values_that_contain_themselves(text: str) -> None:
    outcome = attempt(text.encode())
    assert isinstance(outcome, FloeError)
    assert "contains itself" in outcome.message


@pytest.mark.parametrize(
    "document",
    ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\n", "a: 1\n", "x\n", "[]\n"],
    ids=["objects", "mappings", "scalars", "lists"],
)
def test_many_tiny_documents(document: str) -> None:
    count = 100_000 if "kind" in document else 20_000
    content = "---\n".join(document.replace("%d", str(number)) for number in range(count))
    start = time.perf_counter()
    outcome = attempt(content.encode())
    assert isinstance(outcome, Report)
    assert outcome.objects == count
    assert time.perf_counter() - start < 60


@pytest.mark.parametrize(
    "value",
    ["a-" * 500_000, "a=" * 500_000, "://" * 300_000, "eyJ" * 300_000, "-eyJ" * 200_000, "a: " * 300_000, "{" * 500_000,
     "password=" * 100_000, "x" * 1_000_000, " " * 1_000_000, 'a="' * 300_000, "a://" * 200_000, "a:\n" * 300_000],
)  # fmt: skip
def test_long_values_are_checked_quickly(value: str) -> None:
    """The regular expressions for credentials must not backtrack."""
    content = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": value}})
    start = time.perf_counter()
    attempt(content.encode())
    assert time.perf_counter() - start < 10
