"""`floe preflight`: what runs as a Job in a cluster, from a checkout and for any environment."""

from __future__ import annotations

from floe import console, repo
from floe.contract.files import load
from floe_runtime.contract import artifacts
from floe_runtime.contract.platform import Platform
from floe_runtime.preflight import report


def run(environment: str | None, *, mounted: bool = False, check_postgres: bool = False, as_json: bool = False) -> int:
    """Check an environment and print the outcomes; returns the exit code: 0, or 1 where a check failed.

    `mounted`: the environment of the CompiledArtifacts that this process is given, as in a pod.
    """
    if mounted:
        compiled = artifacts.mounted()
        name, platform = compiled.environment, compiled.platform
    else:
        name = environment or repo.EMBEDDED
        platform = load(Platform, repo.platform_file(name))
    return report.run(
        name,
        platform,
        check_postgres=check_postgres,
        as_json=as_json,
        waiting=lambda: console.progress(f"preflight {name}: checking"),
    )
