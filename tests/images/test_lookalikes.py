"""The look-alikes of images support what the manifests use."""

from __future__ import annotations

from pathlib import Path

import servers
from containers import podman, readable
from images.build import ROOT

DATABASES = ROOT / "base/services/postgresql/databases.sh"
SERVICES = ("dagster", "marquez", "polaris")


def test_postgres_starts_on_an_empty_volume_and_creates_the_databases(tmp_path: Path) -> None:
    (port,) = servers.free_ports(1)
    env = {f"{name.upper()}_PASSWORD": f"of-{name}" for name in ("postgres", *SERVICES)}
    env |= {"PGDATA": "/var/lib/postgresql/data/pgdata", "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256"}
    tmp_path.joinpath("init").mkdir()
    (tmp_path / "init/databases.sh").write_text(DATABASES.read_text())
    for folder in ("data", "run", "init"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder).chmod(0o777)
    readable(tmp_path / "init/databases.sh")
    mounts = {"data": "/var/lib/postgresql/data", "run": "/var/run/postgresql", "init": "/docker-entrypoint-initdb.d"}
    options = [f"--volume={tmp_path / name}:{place}" for name, place in mounts.items()]
    arguments = ["-c", "max_connections=200", "-c", f"port={port}"]
    with podman("postgres").started(arguments, env, "--user=999:999", *options) as container:
        ready = ["pg_isready", "--host=127.0.0.1", "--username=postgres", f"--port={port}"]
        container.until(lambda: container.exec(*ready).returncode == 0, 60)
        for name in SERVICES:
            address = f"postgresql://{name}:of-{name}@127.0.0.1:{port}/{name}"
            asked = container.exec("psql", address, "--tuples-only", "--command=select current_user")
            assert asked.stdout.strip() == name
        wrong = container.exec("psql", f"postgresql://dagster:wrong@127.0.0.1:{port}/dagster", "--command=select 1")
        assert "password authentication failed" in wrong.stdout
        code, _ = container.stop(30)
    assert code == 0


def test_busybox_resolves_names_and_connects_to_ports() -> None:
    busybox = podman("busybox")
    assert busybox.run(["sh", "-c", "nslookup localhost"], {}).returncode == 0
    assert busybox.run(["nslookup", "no-such-name.invalid"], {}, check=False).returncode != 0
    assert busybox.run(["nc", "-vz", "127.0.0.1", "9"], {}, check=False).returncode != 0


def test_the_other_look_alikes_contain_the_real_programs() -> None:
    assert "4.48" in podman("seaweedfs").run(["version"], {}).stdout
    assert "v7.15.3" in podman("oauth2-proxy").run(["--version"], {}).stdout
