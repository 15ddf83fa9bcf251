"""Further examples for policies, in addition to the two in each policy: edge cases with and without findings."""

from __future__ import annotations

from policy_examples import (
    api,
    environments,
    images,
    references,
    repository,
    scaling,
    secrets,
    security,
    selectors,
    waivers,
    workloads,
)
from policy_examples.builders import Example

EXAMPLES: dict[str, dict[str, Example]] = {
    code: examples
    for subject in (
        api,
        environments,
        images,
        references,
        repository,
        scaling,
        secrets,
        security,
        selectors,
        waivers,
        workloads,
    )
    for code, examples in subject.EXAMPLES.items()
}
