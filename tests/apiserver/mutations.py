"""Changes valid objects at random, which usually makes them invalid, and writes them as YAML."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from apiserver.client import Raw
from floe.kubernetes.objects import mapping, text
from floe.yaml import documents

Path = tuple[str | int, ...]


class Verbatim(str):
    """A scalar that is written to the YAML unchanged and without quotes."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """A mapping that may contain a key twice."""


ODD = (
    *("yes", "No", "on", "y", "true", "~", "null", "0777", "0o17", "0x1F", "0b11", "1_000", "1e3", "1.5", "1.0", ".5"),
    *("-1", "0", "1", "70000", "2147483648", "9223372036854775808", "1e400", "12:30", "2001-01-01"),
    "2001-01-01T00:00:00Z",
    *("100m", "1Gi", "50%", "''", "' '", "'1'", "abc", "Abc_D", "a/b", "-a", "a.b.c", "{}", "[]", "[1]"),
    *("{a: b}", "=", "é"),
)  # fmt: skip
_TYPOS = (
    lambda key: f"{key}s",
    lambda key: key[:-1] or "x",
    lambda key: key.capitalize(),
    lambda key: key.lower(),
    lambda key: f"x-{key}",
    lambda key: key.replace("-", "_") + "_",
)


def paths(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every node of a tree except the root."""
    plain_list = isinstance(node, list) and not isinstance(node, Pairs)
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if plain_list else ():
        yield (*path, key)
        yield from paths(value, (*path, key))


def at(node: Any, path: Path) -> Any:
    for step in path:
        node = node[step]
    return node


def drop(tree: Any, path: Path, _draw: Any) -> None:
    del at(tree, path[:-1])[path[-1]]


def odd(tree: Any, path: Path, draw: Any) -> None:
    at(tree, path[:-1])[path[-1]] = Verbatim(draw(st.sampled_from(ODD)))


def retype(tree: Any, path: Path, draw: Any) -> None:
    parent, last = at(tree, path[:-1]), path[-1]
    value = parent[last]
    forms: list[Any] = [[value], {"value": value}, None, 1, True, "text"]
    if not isinstance(value, (dict, list)):
        forms += [str(value), Verbatim("1.5")]
    parent[last] = draw(st.sampled_from(forms))


def rename(tree: Any, path: Path, draw: Any) -> None:
    parent = at(tree, path[:-1])
    if isinstance(parent, dict):
        value = parent.pop(path[-1])
        parent[draw(st.sampled_from(_TYPOS))(path[-1])] = value


def nest(tree: Any, path: Path, draw: Any) -> None:
    """Move a node into another mapping or list, or replace a scalar with it."""
    part = copy.deepcopy(at(tree, path))
    del at(tree, path[:-1])[path[-1]]
    target_path = draw(st.sampled_from([(), *paths(tree)]))
    target = at(tree, target_path)
    if isinstance(target, dict):
        target[str(path[-1])] = part
    elif isinstance(target, list) and not isinstance(target, Pairs):
        target.append(part)
    else:
        at(tree, target_path[:-1])[target_path[-1]] = part


def duplicate(tree: Any, path: Path, draw: Any) -> None:
    """Repeat an item in its list, or a key in its mapping, or copy the value of a key to another key."""
    parent, last = at(tree, path[:-1]), path[-1]
    if isinstance(last, int):
        parent.insert(last, copy.deepcopy(parent[last]))
        return
    other = draw(st.sampled_from([last, *(key for key in parent if key != last)]))
    if other == last and path[:-1]:
        at(tree, path[:-2])[path[-2]] = Pairs([*parent.items(), (str(last), parent[last])])
    else:
        parent[other] = copy.deepcopy(parent[last])


MUTATIONS = (drop, odd, retype, rename, nest, duplicate)


@st.composite
def mutated(draw: st.DrawFn, seeds: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """(description of the changes, object) with one or two changes, after which the object may still be valid."""
    tree = copy.deepcopy(draw(st.sampled_from(seeds)))
    done = []
    for mutation in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=2)):
        candidates = list(paths(tree))
        if not candidates:
            break
        path = candidates[draw(st.randoms(use_true_random=False)).randrange(len(candidates))]
        mutation(tree, path, draw)
        done.append(f"{mutation.__name__} {'.'.join(map(str, path))}")
    return "; ".join(done), tree


def request(tree: dict[str, Any]) -> Raw:
    """The request for an object: YAML, sent to the same path that kubectl would use."""
    head = [tree.get("apiVersion"), tree.get("kind"), mapping(tree.get("metadata")).get("namespace")]
    version, kind, namespace = (text(_read(part)) for part in head)
    return Raw(dump(tree).encode(), version, kind, namespace)


def _read(value: Any) -> Any:
    """The value that kubectl would read for a Verbatim scalar; any other value unchanged."""
    if not isinstance(value, Verbatim):
        return value
    return next((document.value for document in documents(f"{value}\n", "scalar")), None)


def dump(node: Any) -> str:
    """A tree as YAML in block form."""
    return "\n".join(_lines(node)) + "\n"


def _lines(node: Any, indent: str = "") -> Iterator[str]:
    if isinstance(node, (dict, Pairs)) and node:
        for key, value in node.items() if isinstance(node, dict) else node:
            yield from _entry(f"{indent}{json.dumps(key)}:", value, indent)
    elif isinstance(node, list) and node and not isinstance(node, Pairs):
        for value in node:
            yield from _entry(f"{indent}-", value, indent)
    else:
        yield indent + (str(node) if isinstance(node, Verbatim) else json.dumps(node))


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, (dict, list)) and value:
        yield head
        yield from _lines(value, f"{indent}  ")
    else:
        yield f"{head} {next(_lines(value))}"
