"""The list in the ApplicationSet of Argo CD of the environments that wait for a person, as prod does.

An ApplicationSet knows of an overlay only its path, so nothing inside of the overlay can tell it this.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from floe.console import read, write
from floe.repo import Checkout

FILE = "clusters/base/argocd/applicationset.yaml"
_LIST = re.compile(r"(?<=\$production := list)(?:[ \t]+\"[^\"\n]*\")*")


def names(checkout: Checkout) -> list[str]:
    """The environments that the list names; none if the checkout lacks the file."""
    file = checkout.root / FILE
    return _listed(read(file)) if file.is_file() else []


def add(checkout: Checkout, name: str, source: str) -> bool:
    """Add an environment to the list if the one that it was made from is there; returns whether the file changed."""
    return _edit(checkout, lambda names: [*names, name] if source in names else names)


def discard(checkout: Checkout, name: str) -> bool:
    """Remove an environment from the list; returns whether the file changed."""
    return _edit(checkout, lambda names: [one for one in names if one != name])


def _edit(checkout: Checkout, change: Callable[[list[str]], list[str]]) -> bool:
    file = checkout.root / FILE
    if not file.is_file():
        return False
    before = read(file)
    if (wanted := change(listed := _listed(before))) == listed:
        return False
    write(file, _LIST.sub("".join(f' "{name}"' for name in wanted), before))
    return True


def _listed(text: str) -> list[str]:
    return [name for found in _LIST.findall(text) for name in re.findall(r'"(.*?)"', found)]
