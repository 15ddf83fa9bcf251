"""Does in a copy of the repository what a fork does first, and runs the linters and the unit tests there.

`python tests/forked.py` is the suite `fork` of tests/ci.py. A fork's own values (registry, hosts, images, replicas,
quota, encrypted Secrets, environments) must not make anything red. The copy uses the packages that are installed in
this checkout's .venv, but its own source files. `--keep FOLDER` leaves the copy there.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import ci
from floe.repo import Checkout
from floe.yaml import load_file
from forks import git, keep_encrypted

DIGEST = "sha256:" + "0a" * 32
TAG = f"0.1.0-{'5e' * 20}@{DIGEST}"  # as the workflow `images` names an image: version, commit, digest
FORK = "--registry registry.acme.io:5000/data --repository https://git.acme.io/data/platform --domain data.acme.io"
SERVICES = {
    "dev": ("dev.acme.internal", "acme-lake-dev"),
    "staging": ("staging.acme.internal", "acme-lake-staging"),
    "prod": ("acme.internal", "acme-lake"),
}
"""By environment: the domain of its services, and the name of its bucket and warehouse."""
LEFT_OUT = " ".join(
    f"--ignore=tests/unit/test_{name}.py"
    for name in ("ci", "console", "ecommerce_generator", "process", "yaml_reading")
)
"""Unit tests that read no overlay, app or setting, and take long: a fork's values cannot make them red."""
Step = str | Callable[[Path], None]


def quota_and_replicas(folder: Path) -> None:
    """Change numbers of every environment that a fork adapts to its load."""
    for file in folder.glob("overlays/*/*/*.yaml"):
        text = file.read_text()
        text = re.sub(r"(?<=replicaCount: )2\b", "3", text)
        text = re.sub(r'(?<=    pods: ")(\d+)(?=")', lambda found: str(int(found[1]) + 5), text)
        file.write_text(text)


def services(folder: Path) -> None:
    """Name the fork's own services in the environments that get promotions, as `floe fork` asks a person to."""
    for name, (domain, word) in SERVICES.items():
        changes = {
            f"postgresql.floe-{name}.svc.cluster.local": f"db.{domain}",
            f"trino.floe-{name}.svc.cluster.local": f"trino.{domain}",
            f"polaris.floe-{name}.svc.cluster.local": f"polaris.{domain}",
            f"object-store.floe-{name}.svc.cluster.local:8333": f"s3.{domain}",
            f"bucket: floe-{name}": f"bucket: {word}",
            f"s3://floe-{name}": f"s3://{word}",
            f"warehouse: floe_{name}": f"warehouse: {word.replace('-', '_')}",
            "region: eu-central-1": "region: eu-west-3",
            "login.example.com/realms/floe": "id.acme.io/realms/data",
            "emailDomains: example.com": "emailDomains: acme.io",
        }
        for file in folder.glob(f"overlays/{name}/**/*.yaml"):
            text = file.read_text()
            for old, new in changes.items():
                text = text.replace(old, new)
            file.write_text(text)


def settings_of_apps(folder: Path) -> None:
    """Let the demonstration load more and more often, and staging load synthetic data too."""
    more = 'apps: {ecommerce: {schedule: {cron: "* * * * *"}, synthetic: {orders_per_day: 20000, defects: messy}}}\n'
    for name, lines in {"demo": more, "staging": f"synthetic: true\n{more}"}.items():
        file = folder / "overlays" / name / "platform.yaml"
        file.write_text(file.read_text() + lines)


def encrypted_secret(folder: Path) -> None:
    """Keep one of dev's Secrets in Git, as `floe secrets init` says."""
    namespace = load_file(folder / "overlays/dev/objects/namespace.yaml")["metadata"]["name"]
    names = {"name": "floe-cube", "namespace": namespace}
    keys = {"CUBEJS_API_SECRET": "x" * 300, "CUBEJS_SQL_PASSWORD": "y"}
    keep_encrypted(folder, "dev", {"apiVersion": "v1", "kind": "Secret", "metadata": names, "stringData": keys})


def committed(folder: Path) -> None:
    """Commit everything so far, also if that is nothing."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Our own values")


STEPS: tuple[Step, ...] = (
    f"floe fork {FORK}",
    committed,
    f"floe pin dev dagster {TAG}",
    f"floe pin dev cube {TAG}",
    quota_and_replicas,
    services,
    settings_of_apps,
    "floe compile demo",
    "floe compile dev",
    "floe compile staging",
    "floe compile prod",
    "floe secrets init dev",
    encrypted_secret,
    "floe charts pull --stand-ins",
    "floe charts sync",
    committed,
    "floe new env qa --from staging",
    committed,
    "floe new app returns --from ecommerce --env dev --env qa",
    committed,
    f"floe fork {FORK}",
    "make --old-file=.venv/.installed lint",
    "floe check dev qa",
    "floe-validate ENVIRONMENTS",
    f"python -m pytest tests/unit tests/docs -q {LEFT_OUT}",
)
"""Commands, in which ENVIRONMENTS stands for the names of the overlays, and functions that get the copy's folder."""


def run(folder: Path, env: Mapping[str, str]) -> int:
    """Run the steps in a copy; returns the exit code of the first one that fails, or 0."""
    for step in STEPS:
        started = time.monotonic()
        name = step if isinstance(step, str) else step.__name__
        print(f"-- {name}", flush=True)
        if not isinstance(step, str):
            step(folder)
            continue
        command = shlex.split(step.replace("ENVIRONMENTS", " ".join(Checkout(folder).environments())))
        code = subprocess.run(command, cwd=folder, env=os.environ | dict(env), check=False).returncode
        print(f"   {time.monotonic() - started:.1f} s", flush=True)
        if code:
            print(f"FAILED in a fork: {name}", file=sys.stderr)
            return code
    return 0


def main() -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser("tests/forked.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="make the copy here, and leave it there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="floe-fork-", ignore_cleanup_errors=True) as temporary:
        folder = options.keep or Path(temporary, "data platform")
        ci.copy_tree(folder)
        (folder / ".venv").symlink_to(ci.ROOT / ".venv")
        exclude = folder / ".git" / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)  # a git that is installed without its templates makes no such folder
        with exclude.open("a") as excluded:
            excluded.write("/.venv\n")  # .gitignore has only the folder, not a link
        packages = [str(folder / name) for name in ("runtime", "validators", "synthetic")]
        env = {
            "PYTHONPATH": os.pathsep.join(packages),
            "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(Path(temporary, "config")),
        }
        committed(folder)
        return run(folder, env)


if __name__ == "__main__":
    sys.exit(main())
