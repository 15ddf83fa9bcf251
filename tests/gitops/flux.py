"""A cluster that follows its fork with Flux: the bootstrap, and helpers for tests and benchmarks."""

from __future__ import annotations

import time
from pathlib import Path

from cluster.deployed import READY_SECONDS
from forks import floe, keep_encrypted
from gitops.controllers import FLUX, start_flux
from gitops.following import Following, secret

RELEASES = ("cube", "cubestore", "dagster")
KUSTOMIZATIONS = ("floe-cluster-dev", "floe-dev", "floe-secrets-dev")


def first_day(one: Following, folder: Path) -> float:
    """Do what a person does on the first day with dev; returns the seconds from the bootstrap until all is Ready.

    `folder`: where source-controller stores its artifacts and the key of dev's Secrets is written.
    """
    start_flux(one.node, one.kubectl, one.running, folder)
    key = folder / "dev.agekey"
    done = floe(one.fork.folder, "secrets", "init", "dev", "--key", str(key))
    assert done.returncode == 0, done.stderr.decode()
    for name, content in one.dev.secrets.items():
        keep_encrypted(one.fork.folder, "dev", secret(name, one.dev.namespace, content))
    one.fork.push("as it is")
    started = time.monotonic()
    one.kubectl("create", "secret", "generic", "sops-age", f"--namespace={FLUX}", f"--from-file={key}")
    one.bootstrap("dev/flux")
    one.wait(lambda: all(ready(one, "kustomization", FLUX, name) for name in KUSTOMIZATIONS), READY_SECONDS)
    one.wait(lambda: all(ready(one, "helmrelease", "floe-dev", name) for name in RELEASES), READY_SECONDS)
    one.dev.wait_ready()
    return time.monotonic() - started


def ready(one: Following, kind: str, place: str, name: str) -> bool:
    """Whether the condition Ready of an object is true."""
    return bool(one.condition(kind, place, name).get("status") == "True")


def applied(one: Following, commit: str, environment: str = "dev") -> bool:
    """Whether the Kustomization of an environment is Ready at a commit."""
    name = f"floe-{environment}"
    revision = one.kubectl.get("kustomization", name, f"--namespace={FLUX}")["status"].get("lastAppliedRevision", "")
    return bool(revision.endswith(commit)) and ready(one, "kustomization", FLUX, name)


def tell(one: Following, kind: str, name: str, place: str = FLUX) -> None:
    """Request a reconciliation now. For a GitRepository, the receiver of a webhook does the same."""
    at = f"reconcile.fluxcd.io/requestedAt={time.time()}"
    one.kubectl("annotate", "--overwrite", kind, name, at, f"--namespace={place}")
