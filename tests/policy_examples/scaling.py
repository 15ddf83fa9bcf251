"""Examples for the policy on replicas beside an autoscaler."""

from __future__ import annotations

from policy_examples.builders import Example, bad, good
from policy_examples.selectors import deployment, scaler

EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE028": {
        "the-least-number": good(deployment(2), scaler(2)),
        "another-number": bad(deployment(3), scaler(2), says="spec.replicas is 3, but a HorizontalPodAutoscaler"),
        "switched-off": bad(deployment(0), scaler(2), says="spec.replicas is 0"),
        "of-another-workload": good(deployment(3), scaler(2, "other")),
        "without-an-autoscaler": good(deployment(3)),
    },
}
