"""A cluster that follows its fork by Flux: its first day, and what tests and benchmarks ask of it."""

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
    """What a person does on the first day with dev; returns seconds until all is Ready.

    `folder` gets what source-controller stores, and the key of dev's Secrets.
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
    """Whether an object says that it is."""
    return bool(one.condition(kind, place, name).get("status") == "True")


def applied(one: Following, commit: str, environment: str = "dev") -> bool:
    """Whether an environment is at a commit, and well."""
    name = f"floe-{environment}"
    revision = one.kubectl.get("kustomization", name, f"--namespace={FLUX}")["status"].get("lastAppliedRevision", "")
    return bool(revision.endswith(commit)) and ready(one, "kustomization", FLUX, name)


def tell(one: Following, kind: str, name: str, place: str = FLUX) -> None:
    """Ask for a reconciliation now: of a GitRepository it is what the webhook's receiver does."""
    at = f"reconcile.fluxcd.io/requestedAt={time.time()}"
    one.kubectl("annotate", "--overwrite", kind, name, at, f"--namespace={place}")
