"""Further examples for policies, in addition to the two in each policy: edge cases with and without findings."""

from __future__ import annotations

from policy_examples import api, images, pods, references, repository, secrets, security, selectors, waivers
from policy_examples.builders import Example

EXAMPLES: dict[str, dict[str, Example]] = {
    code: examples
    for subject in (api, images, pods, references, repository, secrets, security, selectors, waivers)
    for code, examples in subject.EXAMPLES.items()
}
