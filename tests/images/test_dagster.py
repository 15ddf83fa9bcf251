"""The Dagster image, built on a look-alike of its base image and run with the same restrictions as its pods."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tarfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from containers import Podman, podman, readable
from floe import image_builds, repo
from floe_synthetic import EcommerceGenerator
from images.build import RECIPES, ROOT, TAG, archives, builder, tagged
from servers import Postgres, free_ports

ARTIFACTS = "/etc/floe/CompiledArtifacts.json"
NEEDED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "FLOE_CATALOG_CLIENT_ID", "FLOE_CATALOG_CLIENT_SECRET")
GRPC = ["dagster", "api", "grpc", "-h", "127.0.0.1", "-m", "ecommerce.definitions", "-d", "/app/apps/ecommerce"]


@pytest.fixture(scope="module")
def dagster() -> Podman:
    return podman("dagster")


@pytest.fixture
def env() -> dict[str, str]:
    return {"FLOE_COMPILED_ARTIFACTS": ARTIFACTS} | {name: secrets.token_hex(8) for name in NEEDED}


@pytest.fixture
def mounted() -> str:
    """The option that mounts the CompiledArtifacts as in a pod of the dev overlay."""
    return f"--volume={readable(repo.current().artifacts_file('dev'))}:{ARTIFACTS}:ro"


@pytest.fixture
def instance(tmp_path: Path) -> str:
    """The option that mounts a dagster.yaml which reads environment variables, as the chart's does."""
    file = tmp_path / "dagster.yaml"
    places = {"hostname": "HOST", "port": "PORT", "username": "USER", "password": "PASSWORD", "db_name": "DATABASE"}
    database = {key: {"env": f"FLOE_POSTGRES_{name}"} for key, name in places.items()}
    file.write_text(json.dumps({"telemetry": {"enabled": False}, "storage": {"postgres": {"postgres_db": database}}}))
    return f"--volume={readable(file)}:/opt/dagster/dagster_home/dagster.yaml:ro"


@pytest.mark.parametrize("name", ["FLOE_COMPILED_ARTIFACTS", *NEEDED])
def test_a_code_location_reports_a_missing_variable_once(
    dagster: Podman, env: dict[str, str], mounted: str, name: str
) -> None:
    del env[name]
    done = dagster.run([*GRPC, "-p", "3030"], env, mounted, check=False)
    assert done.returncode == 2, done.stdout
    assert done.stdout.startswith(f"floe: {name} is not set\n")
    assert done.stdout.count("is not set") == 1
    assert not any(value in done.stdout for key, value in env.items() if key != "FLOE_COMPILED_ARTIFACTS")


@pytest.mark.parametrize("command", ["dagster-webserver -h 0.0.0.0 -p 3000", "dagster-daemon run"])
def test_a_program_that_a_shell_starts_is_checked_too(dagster: Podman, command: str, instance: str) -> None:
    """The chart starts these programs with a shell instead of the image's entry point."""
    entry = ("--entrypoint=", instance)
    done = dagster.run(["/bin/bash", "-c", command], {}, *entry, check=False)
    assert done.returncode == 2
    assert done.stdout.startswith("floe: FLOE_POSTGRES_HOST, FLOE_POSTGRES_PORT, ")
    done = dagster.run(["/bin/bash", "-c", command], {}, "--entrypoint=", check=False)
    assert done.returncode == 2
    assert "cannot read /opt/dagster/dagster_home/dagster.yaml" in done.stdout


def test_artifacts_of_an_unknown_version_are_reported(dagster: Podman, env: dict[str, str], tmp_path: Path) -> None:
    other = json.loads(repo.current().artifacts_file("dev").read_bytes()) | {"version": 2}
    file = tmp_path / "CompiledArtifacts.json"
    file.write_text(json.dumps(other))
    done = dagster.run([*GRPC, "-p", "3030"], env, f"--volume={readable(file)}:{ARTIFACTS}:ro", check=False)
    assert done.returncode == 2
    assert "version" in done.stdout
    assert "Traceback" not in done.stdout


def test_code_location_on_a_read_only_root(dagster: Podman, env: dict[str, str], mounted: str) -> None:
    (port,) = free_ports(1)
    with dagster.started([*GRPC, "-p", str(port)], env, mounted) as location:
        ready = location.until(lambda: location.exec("healthy").returncode == 0, 60)
        assert location.exec("cat", "/proc/1/comm").stdout.strip() == "tini"
        # The dbt manifest comes from the image: none was generated.
        assert location.exec("ls", "/tmp/dbt").returncode != 0  # noqa: S108 # in the container
        code, took = location.stop(20)
    print(f"code location healthy after {ready:.1f} s, ended by SIGTERM after {took:.1f} s with {code}")
    assert code in (0, 143)


def test_the_image_generates_the_names_of_every_country(dagster: Podman) -> None:
    """The generator works although the image lacks some data files and languages of its packages."""
    made = "EcommerceGenerator(1, 50, 5, 70, opened=date(2026, 1, 1)).reference(datetime(2026, 1, 5, tzinfo=UTC))"
    program = (
        "from datetime import UTC, date, datetime; from floe_synthetic import EcommerceGenerator;"
        f"print(ascii({made}.tables['customers']['name'].to_pylist()))"
    )
    shop = EcommerceGenerator(1, 50, 5, 70, opened=date(2026, 1, 1))
    here = shop.reference(datetime(2026, 1, 5, tzinfo=UTC)).tables["customers"]["name"].to_pylist()
    assert dagster.run(["python", "-c", program], {}).stdout == f"{here!a}\n"


def test_webserver_and_daemon_on_a_read_only_root(dagster: Podman, instance: str, postgres: Postgres) -> None:
    (port,) = free_ports(1)
    with dagster.started(
        ["/bin/bash", "-c", f"dagster-webserver -h 127.0.0.1 -p {port} --empty-workspace"],
        postgres.env,
        "--entrypoint=",
        instance,
    ) as webserver:
        ready = webserver.until(lambda: webserver.exec("healthy").returncode == 0, 60)
        assert webserver.exec("cat", "/proc/1/comm").stdout.strip() == "tini"
        assert webserver.exec("touch", "/app/new").returncode != 0
        code, took = webserver.stop(20)
    print(f"webserver healthy after {ready:.1f} s, ended by SIGTERM after {took:.1f} s with {code}")
    assert code in (0, 143)
    with dagster.started(
        ["/bin/bash", "-c", "dagster-daemon run --empty-workspace"],
        postgres.env,
        "--entrypoint=",
        instance,
    ) as daemon:
        ready = daemon.until(lambda: daemon.exec("healthy").returncode == 0, 120)
        code, took = daemon.stop(30)
    print(f"daemon healthy after {ready:.1f} s, ended by SIGTERM after {took:.1f} s with {code}")
    assert code in (0, 143)


@pytest.mark.parametrize(("name", "most"), [("dagster", 1_100_000_000), ("dagster-small", 700_000_000)])
def test_the_image_is_not_larger_than_its_limit(name: str, most: int) -> None:
    reference = podman(name).image
    size, layers = builder().weigh(reference)
    largest = builder().packages(reference)[:5]
    print(f"{name}: {size / 1e6:.0f} MB in {len(layers)} layers; {', '.join(f'{n} {b / 1e6:.0f}' for b, n in largest)}")
    assert size <= most
    assert all(image_builds.WHY.get(package) for _, package in largest)


def test_the_image_contains_no_build_tools_and_no_caches(dagster: Podman) -> None:
    look = (
        "for p in gcc cc make pip uv; do command -v $p; done;"
        "find /var/lib/apt/lists /var/cache/apt -type f;"
        "find / -xdev \\( -name .cache -o -name '*.whl' -o -name .git -o -name '.env*' \\) -not -path '/proc/*'"
        " -not -path '*/site-packages/*' -not -path '/usr/share/python-wheels/*' 2>/dev/null;"
        "find /app /opt/venv -perm -o+w -not -type l"
    )
    assert dagster.run(["sh", "-c", look], {}, "--entrypoint=", check=False).stdout == ""
    counts = "find /opt/venv/lib /app -name '*.py' | wc -l; find /opt/venv/lib /app -name '*.pyc' | wc -l"
    sources, compiled = map(int, dagster.run(["sh", "-c", counts], {}, "--entrypoint=").stdout.split())
    assert compiled >= 0.97 * sources > 1000  # files with syntax for other versions of Python are not compiled


def test_the_image_contains_only_the_code_that_it_runs(dagster: Podman) -> None:
    """No validator, no demo, nothing of promotion, and of an application neither Cube's model nor its manifests."""
    folders = [ROOT / "runtime/floe_runtime", ROOT / "synthetic/floe_synthetic", *sorted(ROOT.glob("apps/*/dbt"))]
    folders += [file.parent for file in sorted(ROOT.glob("apps/*/*/definitions.py"))]
    left_out = {"__pycache__", "target", "logs"}
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    expected = {f"/app/{file.relative_to(ROOT)}" for file in files if not left_out & set(file.parts)}
    expected |= {"/app/runtime/floe.py"} | {f"/opt/floe/bin/{file.name}" for file in ROOT.glob("images/dagster/bin/*")}
    listed = dagster.run(["find", "/app", "/opt/floe", "-not", "-type", "d"], {}, "--entrypoint=").stdout.split()
    contained = {path for path in listed if "/__pycache__/" not in path and "/dbt/target/" not in path}
    assert contained == expected
    print(f"{len(contained)} files of our own code")
    made = {path.rpartition("/")[2] for path in listed if "/dbt/target/" in path}
    assert "manifest.json" in made
    done = dagster.run(["python", "-c", "import floe.validate"], {}, check=False)
    assert "'floe' is not a package" in done.stdout


def test_the_image_has_the_command_floe_preflight(dagster: Podman) -> None:
    done = dagster.run(["python", "-m", "floe", "preflight", "--mounted"], {}, check=False)
    assert done.returncode == 2
    assert "FLOE_COMPILED_ARTIFACTS is not set" in done.stdout


def test_configuration(dagster: Podman) -> None:
    config = json.loads(builder().call("inspect", "--type", "image", dagster.image))["Docker"]["config"]
    assert config["User"] == "1000:1000"
    assert config["Entrypoint"] == ["/usr/bin/tini", "--"]
    assert config["Healthcheck"]["Test"] == ["CMD", "healthy"]
    assert set(config["Volumes"]) == {"/opt/dagster/dagster_home", "/tmp"}  # noqa: S108 # in the image
    assert config["Labels"]["org.opencontainers.image.version"] == TAG
    assert {name for name in config["Labels"] if name.startswith("org.opencontainers")} >= {
        f"org.opencontainers.image.{name}" for name in ("title", "description", "source", "revision")
    }
    assert not [line for line in config["Env"] if re.search(r"SECRET|PASSWORD|TOKEN|KEY", line.partition("=")[0])]


PLACES = (
    ".env",
    ".git/config",
    "key.pem",
    "overlays/platform.yaml",
    "images/cube/.env",
    "images/dagster/.env",
    "apps/ecommerce/.env.local",
    "apps/ecommerce/private.key",
    "apps/ecommerce/dbt/.user.yml",
    "apps/ecommerce/dbt/logs/dbt.log",
    "apps/ecommerce/dbt/target/run.json",
)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkout with a secret in every place where people leave secrets by mistake; returns the secret."""
    token = secrets.token_hex(20)
    fork = tmp_path / "fork"
    for name in ("apps", "images", "runtime", "synthetic", "tests/cube-native"):
        shutil.copytree(
            ROOT / name, fork / name, ignore=shutil.ignore_patterns("__pycache__", "target", "node_modules")
        )
    for name in ("pyproject.toml", "requirements.lock", ".dockerignore"):
        shutil.copy(ROOT / name, fork)
    for name in ("base", "overlays"):
        (fork / name).mkdir()
    for place in PLACES:
        file = fork / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"secret: {token}\n")
    monkeypatch.setenv("FLOE_ROOT", str(fork))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", token)
    return token


@pytest.mark.parametrize("name", ["dagster", "cube"])
def test_no_planted_secret_in_any_layer(name: str, planted: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    podman(name)
    reference = f"localhost/floe-planted/{name}:{TAG}"
    builder().build(repo.current(), image_builds.IMAGES[recipe.production], TAG, recipe.arguments, reference)
    archive = tmp_path / "image.tar"
    try:
        builder().call("push", "--quiet", reference, f"docker-archive:{archive}")
    finally:
        builder().call("rmi", "--force", reference)
        tagged(name)
    with tarfile.open(archive) as outer:
        layers = [member for member in outer if member.isfile()]
        assert len(layers) >= 5
        for member in layers:
            content = outer.extractfile(member)
            assert content is not None
            tail = b""
            while chunk := content.read(1 << 24):
                assert planted.encode() not in tail + chunk, member.name
                tail = chunk[-64:]


def test_archives_have_the_image_names_of_the_manifests() -> None:
    (path,) = archives(["busybox"])
    with tarfile.open(path) as archive:
        listed = archive.extractfile("manifest.json")
        assert listed is not None
        named = json.load(listed)
    assert named[0]["RepoTags"] == list(RECIPES["busybox"].names)
