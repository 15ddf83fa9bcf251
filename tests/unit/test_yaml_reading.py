"""The YAML loader: scalars as in go-yaml, positions, and invalid input."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe.errors import FloeError
from floe.yaml import YamlError, documents, full, load_file

# Each text and its value as JSON. The values were created by YAMLToJSON of sigs.k8s.io/yaml v1.6.0, which kubectl 1.37
# uses, from the document `a: <text>`. "error" means that it refuses the text.
SCALARS = r"""
y  true|Yes  true|yES  "yES"|on  true|oN  "oN"|OFF  false|n  false|No  false|TRUE  true|tRUE  "tRUE"|~  null
null  null|Null  null|nULL  "nULL"|0  0|-0  0|+0  0|00  0|07  7|0777  511|-0777  -511|08  8|0789  789|0o17  15
0O17  15|0o18  "0o18"|-0o7  -7|+0o7  7|0x1F  31|0X1f  31|0x  "0x"|0xg  "0xg"|-0xF  -15|0b101  5|0B1  1|0b2  "0b2"
-0b11  -3|0b-1  -1|0b+1  1|0B-1  "0B-1"|-0b-1  "-0b-1"|1_000  1000|1__0  10|1_  1|_1  "_1"|+_1  1|0_  0|0x_1  1|0_7  7
1_0.5  10.5|.5_0  0.5|.5_  ".5_"|._5  "._5"|-.5_  -0.5|1:30  "1:30"|1:30:00  "1:30:00"|190:20:30.15  "190:20:30.15"
1.0  1|1.  1|.5  0.5|-.5  -0.5|+.5  0.5|.  "."|+  "+"|--  "--"|1e3  1000|1E3  1000|1e+3  1000|1e-3  0.001|.5e1  5
1e  "1e"|e3  "e3"|1.e3  1000|1e3.5  "1e3.5"|1_0e1_0  100000000000|.e1  ".e1"|1e400  "1e400"|-1e400  "-1e400"|1e-400  0
1.2.3  "1.2.3"|1.10  1.1|0.10  0.1|00.5  0.5|-00.5  -0.5|089.5  89.5|9223372036854775807  9223372036854775807
9223372036854775808  9223372036854775808|-9223372036854775808  -9223372036854775808
18446744073709551615  18446744073709551615|18446744073709551616  18446744073709552000
-9223372036854775809  -9223372036854776000|+9223372036854775808  9223372036854776000
0xFFFFFFFFFFFFFFFF  18446744073709551615|0x10000000000000000  "0x10000000000000000"
07777777777777777777777  7.777777777777777e+21|.inf  error|-.INF  error|+.Inf  error|.nan  error|.NaN  error
-.nan  "-.nan"|.iNF  ".iNF"|inf  "inf"|NaN  "NaN"|Infinity  "Infinity"|2001-01-01  "2001-01-01"
2001-1-1T1:1:1Z  "2001-1-1T1:1:1Z"|2001-12-14 21:59:43.10 -5  "2001-12-14 21:59:43.10 -5"|12e03  12000|1d  "1d"
0.1.1  "0.1.1"|=  "="|<<  "<<"|1k  "1k"|500m  "500m"|0x1p-2  "0x1p-2"|1,000  "1,000"
""".strip()
TABLE = [tuple(entry.split("  ")) for line in SCALARS.splitlines() for entry in line.split("|")]


def load(text: str | bytes) -> Any:
    (document,) = documents(text, "x")
    return document.value


def problem(text: str | bytes) -> YamlError:
    with pytest.raises(YamlError) as caught:
        list(documents(text, "x.yaml"))
    return caught.value


def same(ours: Any, expected: Any) -> bool:
    """Whether two values are equal in JSON, where 1 and 1.0 are equal, but 1 and true are not."""
    if isinstance(ours, float) and isinstance(expected, int) and not isinstance(expected, bool):
        return ours == float(expected)
    return (isinstance(ours, bool), ours) == (isinstance(expected, bool), expected)


@pytest.mark.parametrize(("text", "json_text"), TABLE, ids=[text for text, _ in TABLE])
def test_scalars_have_the_same_values_as_in_kubectl(text: str, json_text: str) -> None:
    if json_text == "error":
        assert "JSON cannot represent" in problem(f"a: {text}").message
    else:
        assert same(load(f"a: {text}")["a"], json.loads(json_text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'yes'", "yes"),
        ('"0777"', "0777"),
        ("|\n 12", "12"),
        (">-\n  yes", "yes"),
        ("", None),
        ("''", ""),
        ("! 12", "12"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("!!float 1", 1.0),
        ("!!bool 'yes'", True),
        ("!!null ''", None),
        ("!!binary |\n  aGV\n  sbG8=", "hello"),
        ("1\uff12", "1\uff12"),
        ("!!binary /w==", "\ufffd"),
        ("!custom 12", "12"),
        ("!!timestamp 2001-01-01", "2001-01-01"),
        ("!custom {b: 1}", {"b": 1}),
        ("!!set {b: }", {"b": None}),
        ("!!python/tuple [1]", [1]),
        ("&x 1", 1),
    ],
)
def test_quotes_and_tags(text: str, value: Any) -> None:
    loaded = load(f"a: {text}")["a"]
    assert same(loaded, value)
    assert type(loaded) is type(value)


@pytest.mark.parametrize(
    "text", ["!!int x", "!!int 1.5", "!!bool 1", "!!null x", "!!float x", "!!binary '*'", "!!int ''"]
)
def test_a_tag_that_does_not_match_its_value_is_refused(text: str) -> None:
    assert problem(f"a: 1\nb: {text}").line == 2


def test_keys_are_converted_to_strings() -> None:
    loaded = load("yes: 1\n0x10: 2\n'on': 3\n007: 4\n? a\n: 5\n-1: 6")
    assert loaded == {"true": 1, "16": 2, "on": 3, "7": 4, "a": 5, "-1": 6}


@pytest.mark.parametrize("key", ["~", "null", "1.10", "1e3", "[a]", "{a: b}", "? [a]\n", "? {a: b}\n", ".inf"])
def test_other_keys_are_refused(key: str) -> None:
    assert problem(f"a: 1\n{key}: 1").line in (2, 3)


@pytest.mark.parametrize(
    "text", ["a: 1\nb: 2\na: 3", "x:\n  a: 1\n  a: 2", "{a: 1,\n\n a: 1}", "yes: 1\n\ntrue: 2", "1: 1\n\n'1': 2"]
)
def test_duplicate_keys_are_refused(text: str) -> None:
    error = problem(text)
    assert "appears twice" in error.message
    assert error.line == 3


def test_merge_keys() -> None:
    text = "a: &a {x: 1, w: 1}\nb: &b {x: 2, z: 2}\n"
    assert load(text + "c: {<<: *a, x: 3}")["c"] == {"x": 3, "w": 1}
    assert load(text + "c: {<<: [*a, *b], q: 0}")["c"] == {"x": 1, "w": 1, "z": 2, "q": 0}
    assert load(text + "c: {<<: {<<: *a, z: 9}, x: 3}")["c"] == {"x": 3, "w": 1, "z": 9}
    assert load("{'<<': 1}") == {"<<": 1}
    assert load("[<<]") == ["<<"]
    assert load(text + "c: {<<: *a, x: 3}")["a"] == {"x": 1, "w": 1}, "a merge must not change its source"
    # If go-yaml and the specification differ, the loader refuses the document.
    assert "appears before a <<" in problem(text + "c: {x: 3, <<: *a}").message
    assert "appears twice" in problem(text + "c: {<<: *a, x: 3, x: 4}").message
    assert "appears twice" in problem("c: {<<: {<<: {x: 1}}, d: {x: 1, x: 2}}").message
    assert "<< takes" in problem("c: {<<: 1}").message
    assert "<< takes" in problem("c: {<<: [1]}").message


def test_aliases() -> None:
    assert load("a: &a [1, {b: 2}]\nc: *a") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}
    assert load("[&a 1, &a 2, *a]") == [1, 2, 2]
    assert load("- &k key\n- {*k : 1}") == ["key", {"key": 1}]
    assert [document.value for document in documents("&a 1\n---\n&a 2\n", "x")] == [1, 2]
    for text in ("&a [*a]", "a: &a\n  b: *a", "&a {<<: *a}", "&a {b: &b {c: [*a]}}"):
        assert "contains itself" in problem(text).message
    missing = problem("a: &x 1\n---\na: *x")
    assert "no such anchor" in missing.message
    assert (missing.document, missing.line) == (2, 3)
    assert "hunter2" not in problem("password: *hunter2").message


def laughs(levels: int, width: int = 9) -> str:
    lines = [f"a0: &a0 [{', '.join(['lol'] * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_alias_bombs_are_refused_at_once() -> None:
    start = time.perf_counter()
    for text in (laughs(30), laughs(400, 2), laughs(3, 200), "a: &a {x: 1}\nb: [" + "*a, " * 500_000 + "]"):
        assert "aliases expand to too many" in problem(text).message
    assert time.perf_counter() - start < 5
    # The limits of go-yaml: in a document of usual size, 99 of 100 nodes may come from aliases.
    assert load(laughs(3))
    assert load("a: &a [1, 2, 3]\nb: [" + "*a, " * 20_000 + "]")


@pytest.mark.parametrize(
    "text",
    ["[" * 10_000, "{a: " * 10_000, "- " * 10_000, "? " * 10_000, "\n".join(" " * n + "a:" for n in range(10_000))],
    ids=["list", "mapping", "dashes", "questions", "block"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    start = time.perf_counter()
    assert problem(text)
    assert time.perf_counter() - start < 5


def test_the_limit_of_nesting() -> None:
    assert load("[" * 200 + "]" * 200)
    assert "nested more than 200 levels" in problem("[" * 201 + "]" * 201).message


def test_positions() -> None:
    text = "# comment\n---\n\n# more\na: 1\n---\n---\n# only a comment\n---\n- 1\n"
    positions = [(document.number, document.line, document.value) for document in documents(text, "x")]
    assert positions == [(1, 5, {"a": 1}), (4, 10, [1])]


@pytest.mark.parametrize("text", ["", "\n", "---", "---\n---\n", "# x", "--- ~\n", "null\n", "\ufeff"])
def test_empty_documents_are_left_out(text: str) -> None:
    assert not list(documents(text, "x"))


@pytest.mark.parametrize(
    ("text", "document", "line", "words"),
    [
        ("a: 1\n---\nb: 2\n---\nc:\n\td: 1", 3, 6, "cannot start any token"),
        ("a: 1\n---\nb: 'x", 2, 3, "unexpected end of stream"),
        ("a: [1\nb: 2", 1, 2, "expected ',' or ']'"),
        ("a: 1\n---\n---\n---\nb: {{ .Values.x }}\n", 4, 5, "a key must be a string"),
        ("a: 1\n b: 2", 1, 2, "mapping values are not allowed"),
        ("a: @x", 1, 1, "cannot start any token"),
        ("%YAML 9.0\n---\na: 1", 1, 1, "incompatible"),
        (b"a: 1\n---\nb: 2\nc: \xff", 2, 4, "not UTF-8"),
        (b"a: 1\n---\nb: \x00", 2, 3, "U+0000"),
        (b"---\na: 1\n---\nb: \x1b[31m", 2, 4, "U+001B"),
        (b"\n---\na: \x00", 1, 3, "U+0000"),
        ("a: 1".encode("utf-16"), 1, 1, "not UTF-8"),
        (bytes(range(256)), 1, 2, "not UTF-8"),
        ("a: 1\n\ufeffb: 1", 1, 2, ""),
        ("a: b: c", 1, 1, "mapping values are not allowed"),
    ],
)
def test_syntax_errors_have_a_position(text: str | bytes, document: int, line: int, words: str) -> None:
    error = problem(text)
    assert (error.document, error.line) == (document, line)
    assert error.message.startswith(f"x.yaml: document {document}, line {line}: ")
    assert words in error.message
    assert error.exit_code == 2
    assert error.hint


@pytest.mark.parametrize("text", ["a: 1\r\nb:\r\n- 2\r\n", b"\xef\xbb\xbfa: 1\nb: [2]\n", '{"a": 1,\n\t"b": [2]}'])
def test_other_notations_of_the_same_content(text: str | bytes) -> None:
    assert load(text) == {"a": 1, "b": [2]}


def test_documents_before_an_invalid_one_are_yielded() -> None:
    stream = documents("a: 1\n---\nb: [", "x")
    assert next(stream).value == {"a": 1}
    with pytest.raises(YamlError):
        next(stream)


def test_the_c_parser_is_in_use() -> None:
    assert yaml.__with_libyaml__
    assert isinstance(full.Stream("", "x")._parser, yaml.CSafeLoader)


def test_many_tiny_documents_in_reasonable_time() -> None:
    start = time.perf_counter()
    assert sum(1 for _ in documents("a: 1\n---\n" * 100_000, "x")) == 100_000
    assert time.perf_counter() - start < 20


def test_load_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: yes\n")
    assert load_file(file) == {"a": True}
    for text in ("", "a: 1\n---\nb: 1\n", "[1]", "x"):
        file.write_text(text)
        with pytest.raises(FloeError, match="exactly one YAML mapping"):
            load_file(file)
    file.write_text("a: [")
    with pytest.raises(YamlError, match=r"a\.yaml: document 1"):
        load_file(file)
    with pytest.raises(FloeError, match="No such file"):
        load_file(tmp_path / "none.yaml")
