"""Runs kubectl on one cluster and returns its answers as objects."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floe.tools import resolve

Object = dict[str, Any]
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a kubeconfig, a context and a namespace; an empty one is left to kubectl."""

    kubeconfig: Path | None = None
    context: str = ""
    namespace: str = ""

    def command(self, *arguments: str) -> list[str]:
        """The command with the options of this instance."""
        options = [f"--{name}={value}" for name, value in vars(self).items() if value]
        if self.kubeconfig:
            options.append(f"--cache-dir={self.kubeconfig.parent / 'kubectl-cache'}")
        return [str(resolve("kubectl")), *options, *arguments]

    def run(
        self, *arguments: str, stdin: bytes = b"", timeout: float = TIMEOUT_SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        """Run kubectl and return the result, whether it succeeds or not."""
        return subprocess.run(
            self.command(*arguments),
            env=os.environ.copy(),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=timeout,
        )

    def __call__(self, *arguments: str, stdin: bytes = b"", timeout: float = TIMEOUT_SECONDS) -> str:
        """Run kubectl and return its output. Raises AssertionError with its error message if it fails."""
        done = self.run(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode()

    def get(self, *arguments: str) -> Any:
        """Run `kubectl get`; returns the object, or the items if the answer is a list."""
        answer = json.loads(self("get", "--output=json", *arguments))
        return answer.get("items", answer)

    def apply(self, *objects: Object) -> None:
        """Apply objects by server-side apply, and take over fields of other managers."""
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=content.encode())
