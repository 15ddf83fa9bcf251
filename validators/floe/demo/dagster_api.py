"""A client for the part of Dagster's GraphQL API that launches a job and follows its run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from floe.errors import FloeError

_LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]!) {
  launchPipelineExecution(executionParams: {selector: $selector, runConfigData: {}, executionMetadata: {tags: $tags}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on UnauthorizedError { message }
    ... on InvalidSubsetError { message }
  }
}
"""

_STATUS = """
query Status($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run { status startTime endTime }
    ... on PythonError { message }
    ... on RunNotFoundError { message }
  }
}
"""

_LOCATIONS = """
query Locations {
  workspaceOrError {
    ... on Workspace { locationEntries { name loadStatus locationOrLoadError { ... on PythonError { message } } } }
  }
}
"""

REPOSITORY = "__repository__"  # Dagster's name for the only repository of a code location

FINAL = frozenset({"SUCCESS", "FAILURE", "CANCELED"})


@dataclass(frozen=True)
class Dagster:
    """The API of a Dagster webserver. `url`: its address, such as http://127.0.0.1:3000."""

    url: str

    def launch(self, location: str, job: str, tags: dict[str, str] | None = None) -> str:
        """Launch a job of a code location; returns the run's id. Raises FloeError if Dagster refuses."""
        selector = {"repositoryLocationName": location, "repositoryName": REPOSITORY, "pipelineName": job}
        listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        answer = self.ask(_LAUNCH, {"selector": selector, "tags": listed})["launchPipelineExecution"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise FloeError(
                f"Dagster does not launch {location}/{job}: {reason(answer)}", "Read the code location's log."
            )
        return str(answer["run"]["runId"])

    def status(self, run_id: str) -> str:
        """The status of a run, such as STARTED or SUCCESS. Raises FloeError if Dagster does not know the run."""
        answer = self.ask(_STATUS, {"runId": run_id})["runOrError"]
        if answer["__typename"] != "Run":
            raise FloeError(
                f"Dagster does not know the run {run_id}: {reason(answer)}",
                "Check whether Dagster's database was replaced since the run was launched.",
            )
        return str(answer["status"])

    def follow(self, run_id: str, seconds: float, tick: Callable[[], None] = lambda: None) -> str:
        """Wait for a run's end; returns its status. Calls `tick` while waiting. Raises FloeError after `seconds`."""
        deadline = time.monotonic() + seconds
        while (status := self.status(run_id)) not in FINAL:
            if time.monotonic() > deadline:
                raise FloeError(
                    f"the run {run_id} is still {status} after {seconds:.0f} s", f"Open {self.url}/runs/{run_id}"
                )
            tick()
            time.sleep(0.5)
        return status

    def loaded(self, location: str) -> bool:
        """Whether a code location is loaded. Raises FloeError if it failed to load."""
        entries = self.ask(_LOCATIONS, {})["workspaceOrError"].get("locationEntries", [])
        for entry in entries:
            if entry["name"] == location and entry["loadStatus"] == "LOADED":
                if failure := (entry["locationOrLoadError"] or {}).get("message"):
                    raise FloeError(f"the code location {location} does not load: {failure}", "Read its log.")
                return True
        return False

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Send a query; returns the `data` of the answer. Raises FloeError if Dagster cannot be reached or refuses."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 # callers pass http(s) URLs only
        try:
            with urlopen(request, timeout=30) as response:  # noqa: S310 # as above
                answer = json.load(response)
        except HTTPError as error:
            raise FloeError(f"Dagster at {self.url} answers HTTP {error.code}", "Read the webserver's log.") from None
        except (URLError, OSError, ValueError) as error:
            raise FloeError(
                f"Dagster at {self.url} cannot be reached: {error}", "Check that the webserver runs."
            ) from None
        if answer.get("errors"):
            raise FloeError(
                f"Dagster at {self.url} refuses the query: {answer['errors'][0].get('message')}", "see its log"
            )
        data: dict[str, Any] = answer["data"]
        return data


def reason(answer: dict[str, Any]) -> str:
    """Dagster's own explanation in an answer that reports an error."""
    messages = [answer.get("message")] + [error.get("message") for error in answer.get("errors") or ()]
    return "; ".join(message for message in messages if message) or str(answer["__typename"])
