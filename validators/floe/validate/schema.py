"""Checks objects against the schemas of their kinds, as the API server does under strict field validation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from floe.errors import FloeError
from floe.kubernetes.objects import SOPS, Object, text
from floe.kubernetes.releases import RELEASE
from floe.kubernetes.schemas.catalog import Catalog, Kind, Lifecycle, number
from floe.validate import rules

_TOO_MANY = 20  # errors reported for one object; the rest is left out


class Schemas:
    """The validators of one Kubernetes release, each of which is built when its kind is first seen.

    `kubernetes`: the release, such as 1.34. `crds`: a folder of CustomResourceDefinitions that add kinds.
    `strict_kinds`: a kind without a schema is an error. Raises FloeError for a release without schemas, and for a
    folder without valid CustomResourceDefinitions.
    """

    def __init__(self, kubernetes: str = RELEASE, crds: Path | None = None, *, strict_kinds: bool = False) -> None:
        self.catalog = Catalog(kubernetes, crds)
        self.strict_kinds = strict_kinds
        self.kubernetes = kubernetes
        self._kinds: dict[tuple[str, str], Kind | None] = {}
        self._validators: dict[str, Any] = {}
        self._accepted: dict[int, Object] = {}  # by id(); keeping the object here keeps its id unique
        self._rules: dict[str, dict[str, Any] | None] = {}

    def kind(self, item: Object) -> Kind | None:
        """The kind of the object; None if neither the release nor a CustomResourceDefinition has it."""
        key = (item.api_version, item.kind)
        if key not in self._kinds:
            self._kinds[key] = self.catalog.kind(*key)
        return self._kinds[key]

    def knows(self, item: Object) -> bool:
        """Whether there is a schema for the kind of the object."""
        return self.kind(item) is not None

    def lifecycle(self, item: Object) -> Lifecycle | None:
        """When the kind of the object is deprecated and removed; None if that is not known."""
        return self.catalog.lifecycle(item.api_version, item.kind)

    def reaches(self, release: str) -> bool:
        """Whether the release that objects are checked against is `release` or a later one."""
        return number(self.kubernetes) >= number(release)

    def owns(self, item: Object) -> bool:
        """Whether the API group of the object belongs to Kubernetes, so that no CustomResourceDefinition adds kinds."""
        return self.catalog.owns(item.api_version.rpartition("/")[0])

    def similar(self, item: Object) -> str | None:
        """A suggestion for an object of an unknown kind, as `apiVersion Kind`; None if nothing is similar.

        This is the same kind in another API version, or else a kind of the same API version with a similar name.
        """
        for version, kind in self.catalog.kinds():
            if kind == item.kind:
                return f"{version} {kind}"
        kinds = [kind for version, kind in self.catalog.kinds() if version == item.api_version]
        near = get_close_matches(item.kind, kinds, 1)
        return f"{item.api_version} {near[0]}" if near else None

    def accepts(self, item: Object) -> bool:
        """Whether the kind of the object is known and the object is valid against its schema."""
        if id(item) in self._accepted:
            return True
        kind = self.kind(item)
        return kind is not None and bool(self._validator(kind).is_valid(_as_applied(item)))

    def errors(self, item: Object) -> Iterator[str]:
        """Yield a message for each error of an object of a known kind.

        The messages do not contain values of the object, since a value may be a secret.
        """
        kind = self.kind(item)
        assert kind is not None
        validator, value = self._validator(kind), _as_applied(item)
        if validator.is_valid(value):
            self._accepted[id(item)] = item
            return
        for count, error in enumerate(validator.iter_errors(value)):
            if count == _TOO_MANY:
                yield "the object has more errors, which are not listed"
                return
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
            yield _error_words(path.lstrip("."), error)

    def broken_rules(self, item: Object) -> Iterator[str]:
        """Yield a message for each CEL rule of its custom kind that an otherwise valid object breaks."""
        kind = self.kind(item)
        if kind is None:
            return
        if kind.type not in self._rules:
            schema = self.catalog.own_schema(kind)
            self._rules[kind.type] = json.loads(schema) if rules.has_rules(schema) else None
        if schema_with_rules := self._rules[kind.type]:
            yield from rules.problems(schema_with_rules, item.value)

    def _validator(self, kind: Kind) -> Any:
        if kind.type in self._validators:
            return self._validators[kind.type]
        import jsonschema_rs

        try:
            validator = jsonschema_rs.Draft202012Validator(
                self.catalog.schema(kind), mask="the value", formats=_FORMATS, validate_formats=True
            )
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise FloeError(
                f"the schema of {kind.type} is not a valid JSON schema: {error}", "fix its CustomResourceDefinition"
            ) from None
        self._validators[kind.type] = validator
        return validator


def _as_applied(item: Object) -> dict[str, Any]:
    """The object as the API server gets it: a Secret that SOPS encrypted has been decrypted by then.

    The encrypted values are replaced by empty ones, since they are not known here.
    """
    if item.kind != "Secret" or not isinstance(item.value.get("sops"), dict):
        return item.value
    opened = {name: value for name, value in item.value.items() if name != "sops"}
    for group in ("data", "stringData"):
        if isinstance(opened.get(group), dict):
            opened[group] = {key: "" if text(value).startswith(SOPS) else value for key, value in opened[group].items()}
    return opened


_QUANTITY = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T)([0-9]{1,2})(:[0-9]{2}:[0-9]{2})(?:[.,][0-9]+)?(?:Z|[+-]([0-9]{2}):([0-9]{2}))"
)


def _is_go_time(text: str) -> bool:
    """Whether Go's time.Parse accepts the text as a time of RFC 3339."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(f"{match[1]}{match[2]:>02}{match[3]}")
    except ValueError:
        return False
    return int(match[4] or 0) <= 24 and int(match[5] or 0) <= 60


_FORMATS: dict[str, Callable[[str], bool]] = {
    "go-quantity": lambda text: bool(_QUANTITY.fullmatch(text.strip())),
    "go-base64": lambda text: bool(_BASE64.fullmatch(text.replace("\r", "").replace("\n", ""))),
    "go-time": _is_go_time,
}
_FORMS = {
    "go-quantity": "must be a quantity such as 100m or 128Mi",
    "go-base64": "must be base64 with padding",
    "go-time": "must be a time such as 2025-01-31T12:00:00Z",
}
_TYPES = {"object": "a mapping", "array": "a list", "boolean": "true or false", "integer": "a whole number"}


def _error_words(path: str, error: Any) -> str:
    """A validator's error in the words that users of the API server know."""
    kind, where = error.kind, path or "the object"
    if kind.name == "additionalProperties":
        return f"{where}: unknown field {', '.join(kind.unexpected)}"
    if kind.name == "required":
        return f"{path and path + '.'}{kind.property} must be set"
    if kind.name == "type":
        types = [_TYPES.get(name, f"a {name}") for name in kind.types if name != "null"]
        quote = ": quote it" if types == ["a string"] and isinstance(error.instance, (bool, int, float)) else ""
        return f"{where} must be {' or '.join(types)}{quote}"
    if kind.name == "format":
        return f"{where} {_FORMS.get(kind.format, error.message)}"
    if kind.name == "enum":
        options = [option for option in kind.options if option not in ("", None)]
        return f"{where} must be {'' if len(options) == 1 else 'one of '}{', '.join(map(str, options))}"
    return f"{where}: {error.message}"
