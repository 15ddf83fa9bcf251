"""Writes the results of `floe check`: text for a person, JSON for a program, workflow commands for GitHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from rich.markup import escape

from floe import console
from floe.check.checks import Result


def text(results: Iterable[Result]) -> list[Result]:
    """Print each result as soon as it is known; returns all results."""
    out, subject, collected, shown = console.out(), "", [], set()
    for result in results:
        collected.append(result)
        if result.subject != subject:
            subject = result.subject
            out.print(f"[bold]{subject}[/]")
        mark = "[red]✗[/]" if result.failed else "[yellow]![/]" if result.problems else "[green]✓[/]"
        if result.left_out:
            out.print(f"  - {result.check}: left out, since {result.left_out}")
        else:
            out.print(f"  {mark} {result.check} [dim]({result.seconds:.1f} s)[/]")
        for problem in result.problems:
            place = f"{problem.file}, line {problem.line}" if problem.line else problem.file
            where = f" [dim]({escape(place)})[/]" if place and place not in problem.message else ""
            out.print(f"      {escape(problem.message)}{where}")
            if (subject, problem.remedy) not in shown:  # once for all problems of an environment that it remedies
                out.print(f"      [dim]next: {escape(problem.remedy)}[/]")
            shown.add((subject, problem.remedy))
    failed = sum(result.failed for result in collected)
    warnings = sum(not problem.is_error for result in collected for problem in result.problems)
    words = [_count(len(collected), "check")]
    words += [f"[red]{failed} failed[/]" if failed else "[green]ok[/]"]
    words += [f"[yellow]{_count(warnings, 'warning')}[/]"] if warnings else []
    out.print(", ".join(words))
    return collected


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def as_json(results: Iterable[Result]) -> list[Result]:
    """Print all results as one JSON document; returns them."""
    collected = list(results)
    print(json.dumps({"results": [asdict(one) | {"ok": not one.failed} for one in collected]}, indent=2))
    return collected


def github(results: Iterable[Result]) -> list[Result]:
    """Print the text, and for each problem an annotation that GitHub shows in the pull request; returns the results."""
    collected = text(results)
    for result in collected:
        for problem in result.problems:
            place = f"file={_escaped(problem.file, ',:')}," if problem.file else ""
            place += f"line={problem.line}," if problem.line else ""
            level = "error" if problem.is_error else "warning"
            title = _escaped(f"{result.subject}: {result.check}", ",:")
            print(f"::{level} {place}title={title}::{_escaped(f'{problem.message} {problem.remedy}')}")
    return collected


def _escaped(words: str, signs: str = "") -> str:
    """The form in which a workflow command contains a text; `signs` are further characters to escape."""
    return "".join(f"%{ord(sign):02X}" if sign in f"%\r\n{signs}" else sign for sign in words)


WRITERS: dict[str, Callable[[Iterable[Result]], list[Result]]] = {"text": text, "json": as_json, "github": github}
