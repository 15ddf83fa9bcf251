"""Mask secret values in two compared objects, in a way that still shows that they differ."""

from __future__ import annotations

import re
from typing import Any

from floe import credentials
from floe.diff.changes import MASK, MASK_CHANGED

_SECRET_FIELDS = {
    ("data",),
    ("stringData",),
    ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"),
}
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
_NAME = re.compile(r"""[\s"'-]*[\w.-]+["']?\s*[:=]\s*""")


def is_secret(kind: str, path: tuple[str, ...]) -> bool:
    """Whether everything at and below a field is secret, whatever it looks like."""
    return kind == "Secret" and path in _SECRET_FIELDS


def name_in(parent: Any, key: Any, inherited: str) -> str:
    """The name of a value: its key, its sibling `name` (in env), or the option before it (in args).

    `inherited`: the name of the parent, used for elements of a list.
    """
    if isinstance(parent, dict):
        named = parent.get("name") if key == "value" else key
        return named if isinstance(named, str) else str(key)
    before, value = parent[key - 1] if key else "", parent[key]
    if isinstance(value, str) and not value.startswith("-") and isinstance(before, str) and _OPTION.fullmatch(before):
        return before
    return inherited


def masked(node: Any, name: str, kind: str, path: tuple[str, ...], *, secret: bool = False) -> Any:
    """The node with a mask in place of every secret value.

    `path`: the keys that lead to the node, without list indexes. `secret`: mask everything.
    """
    secret = secret or is_secret(kind, path)
    if isinstance(node, dict):
        return {
            key: masked(value, name_in(node, key, name), kind, (*path, key), secret=secret)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [
            masked(value, name_in(node, index, name), kind, path, secret=secret) for index, value in enumerate(node)
        ]
    return MASK if secret else _masked_scalar(node, name)


def masked_pair(
    old: Any, new: Any, names: tuple[str, str], kind: str, path: tuple[str, ...], *, secret: bool
) -> tuple[Any, Any]:
    """The two different values of a field, masked in a way that they still differ."""
    before = masked(old, names[0], kind, path, secret=secret)
    after = masked(new, names[1], kind, path, secret=secret)
    if isinstance(old, str) and isinstance(new, str) and MASK != after != new:
        known = set(old.splitlines())
        lines = zip(new.splitlines(keepends=True), after.splitlines(keepends=True), strict=True)
        after = "".join(
            line.replace(MASK, MASK_CHANGED) if line != plain and plain.splitlines()[0] not in known else line
            for plain, line in lines
        )
    if MASK in (before, after) and isinstance(after, str):
        # If only one side is secret, the other is shown in plain text; the mask marks the change.
        return before, MASK_CHANGED if after == MASK else after
    return (before, after) if before != after else (MASK, MASK_CHANGED)


def _masked_scalar(value: Any, name: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    text = str(value)
    if not (reasons := list(credentials.reasons(name, text))):
        return value
    if "\n" not in text or "-----BEGIN" in text or reasons != list(credentials.reasons("", text)):
        return MASK
    # In a file, mask only the lines that hold a credential, if nothing suspicious remains.
    lines = "".join(map(_masked_line, text.splitlines(keepends=True)))
    return lines if lines != text and not any(credentials.reasons("", lines.replace(MASK, "$"))) else MASK


def _masked_line(line: str) -> str:
    if not any(credentials.reasons("", line)):
        return line
    body = line.splitlines()[0]
    name = _NAME.match(body)
    return (name[0] if name else "") + MASK + line[len(body) :]
