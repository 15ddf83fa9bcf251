"""`floe preflight`: what runs as a Job in a cluster, from a checkout and for any environment."""

from __future__ import annotations

from floe import console
from floe.contract.files import load
from floe.repo import EMBEDDED, Checkout
from floe_runtime.contract import artifacts
from floe_runtime.contract.platform import Platform
from floe_runtime.preflight import report


def run(
    checkout: Checkout | None, environment: str | None, *, check_postgres: bool = False, as_json: bool = False
) -> int:
    """Check an environment and print the outcomes; returns the exit code: 0, or 1 if a check failed.

    Without a checkout, it checks the environment of the CompiledArtifacts that FLOE_COMPILED_ARTIFACTS names, as in a
    pod.
    """
    if checkout is None:
        compiled = artifacts.mounted()
        name, platform = compiled.environment, compiled.platform
    else:
        name = environment or EMBEDDED
        platform = load(Platform, checkout.platform_file(name))
    return report.run(
        name,
        platform,
        check_postgres=check_postgres,
        as_json=as_json,
        waiting=lambda: console.progress(f"preflight {name}: checking"),
    )
