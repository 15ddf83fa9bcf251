"""Output formats of a report: text for a terminal, markdown for a pull request, JSON for a program."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from difflib import unified_diff
from typing import Any

import yaml

from floe import console
from floe.diff.changes import Comparison, Field, ObjectChange, Report
from floe.yaml.scalars import resolve

_CONTEXT = 2  # lines around a change in a text
_COMMENT = 65_536  # characters that GitHub accepts in a comment
_LISTED = 100  # objects that a comment lists by name
Line = tuple[str, str]
"""A mark and the text of a line. The marks: "+" new, "-" old, "@" path of a field, " " unchanged."""


def text(report: Report) -> None:
    """Print the differences of each environment, followed by its summary."""
    from rich.text import Text

    out = console.out()
    colours = {"+": "green", "-": "red", "@": "cyan", "changed": "yellow", "added": "green", "removed": "red"}
    for comparison in report.environments:
        for change in comparison.objects:
            out.print(Text.assemble((_label(change), "bold"), " ", (_change_words(change), colours[change.change])))
            for mark, line in _lines(change, inline=True):
                out.print(Text(f"  {line}" if mark in "@ " else f"  {mark} {line}", style=colours.get(mark, "")))
            out.print()
        out.print(Text(comparison.summary, style="bold"))


def as_json(report: Report) -> None:
    """Print the report as JSON, with the fields of floe.diff.changes.Report."""
    print(json.dumps(report.model_dump(), indent=2, ensure_ascii=False))


def as_markdown(report: Report) -> None:
    """Print the report as a comment for a pull request, within GitHub's size limit."""
    print(markdown(report), end="")


def markdown(report: Report, limit: int = _COMMENT) -> str:
    """The summaries, then for each environment the names of changed objects and their differences.

    `limit`: characters of the result. What does not fit is replaced by a count and the command that shows it.
    """
    parts = ["\n".join(f"**{_escaped(comparison.summary)}**  " for comparison in report.environments) + "\n"]
    left = limit - len(parts[0])
    for number, comparison in enumerate(report.environments):
        share = left // (
            len(report.environments) - number
        )  # the unused part of a share goes to the environments after it
        section = _section(comparison, share)
        parts.append(section)
        left -= len(section)
    return "".join(parts)


def _section(comparison: Comparison, limit: int) -> str:
    if not comparison.objects:
        return ""
    head = f"\n### {_escaped(comparison.environment)}\n\n"
    command = f"`floe diff {comparison.environment} --base {comparison.base}`"
    left = limit - len(head) - 2 * len(_more_words(len(comparison.objects), command))
    listed: list[str] = []
    for change in comparison.objects[:_LISTED]:
        line = f"- {change.change} `{_label(change)}`\n"
        if len(line) > left // 2:
            break
        listed.append(line)
        left -= len(line)
    details = []
    for change in comparison.objects:
        block = _details(change)
        if len(block) <= left:
            details.append(block)
            left -= len(block)
    unlisted, undetailed = len(comparison.objects) - len(listed), len(comparison.objects) - len(details)
    parts = [head, *listed, _more_words(unlisted, command) if unlisted else "", "\n", *details]
    if undetailed:
        parts.append(f"\n{undetailed} more object{'s' * (undetailed != 1)} not shown in full: {command}\n")
    result = "".join(parts)
    return result if len(result) <= limit else ""


def _more_words(count: int, command: str) -> str:
    return f"- {count} more object{'s' * (count != 1)}: {command}\n"


def _details(change: ObjectChange) -> str:
    body = "\n".join(
        f"@@ {line} @@" if mark == "@" and not line.startswith("@@") else f"{mark.replace('@', '')}{line}"
        for mark, line in _lines(change, inline=False)
    )
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", body)), 3)
    title = html.escape(f"{_label(change)} {_change_words(change)}")
    return f"<details><summary>{title}</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>\n"


def _label(change: ObjectChange) -> str:
    return _printable(change.label)


def _change_words(change: ObjectChange) -> str:
    return _printable(f"{change.change}, renamed from {change.renamed_from}" if change.renamed_from else change.change)


def _escaped(words: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|#~])", r"\\\1", words)


def _lines(change: ObjectChange, *, inline: bool) -> Iterator[Line]:
    """The differences in an object. `inline`: put a scalar's old and new value on one line."""
    if change.object is not None:
        yield from (("+" if change.change == "added" else "-", line) for line in _yaml_lines(change.object))
    for field in change.fields:
        yield from ((mark, _printable(line)) for mark, line in _field_lines(field, inline=inline))


def _field_lines(field: Field, *, inline: bool) -> Iterator[Line]:
    old, new = field.old, field.new
    if field.change in ("added", "removed"):
        mark, value = ("+", new) if field.change == "added" else ("-", old)
        if isinstance(value, dict | list) and value:
            yield "@", field.path
            yield from ((mark, line) for line in _yaml_lines(value))
        elif inline:
            yield mark, f"{field.path}: {_scalar(value)}"
        else:
            yield "@", field.path
            yield mark, _scalar(value)
    elif isinstance(old, str) and isinstance(new, str) and ("\n" in old or "\n" in new):
        yield "@", field.path
        diff = list(unified_diff(_text_lines(old), _text_lines(new), n=_CONTEXT, lineterm=""))[2:]
        yield from (
            ("@" if line.startswith("@@") else line[0], line if line.startswith("@@") else line[1:]) for line in diff
        )
    elif isinstance(old, dict | list) or isinstance(new, dict | list):
        yield "@", f"{field.path} (order)" if field.change == "reordered" else field.path
        yield from (("-", line) for line in _yaml_lines(old))
        yield from (("+", line) for line in _yaml_lines(new))
    elif inline:
        yield "@", f"{field.path}: {_scalar(old)} → {_scalar(new)}"
    else:
        yield "@", field.path
        yield "-", _scalar(old)
        yield "+", _scalar(new)


def _text_lines(value: str) -> list[str]:
    lines = value.split("\n")
    return lines[:-1] if lines[-1] == "" else [*lines[:-1], f"{lines[-1]}⏎ missing"]


def _printable(line: str) -> str:
    """The line with control characters escaped, since a terminal would interpret them."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() or char == "\t" else json.dumps(char)[1:-1] for char in line)


def _scalar(value: Any) -> str:
    """A scalar in YAML: text is quoted only if it would otherwise be read as another type."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        plain = value.isprintable() and value == value.strip() and resolve(value) == value
    except ValueError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)


class _Dumper(yaml.SafeDumper):
    """Dump multi-line text in block style, so that it stays readable."""


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _represent_text)


def _yaml_lines(value: Any) -> list[str]:
    dumped = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return [_printable(line) for line in dumped.splitlines() if line != "..."]


WRITERS: dict[str, Callable[[Report], None]] = {"text": text, "markdown": as_markdown, "json": as_json}
