"""The queries of Dagster's GraphQL API that tests need in addition to those of the demo."""

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

_LOCATIONS = "query Locations { workspaceOrError { ... on Workspace { locationEntries { name } } } }"

_ASSETS = "query Assets { assetNodes { assetKey { path } } }"


@dataclass(frozen=True)
class Run:
    """A run with its status and tags."""

    run_id: str
    status: str
    tags: dict[str, str]


class Dagster(dagster_api.Dagster):
    """The API of a webserver, with queries for runs, schedules and assets."""

    def runs(self, tags: dict[str, str]) -> list[Run]:
        """The runs that have all of these tags, the latest first. Raises FloeError if Dagster does not list them."""
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        answer = self.ask(_RUNS, {"tags": listed})["runsOrError"]
        if answer["__typename"] != "Runs":
            raise FloeError(f"Dagster cannot list its runs: {reason(answer)}", "Read the log of the webserver.")
        return [
            Run(one["runId"], one["status"], {tag["key"]: tag["value"] for tag in one["tags"]})
            for one in answer["results"]
        ]

    def schedules(self, location: str) -> dict[str, str]:
        """The status of each schedule of a code location, RUNNING or STOPPED.

        Raises FloeError if Dagster does not list them, for example because it has not loaded the code location.
        """
        selector = {"repositoryLocationName": location, "repositoryName": REPOSITORY}
        answer = self.ask(_SCHEDULES, {"selector": selector})["schedulesOrError"]
        if answer["__typename"] != "Schedules":
            raise FloeError(
                f"Dagster cannot list the schedules of {location}: {reason(answer)}", "Check that it has been loaded."
            )
        return {schedule["name"]: schedule["scheduleState"]["status"] for schedule in answer["results"]}

    def locations(self) -> set[str]:
        """The names of the code locations of the workspace, loaded or not."""
        return {entry["name"] for entry in self.ask(_LOCATIONS, {})["workspaceOrError"]["locationEntries"]}

    def assets(self) -> list[list[str]]:
        """The path of the key of each asset, in all code locations."""
        return [node["assetKey"]["path"] for node in self.ask(_ASSETS, {})["assetNodes"]]
