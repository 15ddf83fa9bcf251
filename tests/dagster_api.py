"""Dagster's GraphQL API, as far as tests need more of it than the demo."""

from __future__ import annotations

from dataclasses import dataclass

from floe.demo import dagster_api
from floe.demo.dagster_api import REPOSITORY, reason
from floe.errors import FloeError

_RUNS = """
query Runs($tags: [ExecutionTag!]!) {
  runsOrError(filter: {tags: $tags}) {
    __typename
    ... on Runs { results { runId status tags { key value } } }
    ... on PythonError { message }
  }
}
"""

_SCHEDULES = """
query Schedules($selector: RepositorySelector!) {
  schedulesOrError(repositorySelector: $selector) {
    __typename
    ... on Schedules { results { name scheduleState { status } } }
    ... on PythonError { message }
    ... on RepositoryNotFoundError { message }
  }
}
"""

_ASSETS = "query Assets { assetNodes { assetKey { path } } }"


@dataclass(frozen=True)
class Run:
    """A run, with the tags it carries."""

    run_id: str
    status: str
    tags: dict[str, str]


class Dagster(dagster_api.Dagster):
    """A webserver's API, with what it knows of runs, schedules and assets."""

    def runs(self, tags: dict[str, str]) -> list[Run]:
        """Every run with these tags, the latest first."""
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        answer = self.ask(_RUNS, {"tags": listed})["runsOrError"]
        if answer["__typename"] != "Runs":
            raise FloeError(f"Dagster lists no runs: {reason(answer)}", "see the webserver's log")
        return [
            Run(one["runId"], one["status"], {tag["key"]: tag["value"] for tag in one["tags"]})
            for one in answer["results"]
        ]

    def schedules(self, location: str) -> dict[str, str]:
        """Status of each schedule of a code location: RUNNING or STOPPED."""
        selector = {"repositoryLocationName": location, "repositoryName": REPOSITORY}
        answer = self.ask(_SCHEDULES, {"selector": selector})["schedulesOrError"]
        if answer["__typename"] != "Schedules":
            raise FloeError(f"Dagster lists no schedules of {location}: {reason(answer)}", "is it loaded?")
        return {schedule["name"]: schedule["scheduleState"]["status"] for schedule in answer["results"]}

    def assets(self) -> list[list[str]]:
        """The path of each asset's key, of every code location."""
        return [node["assetKey"]["path"] for node in self.ask(_ASSETS, {})["assetNodes"]]
