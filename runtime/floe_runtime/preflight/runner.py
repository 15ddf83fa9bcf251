"""Run the checks of `floe preflight`: measure each, and turn failures into outcomes with a remedy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from floe_runtime.contract.platform import Platform
from floe_runtime.errors import FloeError
from floe_runtime.preflight.checks import CHECKS, POSTGRES, REFUSED, Check, CheckFailed, Env


@dataclass(frozen=True)
class Outcome:
    """The result of one check. `refused`: whether the service does not accept the credentials."""

    id: str
    title: str
    status: Literal["passed", "failed", "unchecked"]
    detail: str
    remedy: str = ""
    seconds: float = 0.0
    refused: bool = False


def run(
    platform: Platform, also: frozenset[str] = frozenset(), env: Env = os.environ, *, metadata: bool = True
) -> Iterator[Outcome]:
    """Run the checks of a platform and yield each outcome as soon as it is known.

    `also`: ids of further checks to run although the platform does not use their service. `metadata`: whether to check
    Dagster's database too. A part of the platform that has no check is reported as unchecked, so that a missing check
    does not look like a success.
    """
    covered = set()
    for check in CHECKS:
        if check.id in also or (check.applies(platform) and (metadata or check.id != POSTGRES)):
            covered.add(check.id.partition("-")[0])
            yield _outcome(check, platform, env)
    for part, kind in _parts(platform).items():
        if part not in covered and kind not in _NOTHING_TO_REACH:
            yield Outcome(f"{part}-{kind}", f"{part}: {kind}", "unchecked", f"floe has no check for {kind} yet")


_NOTHING_TO_REACH = frozenset({"sqlite"})


def _parts(platform: Platform) -> dict[str, str]:
    return {"compute": platform.compute.target, "metadata": platform.metadata.kind}


def _outcome(check: Check, platform: Platform, env: Env) -> Outcome:
    started = time.monotonic()

    def outcome(
        status: Literal["passed", "failed"], detail: str, remedy: str = "", *, refused: bool = False
    ) -> Outcome:
        seconds = round(time.monotonic() - started, 3)
        return Outcome(check.id, check.title, status, _masked(detail, platform, env), remedy, seconds, refused)

    try:
        return outcome("passed", check.run(platform, env))
    except CheckFailed as failure:
        return outcome("failed", str(failure), failure.remedy, refused=failure.step in REFUSED)
    except FloeError as error:
        return outcome("failed", f"failed on settings: {error.message}", error.hint)
    except Exception as error:  # an unknown error of a client library must not stop the other checks
        return outcome(
            "failed",
            f"failed: {type(error).__name__}: {error}".splitlines()[0],
            "Report this error: the check should handle it.",
        )


def _masked(text: str, platform: Platform, env: Env) -> str:
    """The text with *** in place of values that the platform reads from secret variables."""
    for ref in platform.refs():
        content = env.get(ref.env, "")
        if ref.default is None and len(content) >= 4:
            text = text.replace(content, "***")
    return text
