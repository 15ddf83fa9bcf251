"""Says of a step that failed what a person has to do, as the first thing that Dagster shows of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from floe_runtime.contract.platform import Platform
from floe_runtime.dbt import TestsFailed
from floe_runtime.errors import FloeError
from floe_runtime.runs import TablesMissing


@contextmanager
def in_dagster(
    context: dg.OpExecutionContext, platform: Platform, retries: int = 0, env: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Run a step. If it fails, raise a Failure with what is wrong, where, and what to do next.

    After a failure, the checks of preflight ask each service of the platform. What they find is the failure: not how a
    client of the service took it. The step is not retried if a service refuses the credentials, which stay the same
    during a run, if a raw table is missing, or if only tests failed. `retries`: how often it is at most; Dagster puts
    what it says about that before the last failure, unless that one asks for no retry.
    """
    again = context.retry_number < retries
    from floe_runtime.preflight import runner

    try:
        yield
    except dg.Failure:
        raise
    except TestsFailed as failed:
        raise dg.Failure(failed.message, allow_retries=False) from failed
    except TablesMissing as missing:
        raise dg.Failure(f"{missing.message}\nnext: {missing.hint}", allow_retries=False) from None
    except Exception as error:
        found = [one for one in runner.run(platform, env=env, metadata=False) if one.status == "failed"]
        if found:
            told = "\n".join(f"{one.title} {one.detail}\nnext: {one.remedy}" for one in found)
            raise dg.Failure(told, allow_retries=again and not any(one.refused for one in found)) from None
        if isinstance(error, FloeError):
            told = f"{error.message}\nnext: {error.hint}" if error.hint else error.message
            raise dg.Failure(told, allow_retries=again) from error
        raise
