"""Checks of the names of new environments and apps, which become parts of file names, objects and Python modules."""

from __future__ import annotations

import importlib.util
import keyword
import re

from floe.charts import packaged
from floe.errors import FloeError
from floe.repo import EMBEDDED, Checkout
from floe_runtime.contract.app import package

LONGEST = 40
"""The most characters of a name: objects are named after it, such as floe-notifications-NAME, and Helm allows 53."""

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_RESERVED = (EMBEDDED, "all", "base")
"""What commands and folders already mean: the embedded default, `--all`, clusters/all, clusters/base."""

_NOT_TEXT = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""Labels that YAML 1.1 reads as something else than text where they are not quoted. Numbers are no labels."""


def check_environment(checkout: Checkout, name: str) -> None:
    """Raise FloeError if there cannot be a new environment of this name."""
    _check_label(name)
    if name in _RESERVED:
        raise FloeError(f"the name {name!r} is reserved", f"Choose a name other than {', '.join(_RESERVED)}.")
    _check_is_free(checkout, "env", name, ("overlays", "clusters"))
    for chart in (*packaged.UPSTREAM, packaged.UMBRELLA):
        if (file := packaged.folder(checkout, chart) / f"values-{name}.yaml").exists():
            raise FloeError(f"{checkout.relative(file)} exists already", "Move it away, or choose another name.")


def check_app(checkout: Checkout, name: str) -> None:
    """Raise FloeError if there cannot be a new app of this name."""
    _check_label(name)
    module = package(name)
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        raise FloeError(f"{module!r} is a keyword of Python, and the app has a package of that name", _ANOTHER)
    _check_is_free(checkout, "app", name, ("apps",))
    if importlib.util.find_spec(module):
        raise FloeError(f"there is a Python package {module!r} already, which the app's package would hide", _ANOTHER)
    if others := [other for other in checkout.apps() if package(other) == module]:
        raise FloeError(f"the app {others[0]!r} has a package of the name {module!r} already", _ANOTHER)


_ANOTHER = "Choose another name."


def _check_label(name: str) -> None:
    if len(name) > LONGEST:
        raise FloeError(f"the name {name!r} has {len(name)} characters", f"Choose one with at most {LONGEST}.")
    if not _LABEL.fullmatch(name):
        raise FloeError(
            f"{name!r} cannot name objects of Kubernetes",
            "Use lower-case letters, digits and hyphens, with a letter first and no hyphen at the end.",
        )
    if name in _NOT_TEXT:
        raise FloeError(f"YAML reads {name!r} as something else than a text", _ANOTHER)


def _check_is_free(checkout: Checkout, kind: str, name: str, folders: tuple[str, ...]) -> None:
    for folder in folders:
        for other in (checkout.root / folder).glob("*"):
            if other.name.casefold() == name.casefold():
                raise FloeError(
                    f"{checkout.relative(other)} exists already",
                    f"Choose another name, or remove it with `floe remove {kind} {other.name}`.",
                )
