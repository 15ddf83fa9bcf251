"""Encrypted Secrets in Git with the real sops and age: from `floe secrets init` to the Secret in a cluster."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from pyrage.x25519 import Identity

from floe import repo, tools
from floe.yaml import documents
from forks import commit, edit, floe, git
from rendering import ROOT

NAME = "floe-postgres"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An empty folder for settings, so that no other key is used."""
    tools.resolve("sops")
    return {"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("home")), "SOPS_AGE_KEY_FILE": os.devnull}


def encrypt(folder: Path, environment: str, value: str) -> Path:
    """Encrypt a value from a pipe into a file, as the output of the command describes."""
    file = folder / "overlays" / environment / "secrets" / f"{NAME}.yaml"
    create = [str(tools.resolve("kubectl")), "create", "secret", "generic", NAME, "--namespace", f"floe-{environment}"]
    create += ["--from-file=postgresql-password=/dev/stdin", "--dry-run=client", "--output=yaml"]
    plain = subprocess.run(create, input=value.encode(), check=True, capture_output=True).stdout
    where = ["encrypt", "--filename-override", str(file.relative_to(folder))]
    done = subprocess.run([tools.resolve("sops"), *where], input=plain, check=True, capture_output=True, cwd=folder)
    file.write_bytes(done.stdout)
    edit(file.parent / "kustomization.yaml", "  - namespace.yaml\n", f"  - namespace.yaml\n  - {NAME}.yaml\n")
    return file


def decrypt(file: Path, key: Path) -> subprocess.CompletedProcess[bytes]:
    env = os.environ | {"SOPS_AGE_KEY_FILE": str(key), "XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull}
    return subprocess.run([tools.resolve("sops"), "decrypt", file], env=env, capture_output=True, check=False)


def build(folder: Path) -> bytes:
    return subprocess.run([tools.resolve("kustomize"), "build", folder], check=True, capture_output=True).stdout


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_a_secret_is_encrypted_committed_and_decrypted(fork: Path, home: dict[str, str], environment: str) -> None:
    done = floe(fork, "secrets", "init", environment, **home)
    assert done.returncode == 0, done.stderr.decode()
    instructions = done.stdout.decode()
    assert "\n     floe-cube: CUBEJS_API_SECRET, CUBEJS_SQL_PASSWORD\n" in instructions
    assert "\n     floe-postgres: postgresql-password\n" in instructions
    assert ("\n     dagster-tls\n" in instructions) == (environment == "prod")
    key = Path(home["XDG_CONFIG_HOME"]) / "floe" / f"{environment}.agekey"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (private,) = (line for line in key.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))
    value = secrets.token_urlsafe()
    file = encrypt(fork, environment, value)
    commit(fork, "secrets")
    known = git(fork, "grep", "--all-match", "--fixed-strings", "-e", "age1", "HEAD")
    assert "overlays" in known
    assert ".sops.yaml" in known
    everything = git(fork, "show", "HEAD") + done.stdout.decode() + done.stderr.decode()
    for plain in (value, base64.b64encode(value.encode()).decode(), private):
        assert plain not in everything

    opened = yaml.safe_load(decrypt(file, key).stdout)
    assert base64.b64decode(opened["data"]["postgresql-password"]).decode() == value
    assert "sops" not in opened
    other = key.with_name("other.agekey")
    other.unlink(missing_ok=True)
    other.write_text(str(Identity.generate()))
    assert decrypt(file, other).returncode != 0

    # Rendering needs no key, and floe-validate accepts only encrypted values.
    stream = build(file.parent)
    validated = subprocess.run([floe_validate(), "-"], input=stream, capture_output=True, check=False, cwd=fork)
    assert validated.returncode == 0, validated.stdout.decode()
    leaked = stream.replace(b"ENC[AES256_GCM,", b"")
    assert b"FLOE011" in subprocess.run([floe_validate(), "-"], input=leaked, capture_output=True, check=False).stdout
    assert [one.value["kind"] for one in documents(stream, "x")] == ["Namespace", "Secret"]
    assert b"ENC[" not in floe(fork, "render", environment).stdout


def test_a_plain_secret_in_the_folder_is_found(fork: Path) -> None:
    value = secrets.token_hex()
    file = fork / "overlays" / "dev" / "secrets" / "floe-postgres.yaml"
    file.write_text(
        f"{{apiVersion: v1, kind: Secret, metadata: {{name: floe-postgres}}, stringData: {{a: {value}}}}}\n"
    )
    done = subprocess.run([floe_validate(), "dev"], cwd=fork, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "FLOE011" in done.stdout
    assert "overlays/dev/secrets/floe-postgres.yaml: stringData.a of the Secret floe-postgres is" in done.stdout
    assert value not in done.stdout + done.stderr
    file.write_text("a: [")
    done = subprocess.run([floe_validate(), "dev"], cwd=fork, capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot be read" in done.stdout) == (1, True)


def floe_validate() -> Path:
    from forks import FLOE

    return FLOE.with_name("floe-validate")


def test_init_keeps_existing_keys_and_rules(fork: Path, home: dict[str, str], tmp_path: Path) -> None:
    key = tmp_path / "a.agekey"
    assert floe(fork, "secrets", "init", "staging", "--key", str(key), **home).returncode == 0
    before = {file: file.read_bytes() for file in (key, fork / ".sops.yaml")}
    again = floe(fork, "secrets", "init", "staging", "--key", str(key), **home)
    assert b"nothing to write" in again.stdout
    assert all(file.read_bytes() == content for file, content in before.items())
    edit(fork / ".sops.yaml", "# Which files", "# A comment of ours. Which files")
    assert floe(fork, "secrets", "init", "prod", "--key", str(tmp_path / "b.agekey"), **home).returncode == 0
    text = (fork / ".sops.yaml").read_text()
    assert "# A comment of ours." in text
    patterns = [rule["path_regex"] for rule in yaml.safe_load(text)["creation_rules"]]
    assert patterns == [rf"^overlays/{name}/secrets/.+\.yaml$" for name in ("prod", "staging")]


def test_init_writes_the_committed_files(fork: Path, home: dict[str, str], tmp_path: Path) -> None:
    folder = fork / "overlays" / "dev" / "secrets"
    for file in folder.iterdir():
        file.unlink()
    assert floe(fork, "secrets", "init", "dev", "--key", str(tmp_path / "a.agekey"), **home).returncode == 0
    for file in (ROOT / "overlays" / "dev" / "secrets").iterdir():
        if file.name in ("kustomization.yaml", "namespace.yaml"):
            assert file.read_text().startswith((folder / file.name).read_text())  # a fork lists its Secrets below


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "there is no overlay 'nowhere'"),
        (["dev", "--key", "overlays/dev.agekey"], "is inside the Git repository"),
        (["dev", "--key", "{home}/link/dev.agekey"], "is inside the Git repository"),
        (["dev", "--key", "{home}/no-key"], "no-key"),
        (["dev", "--key", "/proc/nowhere/dev.agekey"], "nowhere"),
    ],
)
def test_invalid_arguments_are_refused(
    fork: Path, home: dict[str, str], tmp_path: Path, arguments: list[str], says: str
) -> None:
    secret = secrets.token_hex()
    (tmp_path / "no-key").write_text(secret)
    (tmp_path / "link").symlink_to(fork)
    commit_before = git(fork, "status", "--porcelain")
    arguments = [one.format(home=tmp_path) for one in arguments]
    done = floe(fork, "secrets", "init", *arguments, **home)
    words = done.stderr.decode()
    assert done.returncode == 2, words
    assert says in words
    assert "Traceback" not in words
    assert secret not in words
    assert git(fork, "status", "--porcelain") == commit_before


def test_a_lost_or_different_key_is_reported(fork: Path, home: dict[str, str], tmp_path: Path) -> None:
    key = tmp_path / "a.agekey"
    assert floe(fork, "secrets", "init", "dev", "--key", str(key), **home).returncode == 0
    config = (fork / ".sops.yaml").read_text()
    done = floe(fork, "secrets", "init", "dev", "--key", str(tmp_path / "b.agekey"), **home)
    assert done.returncode == 2
    assert b"but its key is not at" in done.stderr
    assert not (tmp_path / "b.agekey").exists()
    key.rename(tmp_path / "kept")
    key.write_text(str(Identity.generate()))
    done = floe(fork, "secrets", "init", "dev", "--key", str(key), **home)
    assert b"is not the one that .sops.yaml names" in done.stderr
    assert (fork / ".sops.yaml").read_text() == config


def test_no_key_is_in_this_repository() -> None:
    assert not list(repo.current().root.glob("overlays/**/*.agekey"))
    assert "*.agekey" in (ROOT / ".gitignore").read_text().splitlines()
