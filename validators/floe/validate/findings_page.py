"""`make findings`: write what docs/08-findings.md says of each code; its introduction is written by hand."""

from __future__ import annotations

import re

from floe import console, repo
from floe.errors import FloeError
from floe.validate.output import explanation
from floe.validate.policies import POLICIES, Policy

PAGE = "docs/08-findings.md"
MARK = "<!-- `make findings` writes everything below this line. -->\n"
_HEAD = "| code | what is wrong | severity | what is looked at |\n|---|---|---|---|\n"


def page(text: str) -> str:
    """The page as it should be, given the one that is there. Raises FloeError where its introduction has no end."""
    introduction, mark, _ = text.partition(MARK)
    if not mark:
        raise FloeError(f"{PAGE} does not say where its introduction ends", f"add the line {MARK.strip()}")
    rows = "".join(map(_row, POLICIES))
    sections = "".join(f"\n## {explanation(policy)}" for policy in POLICIES)
    return f"{introduction}{mark}\n{_HEAD}{rows}{sections}"


def _row(policy: Policy) -> str:
    """A line of the table, which leads to the section."""
    heading = explanation(policy).partition("\n")[0]
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"| [{policy.code}](#{anchor}) | {policy.title} | {policy.severity} | {policy.stage.value} |\n"


def main() -> None:
    """Write the page anew."""
    file = repo.root() / PAGE
    file.write_text(page(file.read_text()))


if __name__ == "__main__":
    console.run(main)
