"""What an environment's platform.yaml says of its apps: whether they load synthetic data, and other settings."""

from __future__ import annotations

from collections.abc import Collection

from floe.contract.files import lines_of
from floe.errors import FloeError
from floe.repo import Checkout
from floe_runtime.contract.app import App
from floe_runtime.contract.artifacts import Specification, Specified
from floe_runtime.contract.model import Model, invalid, parse
from floe_runtime.contract.platform import Platform


class _Changed(Model):
    """The part of platform.yaml about apps, after each of its fields replaced that of floe.yaml."""

    apps: dict[str, Specified]


def refuse_unknown(checkout: Checkout, environment: str, platform: Platform, names: Collection[str]) -> None:
    """Raise FloeError if platform.yaml sets something for an app that is not among the names: those that run there."""
    for name in platform.apps:
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            words = f"{environment} runs no such app, only {known}; remove these lines if it no longer does"
            raise _problem(checkout, environment, f"apps.{name}", words)


def as_run(checkout: Checkout, environment: str, platform: Platform, app: App) -> Specification:
    """The specification of an app as an environment runs it.

    Without `synthetic: true` in platform.yaml it has no synthetic part. Raises FloeError with the file, the field and
    the line if what platform.yaml sets for the app is not valid together with its floe.yaml.
    """
    if not platform.synthetic:
        app = app.model_copy(update={"synthetic": None})
    changes = platform.apps.get(app.name)
    if changes is None:
        return Specification.of(app)
    place = f"apps.{app.name}.synthetic"
    if changes.synthetic and not platform.synthetic:
        words = f"{environment} has no synthetic data: platform.yaml does not say `synthetic: true`"
        raise _problem(checkout, environment, place, words)
    if changes.synthetic and app.synthetic is None:
        raise _problem(checkout, environment, place, "the app has no synthetic part that this could change")
    if app.synthetic and changes.synthetic.get("generator", app.synthetic.generator) != app.synthetic.generator:
        words = f"must be {app.synthetic.generator}, whose tables the models of the app read"
        raise _problem(checkout, environment, f"{place}.generator", words)
    pipeline = app.pipeline
    merged = {"schedule": pipeline.schedule.model_dump() | changes.schedule}
    if app.synthetic:
        merged["synthetic"] = app.synthetic.model_dump() | changes.synthetic
    file = checkout.platform_file(environment)
    changed = parse(_Changed, {"apps": {app.name: merged}}, file, lines_of(file)).apps[app.name]
    update = {"pipeline": pipeline.model_copy(update={"schedule": changed.schedule}), "synthetic": changed.synthetic}
    return Specification.of(app, app.model_copy(update=update))


def _problem(checkout: Checkout, environment: str, field: str, words: str) -> FloeError:
    file = checkout.platform_file(environment)
    return invalid(file, f"\n  {field}: {words}{lines_of(file)(field)}")
