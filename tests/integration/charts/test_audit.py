"""`floe charts list` and `verify`: the pulled charts, changes since the pull, and values that a chart does not know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from chart_repository import (
    FLOE,
    NAMES,
    lock,
    run,
)
from floe import charts, repo
from floe.charts.audit import verify
from floe.charts.unknown_values import unknown_values


@pytest.mark.usefixtures("upstream")
def test_verify_reports_changed_and_missing_charts(checkout: Path) -> None:
    lock()
    list(charts.pull(repo.current(), ["dev"]))
    cube, cubestore, dagster = charts.pinned(repo.current(), "dev")
    (cube.path / "templates" / "extra.yaml").write_text("# by hand")
    shutil.rmtree(cubestore.path)
    (dagster.path.parent / ".pulled.json").write_text("{}")
    done = run(FLOE, "charts", "verify", "dev", "--json", cwd=checkout)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert {finding["chart"]: (finding["message"], finding["remedy"]) for finding in report["findings"]} == {
        "cube 3.3.0": ("its files were changed after the pull", "Run `floe charts pull dev --force`."),
        "cubestore 1.2.0": ("not pulled", "Run `floe charts pull dev`."),
        str(dagster): ("not pulled by floe, so its origin is unknown", "Run `floe charts pull dev --force`."),
    }
    text = run(FLOE, "charts", "verify", "dev", cwd=checkout)
    assert text.returncode == 1
    assert "next: Run `floe charts pull dev --force`." in text.stdout
    # Without --force, floe keeps files that it did not write.
    assert "kept in overlays/dev" in run(FLOE, "charts", "pull", "dev", cwd=checkout).stderr
    assert run(FLOE, "charts", "pull", "dev", "--force", cwd=checkout).returncode == 0
    assert run(FLOE, "charts", "verify", "dev", cwd=checkout).returncode == 0


@pytest.mark.usefixtures("upstream")
def test_list_shows_the_origin_of_each_chart(checkout: Path) -> None:
    list(charts.pull(repo.current(), ["dev"]))
    table = json.loads(run(FLOE, "charts", "list", "--json", cwd=checkout).stdout)
    assert [row["name"] for row in table] == sorted(NAMES)
    others = dict.fromkeys(repo.current().environments(), "missing")
    assert {tuple(row["overlays"].items()) for row in table} == {tuple((others | {"dev": "repository"}).items())}
    text = run(FLOE, "charts", "list", cwd=checkout)
    assert (text.returncode, text.stdout.count("unlocked")) == (0, len(NAMES))
    assert text.stdout.count("dev: repository") == len(NAMES)


VALUES = """\
image:
  tag:
  pullPolicy: Always
config:
  apiSecret:
  # apiSecretFromSecret:
  #   name:
  port: 4000
free: {}
list: []
probe:
  seconds: 1
sub:
  replicas: 1
"""


TEMPLATE = """\
{{- if .Values.config.fromTemplate }}{{ .Values.config.fromTemplate.name }}{{ end }}
{{- index .Values "with-dash" "a" }}
{{- if .Values.probe }}{{ toYaml .Values.probe }}{{ end }}
"""


def test_values_that_the_chart_does_not_know_are_reported(checkout: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(checkout / "tests" / "charts", mirror)
    (mirror / "cube" / "values.yaml").write_text(VALUES)
    for template in (mirror / "cube" / "templates").iterdir():
        template.unlink()
    (mirror / "cube" / "templates" / "a.yaml").write_text(TEMPLATE)
    subchart = mirror / "cube" / "charts" / "sub"
    subchart.mkdir(parents=True)
    (subchart / "Chart.yaml").write_text("{apiVersion: v2, name: sub, version: 1.0.0}")
    (subchart / "values.yaml").write_text("service: {port: 1}\n")
    base = checkout / "base" / "charts" / "cube.yaml"
    generator = yaml.safe_load(base.read_text())
    generator["valuesInline"] = {
        "image": {"tag": "1", "tagg": "1"},
        "config": {
            "apiSecretFromSecret": {"name": "x"},
            "fromTemplate": {"name": "x", "nmae": "x"},
            "prot": 1,
            "port": 1,
        },
        "free": {"any": {"thing": 1}},
        "list": [{"a": 1}],
        "probe": {"httpGet": {"port": 1}},
        "sub": {"service": {"port": 2, "prot": 2}, "replicas": 2},
        "global": {"a": 1},
        "with-dash": {"a": 1},
        "imgae": {},
    }
    base.write_text(yaml.safe_dump(generator))
    pin = checkout / "overlays" / "dev" / "values" / "cube.yaml"
    patch = yaml.safe_load(pin.read_text())
    pin.write_text(yaml.safe_dump({**patch, "valuesInline": {"image": {"tag": "2", "pullPolicy": "Never"}}}))
    assert unknown_values(repo.current(), "dev") == []  # no chart is pulled yet
    list(charts.pull(repo.current(), ["dev"], str(mirror)))
    unknown = {".".join(value.path) for _, value in unknown_values(repo.current(), "dev")}
    assert unknown >= {"config.fromTemplate.nmae", "config.prot", "image.tagg", "imgae", "sub.service.prot"}
    known = {"image.tag", "config.apiSecretFromSecret", "config.fromTemplate.name", "config.port", "free", "list"}
    known |= {"image.pullPolicy", "probe", "sub.service.port", "sub.replicas", "global", "with-dash"}
    assert not [value for value in unknown if f"{value}.".startswith(tuple(f"{key}." for key in known))]
    messages = [finding.message for finding in verify(repo.current(), "dev") if finding.chart == "cube 3.3.0"]
    assert "the chart does not know the value config.prot" in messages
