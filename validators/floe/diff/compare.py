"""Compare two sets of objects. This module does not render, print or access the repository."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from floe.diff.changes import Field, ObjectChange
from floe.diff.masking import is_secret, masked, masked_pair, name_in
from floe.kubernetes.objects import Object

_Identity = tuple[str, str, str, str, int]
_HASHED = ("ConfigMap", "Secret")
_HASH = re.compile(r"(.+)-[24-9bcdfghkmt]{10}")
"""A name with kustomize's content hash: hexadecimal digits, some replaced so that they form no words."""
_LIST_KEYS = ("name", "mountPath", "containerPort", "port", "key")
"""The fields that identify an element of a list on both sides; the first that all elements have is used."""


def compare(base: Iterable[Object], head: Iterable[Object]) -> list[ObjectChange]:
    """The changes from `base` to `head`, sorted by kind, namespace and name; empty if nothing differs.

    API group, kind, namespace and name identify an object. A ConfigMap or Secret also counts as the same object if only
    kustomize's content hash in its name differs.
    """
    old, new = _by_identity(base), _by_identity(head)
    pairs = {key: key for key in new if key in old} | dict(_renamed_pairs(old, new))
    changes = [
        change
        for key, before in pairs.items()
        if (change := _change_between(before, key, old[before], new[key])) is not None
    ]
    changes += [_change_of_whole("added", key, new[key]) for key in new if key not in pairs]
    gone = set(old) - set(pairs.values())
    changes += [_change_of_whole("removed", key, old[key]) for key in gone]
    return sorted(changes, key=lambda change: (change.kind, change.namespace, change.name, change.group, change.change))


def _by_identity(items: Iterable[Object]) -> dict[_Identity, Object]:
    seen: Counter[tuple[str, str, str, str]] = Counter()
    result = {}
    for item in items:
        key = (item.api_version.rpartition("/")[0], item.kind, item.namespace, item.name)
        result[*key, seen[key]] = item  # floe-validate reports duplicate identities; here both are kept
        seen[key] += 1
    return result


def _renamed_pairs(old: dict[_Identity, Object], new: dict[_Identity, Object]) -> Iterator[tuple[_Identity, _Identity]]:
    """Yield (new, old) for each object whose name differs only by its hash."""
    left: dict[_Identity, list[_Identity]] = {}
    for key in sorted(set(old) - set(new)):
        if stem := _stem(key):
            left.setdefault(stem, []).append(key)
    for key in sorted(set(new) - set(old)):
        if (stem := _stem(key)) and left.get(stem):
            yield key, left[stem].pop(0)


def _stem(key: _Identity) -> _Identity | None:
    group, kind, namespace, name, number = key
    match = _HASH.fullmatch(name) if kind in _HASHED else None
    return (group, kind, namespace, match[1], number) if match else None


def _change_of_whole(change: Any, key: _Identity, item: Object) -> ObjectChange:
    group, kind, namespace, name, _ = key
    shown = masked(item.value, "", kind, ())
    return ObjectChange(change=change, group=group, kind=kind, namespace=namespace, name=name, object=shown)


def _change_between(before: _Identity, key: _Identity, old: Object, new: Object) -> ObjectChange | None:
    fields = tuple(_different_fields(old.value, new.value, _Place(old.kind)))
    group, kind, namespace, name, _ = key
    renamed_from = old.name if before != key else None
    if renamed_from:
        fields = tuple(field for field in fields if field.path != "metadata.name")
    elif not fields:
        return None
    return ObjectChange(
        change="changed", group=group, kind=kind, namespace=namespace, name=name, renamed_from=renamed_from,
        fields=fields,
    )  # fmt: skip


@dataclass(frozen=True)
class _Place:
    """A place in an object."""

    kind: str
    text: str = ""
    keys: tuple[str, ...] = ()
    names: tuple[str, str] = ("", "")  # of the old and new value, which show whether they are credentials
    secret: bool = False

    def key(self, key: str, old: dict[str, Any], new: dict[str, Any]) -> _Place:
        plain = re.fullmatch(r"[A-Za-z_][\w-]*", key)
        step = f"{'.' if self.text else ''}{key}" if plain else f"[{json.dumps(key)}]"
        keys = (*self.keys, key)
        names = (name_in(old, key, self.names[0]), name_in(new, key, self.names[1]))
        return replace(
            self, text=self.text + step, keys=keys, names=names, secret=self.secret or is_secret(self.kind, keys)
        )

    def element(self, step: str, old: tuple[list[Any], int] | None, new: tuple[list[Any], int] | None) -> _Place:
        names = tuple(
            name_in(*side, inherited) if side else inherited
            for side, inherited in zip((old, new), self.names, strict=True)
        )
        return replace(self, text=f"{self.text}[{step}]", names=(names[0], names[1]))


def _different_fields(old: Any, new: Any, place: _Place) -> Iterator[Field]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            below = place.key(key, old, new)
            if key not in new:
                yield _removed_field(old[key], below)
            elif key not in old:
                yield _added_field(new[key], below)
            else:
                yield from _different_fields(old[key], new[key], below)
    elif isinstance(old, list) and isinstance(new, list):
        key = next((key for key in _LIST_KEYS if _key_is_unique(key, old) and _key_is_unique(key, new)), None)
        yield from _keyed_fields(old, new, key, place) if key and old and new else _aligned_fields(old, new, place)
    elif type(old) is not type(new) or old != new:
        before, after = masked_pair(old, new, place.names, place.kind, place.keys, secret=place.secret)
        yield Field(path=place.text, change="changed", old=before, new=after)


def _removed_field(value: Any, place: _Place) -> Field:
    shown = masked(value, place.names[0], place.kind, place.keys, secret=place.secret)
    return Field(path=place.text, change="removed", old=shown)


def _added_field(value: Any, place: _Place) -> Field:
    shown = masked(value, place.names[1], place.kind, place.keys, secret=place.secret)
    return Field(path=place.text, change="added", new=shown)


def _key_is_unique(key: str, elements: list[Any]) -> bool:
    """Whether every element has a different value for this key."""
    values = [element.get(key) if isinstance(element, dict) else None for element in elements]
    return all(isinstance(value, str | int) for value in values) and len({*map(str, values)}) == len(values)


def _keyed_fields(old: list[Any], new: list[Any], key: str, place: _Place) -> Iterator[Field]:
    before = {str(element[key]): index for index, element in enumerate(old)}
    after = {str(element[key]): index for index, element in enumerate(new)}
    for value in dict.fromkeys((*before, *after)):
        left = (old, before[value]) if value in before else None
        right = (new, after[value]) if value in after else None
        shown = masked(value, key, place.kind, place.keys, secret=place.secret)
        below = place.element(f"{key}={shown}", left, right)
        if left and right:
            yield from _different_fields(old[left[1]], new[right[1]], below)
        elif left:
            yield _removed_field(old[left[1]], below)
        elif right:
            yield _added_field(new[right[1]], below)
    orders = [[value for value in side if value in other] for side, other in ((before, after), (after, before))]
    if orders[0] != orders[1]:
        # The order may matter to Kubernetes, as for init containers and for variables that refer to each other.
        shown = [
            [masked(value, key, place.kind, place.keys, secret=place.secret) for value in order] for order in orders
        ]
        yield Field(path=place.text, change="reordered", old=shown[0], new=shown[1])


def _aligned_fields(old: list[Any], new: list[Any], place: _Place) -> Iterator[Field]:
    """Compare lists without a key: match equal runs, and compare the elements between them one by one."""
    before, after = ([json.dumps(element, sort_keys=True) for element in side] for side in (old, new))
    for operation, old_from, old_to, new_from, new_to in SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if operation == "equal":
            continue
        both = min(old_to - old_from, new_to - new_from)
        for step in range(both):
            left, right = old_from + step, new_from + step
            yield from _different_fields(old[left], new[right], place.element(str(right), (old, left), (new, right)))
        for index in range(old_from + both, old_to):
            yield _removed_field(old[index], place.element(str(index), (old, index), None))
        for index in range(new_from + both, new_to):
            yield _added_field(new[index], place.element(str(index), None, (new, index)))
