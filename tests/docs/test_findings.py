"""docs/08-findings.md contains the explanations of all policies of floe-validate."""

from __future__ import annotations

import re

import pytest

from floe.errors import FloeError
from floe.validate import findings_page
from rendering import ROOT

WRITTEN = (ROOT / findings_page.PAGE).read_text()


def test_the_page_is_up_to_date() -> None:
    assert findings_page.page(WRITTEN) == WRITTEN, f"{findings_page.PAGE} is out of date: run `make findings`"


def test_only_the_generated_part_is_replaced() -> None:
    generated = findings_page.page(WRITTEN).partition(findings_page.MARK)[2]
    begun = f"# Other words\n\n{findings_page.MARK}"
    assert findings_page.page(f"{begun}what stood there") == begun + generated


def test_a_page_without_a_mark_is_an_error() -> None:
    with pytest.raises(FloeError, match="has no mark at the end of its introduction"):
        findings_page.page("# What floe-validate finds\n")


def test_placeholders_are_within_code() -> None:
    """Outside of code, a browser would treat a placeholder such as `<env>` as a tag and not show it."""
    assert not re.findall(r"<[a-z]+>", re.sub(r"```.*?```|`[^`]*`", "", WRITTEN, flags=re.DOTALL))
