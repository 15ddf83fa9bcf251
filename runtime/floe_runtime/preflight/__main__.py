"""`python -m floe_runtime.preflight`: checks, in a pod, every service that the mounted CompiledArtifacts name."""

from __future__ import annotations

import sys

from floe_runtime.contract import artifacts
from floe_runtime.errors import in_words
from floe_runtime.preflight.report import run


def main() -> None:
    """Exit with 0 if all checks passed, with 1 if one failed, with 2 if the artifacts cannot be read."""
    with in_words():
        compiled = artifacts.mounted()
        sys.exit(run(compiled.environment, compiled.platform))


if __name__ == "__main__":
    main()
