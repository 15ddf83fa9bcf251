"""docs/08-findings.md explains every code of floe-validate, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from floe.validate import output
from floe.validate.policies import POLICIES
from rendering import ROOT

PAGE = ROOT / "docs" / "08-findings.md"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.code)
def test_the_page_explains_every_code(policy: Any) -> None:
    assert f"\n## {output.explanation(policy)}" in PAGE.read_text()


def test_the_page_explains_nothing_else() -> None:
    headings = [line.split()[1] for line in PAGE.read_text().splitlines() if line.startswith("## FLOE")]
    assert headings == [policy.code for policy in POLICIES]
