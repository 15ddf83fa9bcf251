"""Running checks: each gets its time, its verdict and, where it fails, its remedy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from floe_runtime.contract.platform import Platform
from floe_runtime.errors import FloeError
from floe_runtime.preflight.checks import CHECKS, Check, CheckFailed, Env


@dataclass(frozen=True)
class Outcome:
    """What came of one check."""

    id: str
    title: str
    status: Literal["passed", "failed", "unchecked"]
    detail: str
    remedy: str = ""
    seconds: float = 0.0


def run(platform: Platform, also: frozenset[str] = frozenset(), env: Env = os.environ) -> Iterator[Outcome]:
    """Outcomes, one by one as they come in.

    `also`: ids of checks to run although the platform names no such service. A part of the platform that no check
    covers comes out as unchecked, so that nobody takes silence for health.
    """
    covered = set()
    for check in CHECKS:
        if check.applies(platform) or check.id in also:
            covered.add(check.id.partition("-")[0])
            yield _one(check, platform, env)
    for part, kind in _parts(platform).items():
        if part not in covered and kind not in _NOTHING_TO_REACH:
            yield Outcome(f"{part}-{kind}", f"{part}: {kind}", "unchecked", f"there is no check of {kind} yet")


_NOTHING_TO_REACH = frozenset({"sqlite"})


def _parts(platform: Platform) -> dict[str, str]:
    return {"compute": platform.compute.target, "metadata": platform.metadata.kind}


def _one(check: Check, platform: Platform, env: Env) -> Outcome:
    started = time.monotonic()

    def outcome(status: Literal["passed", "failed"], detail: str, remedy: str = "") -> Outcome:
        return Outcome(
            check.id, check.title, status, _masked(detail, platform, env), remedy, round(time.monotonic() - started, 3)
        )

    try:
        return outcome("passed", check.run(platform, env))
    except CheckFailed as failure:
        return outcome("failed", str(failure), failure.remedy)
    except FloeError as error:
        return outcome("failed", f"failed on settings: {error.message}", error.hint)
    except Exception as error:  # whatever a client library raises, a person gets a sentence and the other checks run
        return outcome(
            "failed", f"failed: {type(error).__name__}: {error}".splitlines()[0], "report this: a check should know it"
        )


def _masked(text: str, platform: Platform, env: Env) -> str:
    """The text without any value that the platform takes from a secret's variable."""
    for ref in platform.refs():
        found = env.get(ref.env, "")
        if ref.default is None and len(found) >= 4:
            text = text.replace(found, "***")
    return text
