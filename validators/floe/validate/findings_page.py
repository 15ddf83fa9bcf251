"""`make findings`: generate the part of docs/08-findings.md that explains each code.

The introduction of the page is written by hand and kept.
"""

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
    """The current text of the page with its generated part replaced. Raises FloeError if the page lacks MARK."""
    introduction, mark, _ = text.partition(MARK)
    if not mark:
        raise FloeError(f"{PAGE} has no mark at the end of its introduction", f"add the line {MARK.strip()}")
    rows = "".join(map(_table_row, POLICIES))
    sections = "".join(f"\n## {explanation(policy)}" for policy in POLICIES)
    return f"{introduction}{mark}\n{_HEAD}{rows}{sections}"


def _table_row(policy: Policy) -> str:
    """One row of the table, with a link to the section of the policy."""
    heading = explanation(policy).partition("\n")[0]
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"| [{policy.code}](#{anchor}) | {policy.title} | {policy.severity} | {policy.stage.value} |\n"


def main() -> None:
    """Generate the page and write it to its file."""
    file = repo.current().root / PAGE
    file.write_text(page(file.read_text()))


if __name__ == "__main__":
    console.run(main)
