"""When Dagster counts a table as late: after ticks of the schedule that brought nothing, as floe.yaml says."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from floe_runtime.contract.app import Schedule

_BEGIN, _SAMPLE = datetime(2026, 1, 1, tzinfo=UTC), 2000
"""How many ticks of the schedule are compared, from that time on. With one tick every five minutes, that is a week."""


def policy(schedule: Schedule) -> dg.FreshnessPolicy | None:
    """The freshness policy of the tables that the schedule loads and publishes; None if it is disabled.

    Counts the longest time that so many ticks take, so that a night or a weekend without ticks makes nothing late.
    """
    if not schedule.enabled:
        return None
    ticks = list(islice(cron_string_iterator(_BEGIN.timestamp(), schedule.cron, "UTC"), _SAMPLE))
    warn, fail = (
        max(ticks[at + missed] - ticks[at] for at in range(len(ticks) - missed))
        for missed in (schedule.freshness.warn, schedule.freshness.fail)
    )
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)
