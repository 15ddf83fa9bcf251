"""Every suppressed warning has a reason beside it, or in a comment on the line above."""

from __future__ import annotations

import re
import subprocess

from rendering import ROOT

_KINDS = (
    r"noqa(:\s*[A-Z0-9, ]+)?",
    r"type:\s*ignore(\[[a-z, -]+\])?",
    r"hadolint ignore=\w+",
    r"shellcheck disable=\w+",
)
SUPPRESSION = re.compile(rf"#\s*({'|'.join(_KINDS)})(?P<rest>.*)$")


def unexplained(lines: list[str]) -> list[str]:
    """The lines with a suppression that neither ends in a reason nor follows a comment."""
    return [
        line.strip()
        for above, line in zip(["", *lines], lines, strict=False)
        if (suppression := SUPPRESSION.search(line))
        and not re.match(r"\s*[#-]\s*\w", suppression["rest"])
        and not above.strip().startswith("#")
    ]


def test_every_suppression_has_a_reason() -> None:
    command = ["git", "grep", "-lIE", "noqa|type: ?ignore|hadolint ignore|shellcheck disable"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    files = [ROOT / name for name in names if name != "tests/unit/test_suppressions.py"]
    assert len(files) > 10
    lines = {file.relative_to(ROOT).as_posix(): unexplained(file.read_text().splitlines()) for file in files}
    assert not {name: bare for name, bare in lines.items() if bare}


def test_a_suppression_without_a_reason_is_found() -> None:
    bare, explained = "x = 1  # noqa: S108", "y = 2  # noqa: S108 # in the container"
    assert unexplained([bare, explained, "# why", "# hadolint ignore=X"]) == [bare]
