"""Findings in the files of an environment: one that was copied from another, its Secrets, and the lines to edit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from floe import repo
from floe.charts.unknown_values import unknown_in
from floe.kubernetes.objects import ENVIRONMENT
from floe.validate.findings import Finding
from floe.validate.schema import Schemas
from floe.validate.validation import validate
from floe.yaml import load_file
from forks import with_known_values
from policy_examples.builders import Json, container, named, pod
from rendering import copy_repository

SCHEMAS = Schemas()


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with clusters/ and known values. Tests put back what they change."""
    folder = tmp_path_factory.mktemp("fork") / "with clusters"
    copy_repository(folder)
    with_known_values(folder)
    return folder


@pytest.fixture
def copies(fork: Path) -> Iterator[Path]:
    """The fork with two copies of staging, qa and staging-eu, in which nothing was replaced."""
    made = [fork / kind / name for kind in ("overlays", "clusters") for name in ("qa", "staging-eu")]
    for folder in made:
        shutil.copytree(folder.with_name("staging"), folder)
    yield fork
    for folder in made:
        shutil.rmtree(folder)


def findings(folder: Path, environment: str, *documents: Json) -> list[Finding]:
    """The findings of the policies on files for a stream of the environment, by default one without anything."""
    stream = "\n---\n".join(map(json.dumps, documents or (named("ConfigMap", "c"),))).encode()
    report = validate(stream, "test", SCHEMAS, environment, checkout=repo.Checkout(folder))
    return [finding for finding in report.findings if finding.code not in ("FLOE021", "FLOE024")]


def words(found: list[Finding]) -> set[str]:
    return {f"{one.file}:{one.file_line} {one.message.partition(';')[0]}" for one in found}


def hosts(folder: Path) -> tuple[str, str]:
    """The hosts of staging's login and of its Cube."""
    overlay = folder / "overlays" / "staging"
    cube = load_file(overlay / "values" / "cube.yaml")["valuesInline"]["ingress"]["hostname"]
    return load_file(overlay / "objects" / "environment.yaml")["spec"]["login"]["host"], cube


def replace(folder: Path, *pairs: tuple[str, str]) -> None:
    for file in folder.rglob("*.yaml"):
        text = file.read_text()
        for old, new in pairs:
            text = text.replace(old, new)
        file.write_text(text)


def test_a_copied_environment_has_a_finding_for_each_value_of_the_other(copies: Path) -> None:
    found = findings(copies, "qa")
    assert {finding.code for finding in found} == {"FLOE026"}
    login, cube = hosts(copies)
    assert {finding.message.partition(";")[0] for finding in found} == {
        "the annotation floe-runtime.io/environment is not qa",
        "trino.floe-staging is compute.host of staging",
        "floe-staging is the namespace of staging",
        "polaris.floe-staging is catalog.uri of staging",
        "floe_staging is catalog.warehouse of staging",
        "postgresql.floe-staging is metadata.host of staging",
        f"{cube} is the host of the Ingress of cube of staging",
        f"{login} is the host of the login of staging",
        "staging is another environment",
    }
    assert findings(copies, "staging") == []


def test_what_was_not_replaced_in_a_copy_is_found(copies: Path) -> None:
    """The steps that replace only the namespace and the annotation leave the hosts and the cluster's environment."""
    replace(copies / "overlays" / "qa", ("floe-staging", "floe-qa"), ("floe_staging", "floe_qa"))
    replace(copies / "overlays" / "qa", (f"{ENVIRONMENT}: staging", f"{ENVIRONMENT}: qa"))
    found = words(findings(copies, "qa"))
    assert "clusters/qa/environment/kustomization.yaml:5 staging is another environment" in found
    assert len(found) == 3
    replace(copies / "overlays" / "qa", *((host, host.replace("staging", "qa")) for host in hosts(copies)))
    replace(copies / "clusters" / "qa", ("name=staging", "name=qa"))
    assert findings(copies, "qa") == []


def test_a_name_that_begins_with_another_name_is_not_confused_with_it(copies: Path) -> None:
    replace(
        copies / "overlays" / "staging-eu", ("floe-staging", "floe-staging-eu"), ("floe_staging", "floe_staging_eu")
    )
    replace(copies / "overlays" / "staging-eu", (f"{ENVIRONMENT}: staging", f"{ENVIRONMENT}: staging-eu"))
    replace(
        copies / "overlays" / "staging-eu", *((host, host.replace("staging", "staging-eu")) for host in hosts(copies))
    )
    replace(copies / "clusters" / "staging-eu", ("name=staging", "name=staging-eu"))
    assert findings(copies, "staging-eu") == []
    assert findings(copies, "staging") == []
    replace(copies / "overlays" / "qa", ("staging", "staging-eu"))
    assert "floe-staging-eu is the namespace of staging-eu" in {
        finding.message.partition(";")[0] for finding in findings(copies, "qa")
    }


def test_files_that_are_not_valid_give_no_traceback(copies: Path) -> None:
    overlay = copies / "overlays" / "staging-eu"
    for content in ("a: [", "- 1", "a: &a [*a]\n", "\xff", "1: {2: 3}\n? [a]\n: b\n"):
        for name in ("platform.yaml", "objects/namespace.yaml", "objects/environment.yaml", "values/cube.yaml"):
            (overlay / name).write_bytes(content.encode("latin-1"))
        assert findings(copies, "staging") == []
        (copies / "overlays" / "qa" / "objects" / "environment.yaml").write_bytes(content.encode("latin-1"))
        assert findings(copies, "qa")


ENCRYPTED = "ENC[AES256_GCM,data:cGFzc3dvcmQ=]"


@pytest.fixture
def in_git(fork: Path) -> Iterator[Path]:
    """The folder of dev's Secrets, with one encrypted Secret that has all of its keys."""
    folder = fork / "overlays" / "dev" / "secrets"
    kept = folder.with_name("secrets of before")
    shutil.copytree(folder, kept)
    put(folder, "floe-postgres", "postgresql-password")
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


def put(folder: Path, name: str, *keys: str, listed: bool = True) -> None:
    data = "".join(f"  {key}: {ENCRYPTED}\n" for key in keys)
    head = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n"
    (folder / f"{name}.yaml").write_text(f"{head}data:\n{data}" if keys else head)
    if listed:
        with (folder / "kustomization.yaml").open("a") as file:
            file.write(f"  - {name}.yaml\n")


def reader(secret: str, key: str) -> Json:
    source = {"secretKeyRef": {"name": secret, "key": key}}
    return pod(container(env=[{"name": "A", "valueFrom": source}]))


def test_a_secret_in_git_has_the_keys_that_others_take_from_it(in_git: Path) -> None:
    fork = in_git.parents[2]
    assert findings(fork, "dev", reader("floe-postgres", "postgresql-password")) == []
    assert words(findings(fork, "dev", reader("floe-postgres", "user"))) == {
        "overlays/dev/secrets/floe-postgres.yaml:5 the Secret floe-postgres has no key user"
    }
    put(in_git, "floe-catalog", "FLOE_CATALOG_CLIENT_ID")
    assert words(findings(fork, "dev")) == {
        "overlays/dev/secrets/floe-catalog.yaml:5 the Secret floe-catalog has no key FLOE_CATALOG_CLIENT_SECRET"
    }


def test_a_secret_in_git_is_listed_and_used(in_git: Path) -> None:
    fork = in_git.parents[2]
    put(in_git, "floe-cube", "secret", listed=False)
    assert words(findings(fork, "dev")) == {
        "overlays/dev/secrets/kustomization.yaml:5 resources does not list floe-cube.yaml, so nothing applies its "
        "Secret floe-cube"
    }
    (in_git / "floe-cube.yaml").unlink()
    put(in_git, "of-before", "a")
    (unused,) = findings(fork, "dev", pod())
    assert (unused.severity, unused.message) == ("warning", "nothing refers to the Secret of-before")
    assert findings(fork, "dev") == []  # a stream without pods does not tell what is used
    (in_git / "of-before.yaml").unlink()
    assert words(findings(fork, "dev")) == {
        "overlays/dev/secrets/kustomization.yaml:5 resources lists of-before.yaml, which does not exist"
    }


def test_secrets_that_are_not_valid_give_no_traceback(in_git: Path) -> None:
    for content in (
        "data: 1\nkind: Secret\n",
        "kind: Secret\nmetadata: []\ndata: [a]\n",
        "[]\n",
        f"resources: [1, [], a, {'x' * 300}]\n",
    ):
        for name in ("kustomization.yaml", "floe-postgres.yaml"):
            (in_git / name).write_text(content)
        findings(in_git.parents[2], "dev")


def of_chart(name: str, chart: str, **fields: object) -> Json:
    made = pod(**fields)
    return made | {"metadata": {"name": name, "labels": {"helm.sh/chart": f"{chart}-1.0.0"}}}


def test_one_cause_is_one_finding_at_the_line_that_a_person_edits(fork: Path) -> None:
    values = fork / "overlays" / "dev" / "values" / "dagster.yaml"
    before = values.read_text()
    values.write_text(before.replace("tag: 0.1.0", "tag: latest"))
    line = (
        values.read_text().splitlines().index(next(one for one in values.read_text().splitlines() if "latest" in one))
    )
    image = "ghcr.io/floe-runtime/floe-dagster:latest"
    several = [of_chart(f"p{number}", "dagster", containers=[container(image=image)]) for number in range(5)]
    (found,) = findings(fork, "dev", *several)
    values.write_text(before)
    assert (found.code, found.file, found.file_line) == ("FLOE010", "overlays/dev/values/dagster.yaml", line + 1)
    assert found.message.endswith("; the same in Pod p1, Pod p2, Pod p3 and 1 more")


def test_a_credential_that_several_pods_get_is_one_finding(fork: Path) -> None:
    values = fork / "overlays" / "dev" / "values" / "cube.yaml"
    before = values.read_text()
    password = "correct-horse-battery-staple"
    values.write_text(f"{before}  config:\n    password: {password}\n")
    env = [{"name": "DB_PASSWORD", "value": password}]
    several = [of_chart(f"p{number}", "cube", containers=[container(env=env)]) for number in range(2)]
    (found,) = findings(fork, "dev", *several)
    values.write_text(before)
    assert (found.code, found.file) == ("FLOE011", "overlays/dev/values/cube.yaml")
    assert found.file_line == before.count("\n") + 2
    assert password not in repr(found)


def test_a_secret_that_several_pods_need_is_one_finding(fork: Path) -> None:
    several = [of_chart(f"p{number}", "cube", imagePullSecrets=[{"name": "absent"}]) for number in range(4)]
    (found,) = findings(fork, "dev", *several)
    assert (found.code, found.file) == ("FLOE013", "overlays/dev/platform.yaml")
    lines = (fork / "overlays" / "dev" / "platform.yaml").read_text().splitlines()
    assert lines[found.file_line - 1] == "secrets:"


CHART = {
    "Chart.yaml": "name: web\n",
    "values.yaml": """\
replicaCount: 1
port: 80
image: {repository: web, tag: ""}
podLabels: {team: web}
service:
  type: ClusterIP
free: {}
# commented: 1
sub: {port: 1}
""",
    "templates/a.yaml": """\
replicas: {{ .Values.replicaCount }}
image: {{ include "image" .Values.image }}
labels: {{ .Values.podLabels }}
{{- with .Values.service }}
port: {{ .port }}
{{- end }}
queues: {{ range $queue := .Values.queues }}{{ $queue.replicaCount }}{{ end }}
""",
    "charts/sub/Chart.yaml": "name: sub\n",
    "charts/sub/values.yaml": "replicaCount: 1\nport: 1\n",
}


def test_values_at_the_wrong_depth_are_found(tmp_path: Path) -> None:
    for name, text in CHART.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    known = {
        "replicaCount": 2,
        "image": {"tag": "1", "pullPolicy": "Never"},  # a template uses the image as a whole, so it may know more
        "podLabels": {"replicaCount": "x"},
        "service": {"port": 1},
        "free": {"replicaCount": 1},
        "commented": 2,
        "sub": {"replicaCount": 2},
        "queues": [{"replicaCount": 1}],
        "global": {"a": 1},
    }
    assert unknown_in(tmp_path, known) == []
    wrong: dict[Any, Any] = {
        "image": {"replicaCount": 2},
        "service": {"replicaCount": 2},
        "sub": {"prot": 1},
        "servcie": {},
        1: 2,
    }
    assert [str(value).removeprefix("the chart does not know the value ") for value in unknown_in(tmp_path, wrong)] == [
        "1",
        "image.replicaCount; it knows replicaCount",
        "servcie",
        "service.replicaCount; it knows replicaCount",
        "sub.prot",
    ]
