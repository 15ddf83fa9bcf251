"""Writes reports as text for a person, JSON for a program, SARIF for code scanning or workflow commands for GitHub."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from floe import console, repo
from floe.errors import FloeError
from floe.validate.findings import Finding
from floe.validate.policies import POLICIES, Policy
from floe.validate.policies.policy import plain
from floe.validate.validation import Report


def text(reports: Sequence[Report]) -> None:
    """Print the findings for a person, and one line with the result of each report.

    Waived findings are counted in that line and not printed.
    """
    paint = console.paint()
    for report in reports:
        for finding in report.findings:
            if finding.waived:
                continue
            colour = "red" if finding.severity == "error" else "yellow"
            place = [f"{finding.source}, document {finding.document}, line {finding.line}"]
            line = f" line {finding.file_line}" if finding.file_line else ""
            place += [f"from {finding.file}{line}"] if finding.file else []
            where = ", ".join(place)
            head = paint(f"{finding.code} {finding.severity}", colour)
            print(f"{head} {paint(finding.object, 'bold')} {paint(f'({where})', 'dim')}")
            print(f"  {finding.message}")
            print(f"  {paint(f'next: {finding.remedy}', 'dim')}")
        for codes, reason in _omissions_by_reason(report):
            print(paint(f"left out: {codes}: {reason}", "dim"))
        print(f"{report.source}: {verdict(report, paint)}")


def verdict(report: Report, paint: console.Paint) -> str:
    """A summary of one report: `31 objects, ok, 1 warning, 2 waived`."""
    errors, warnings = report.count("error"), report.count("warning")
    objects = f"{report.objects} object{'s' * (report.objects != 1)}"
    words = [objects, paint(f"{errors} error{'s' * (errors != 1)}", "red") if errors else paint("ok", "green")]
    if warnings:
        words.append(paint(f"{warnings} warning{'s' * (warnings != 1)}", "yellow"))
    if waived := sum(bool(finding.waived) for finding in report.findings):
        words.append(f"{waived} waived")
    return ", ".join(words)


def _omissions_by_reason(report: Report) -> Iterator[tuple[str, str]]:
    """(codes, reason) of the policies that could not run, with one entry for each reason."""
    by_reason: dict[str, list[str]] = {}
    for omission in report.left_out:
        by_reason.setdefault(omission.reason, []).append(omission.code)
    return ((", ".join(codes), reason) for reason, codes in by_reason.items())


def as_json(reports: Sequence[Report]) -> None:
    """Print all reports as one JSON document, waived findings included."""
    json.dump({"reports": [asdict(report) for report in reports]}, sys.stdout, indent=2)
    print()


def github(reports: Sequence[Report]) -> None:
    """Print workflow commands, which GitHub shows as annotations in the files of a pull request."""
    for report in reports:
        for finding in report.findings:
            if not finding.waived:
                uri, line = _annotated_place(report, finding)
                place = {"file": uri, "line": str(line or ""), "title": f"{finding.code} {finding.object}"}
                words = ",".join(f"{key}={_escaped_property(value)}" for key, value in place.items() if value)
                print(f"::{finding.severity} {words}::{_escaped_message(_finding_sentence(finding))}")
        for codes, reason in _omissions_by_reason(report):
            print(f"::notice title={_escaped_property(f'left out: {codes}')}::{_escaped_message(reason)}")


def _finding_sentence(finding: Finding) -> str:
    return f"{finding.message} ({finding.source}, document {finding.document}, line {finding.line}). {finding.remedy}"


def _escaped_property(text: str) -> str:
    return _escaped_message(text).replace(":", "%3A").replace(",", "%2C")


def _escaped_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _annotated_place(report: Report, finding: Finding) -> tuple[str, int | None]:
    """The file that an annotation points at, and the line if the stream itself is that file.

    A rendered stream is not a file. If the source of an object is unknown, the file is the kustomization of the
    overlay.
    """
    if finding.file:
        return finding.file, finding.file_line or None
    if report.is_file:
        return finding.source, finding.line
    return (
        f"overlays/{report.environment}/kustomization.yaml" if report.environment in _known_environments() else "",
        None,
    )


def _known_environments() -> list[str]:
    try:
        return repo.current().environments()
    except FloeError:
        return []


def sarif(reports: Sequence[Report]) -> None:
    """Print a SARIF 2.1.0 log for code scanning; waived findings are marked as suppressed."""
    from importlib.metadata import version

    rules = {policy.code: number for number, policy in enumerate(POLICIES)}
    run = {
        "tool": {
            "driver": {
                "name": "floe-validate",
                "version": version("floe-deploy"),
                "rules": [*map(_sarif_rule, POLICIES)],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {
                        "level": "note",
                        "associatedRule": {"id": omission.code, "index": rules[omission.code]},
                        "message": {"text": f"{report.source}: left out: {omission.reason}"},
                    }
                    for report in reports
                    for omission in report.left_out
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [
            _sarif_result(report, finding, rules[finding.code]) for report in reports for finding in report.findings
        ],
    }
    json.dump({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, sys.stdout, indent=2)
    print()


_SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def _sarif_rule(policy: Policy) -> dict[str, Any]:
    return {
        "id": policy.code,
        "shortDescription": {"text": policy.title},
        "fullDescription": {"text": policy.why},
        "help": {"text": policy.remedy},
        "defaultConfiguration": {"level": policy.severity},
    }


def _sarif_result(report: Report, finding: Finding, rule: int) -> dict[str, Any]:
    import hashlib
    from urllib.parse import quote

    uri, line = _annotated_place(report, finding)
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(uri or finding.source)}}
    if line:
        physical["region"] = {"startLine": line}
    # The fingerprint identifies a finding in several runs. It leaves out the line, which changes with other objects.
    identity = hashlib.sha256("\0".join((finding.code, finding.object, finding.message)).encode(errors="replace"))
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": f"{finding.object}: {finding.message}. {finding.remedy}"},
        "locations": [
            {
                "physicalLocation": physical,
                "logicalLocations": [{"fullyQualifiedName": finding.object, "kind": "object"}],
            }
        ],
        "partialFingerprints": {"finding/v1": identity.hexdigest()},
        "properties": {"source": finding.source, "document": finding.document, "line": finding.line},
    }
    if finding.waived:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.waived}]
    return result


_LONGEST = 20
"""The most lines that an example may have to be shown in an explanation."""


def explanation(policy: Policy) -> str:
    """What a code means, what to do, and examples, in Markdown that is also readable as plain text."""
    return (
        f"{policy.code} {policy.title} ({policy.severity})\n\n{policy.why}\n\n"
        f"What to do: {policy.remedy} {_waiver(policy)}\n"
        + _example("This fails:", policy.fails)
        + _example("This passes:", policy.passes)
    )


def _waiver(policy: Policy) -> str:
    if policy.waiver:
        return policy.waiver
    return "A waiver may let this finding stand for a while." if policy.waivable else "This finding cannot be waived."


def _example(caption: str, example: str) -> str:
    """The example as a code block; an empty text if the example is too long."""
    text = plain(example)
    return f"\n{caption}\n\n```yaml\n{text}```\n" if text.count("\n") <= _LONGEST else ""


WRITERS: dict[str, Callable[[Sequence[Report]], None]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
    "github": github,
}
