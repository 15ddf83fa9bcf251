"""The list of all policies, collected from the modules that define them, for the runner and the documentation.

A new policy in one of these modules is found automatically. Add a new module to the call of `collect` below.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from floe.validate.policies import (
    api,
    chart_values,
    environments,
    images,
    kinds,
    placeholders,
    references,
    repository,
    scaling,
    secrets,
    secrets_in_git,
    security,
    selectors,
    synthetic,
    versions,
    waivers,
    workloads,
)
from floe.validate.policies.policy import Policy


def collect(modules: Iterable[Any]) -> tuple[Policy, ...]:
    """The policies of the given modules, sorted by number. Raises ValueError if two of them have the same code."""
    policies = [value for module in modules for value in vars(module).values() if isinstance(value, Policy)]
    codes = [policy.code for policy in policies]
    if twice := {code for code in codes if codes.count(code) > 1}:
        raise ValueError(f"two policies have the code {', '.join(sorted(twice))}")
    return tuple(sorted(policies, key=lambda policy: policy.number))


POLICIES = collect(
    (
        api,
        chart_values,
        environments,
        images,
        kinds,
        placeholders,
        references,
        repository,
        scaling,
        secrets,
        secrets_in_git,
        security,
        selectors,
        synthetic,
        versions,
        waivers,
        workloads,
    )
)
