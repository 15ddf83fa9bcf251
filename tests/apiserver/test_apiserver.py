"""The API server for tests: its verdicts and messages, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

import toolbox
from apiserver.client import ApiServer, Raw

Object = dict[str, Any]


def config_map(namespace: str = "default", **fields: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}, **fields}


def deployment(**security: Any) -> Object:
    labels = {"app": "x"}
    container = {"name": "main", "image": "registry.example.com/app:1", "securityContext": security}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "warned"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def pod(account: str = "default") -> Object:
    spec = {"serviceAccountName": account, "containers": [{"name": "main", "image": "registry.example.com/app:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": spec}


def test_dry_run_returns_the_verdicts_of_the_server(api_server: ApiServer) -> None:
    good, unknown, type_, absent, kind = api_server.dry_run(
        [
            config_map(data={"key": "value"}),
            config_map(dat={"key": "value"}),
            config_map(data={"key": 1}),
            config_map("nowhere"),
            {**config_map(), "apiVersion": "v2"},
        ],
        create_namespaces=False,
    )
    assert good.accepted
    assert (unknown.status, unknown.reason) == (400, "BadRequest")
    assert 'unknown field "dat"' in unknown.message
    assert "cannot unmarshal number into Go struct field ConfigMap.data of type string" in type_.message
    assert (absent.status, absent.message) == (404, 'namespaces "nowhere" not found')
    assert (kind.status, kind.message) == (404, 'no matches for kind "ConfigMap" in version "v2"')
    stored = api_server.kubectl("get", "configmaps", "--all-namespaces", "--output=name")
    assert b"configmap/c" not in stored.stdout


def test_raw_manifests_are_sent_unchanged(api_server: ApiServer) -> None:
    head = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
    text, boolean, twice = api_server.dry_run(
        [
            Raw(head + data, "v1", "ConfigMap")
            for data in (b"data: {a: 'yes'}", b"data: {a: yes}", b"data: {a: b, a: c}")
        ]
    )
    assert text.accepted
    assert "cannot unmarshal bool" in boolean.message
    assert 'key "a" already set in map' in twice.message


def test_dry_run_creates_missing_namespaces(api_server: ApiServer) -> None:
    (verdict,) = api_server.dry_run([config_map("made-on-the-way")])
    assert verdict.accepted


def test_verdicts_contain_the_warnings_of_the_server(api_server: ApiServer) -> None:
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    with api_server.holding(
        [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "warned", "labels": labels}}]
    ):
        (verdict,) = api_server.dry_run([deployment(privileged=True)], create_namespaces=False)
    assert verdict.accepted
    (warning,) = verdict.warnings
    assert warning.startswith('would violate PodSecurity "restricted:latest": privileged (container "main" must not')


def test_holding_deletes_a_namespace_after_the_block(api_server: ApiServer) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}}
    for _ in range(2):  # if anything were left, the second attempt would be refused
        with api_server.holding([namespace]) as (verdict,):
            assert verdict.accepted
            assert api_server.dry_run([config_map("short-lived")], create_namespaces=False)[0].accepted
        assert not api_server.dry_run([config_map("short-lived")], create_namespaces=False)[0].accepted


def test_a_pod_needs_its_service_account(api_server: ApiServer) -> None:
    named, default = api_server.dry_run([pod("nobody"), pod()])
    assert 'serviceaccount "nobody" not found' in named.message
    assert default.accepted


def test_quota_counts_pods(api_server: ApiServer) -> None:
    metadata = {"name": "few", "namespace": "default"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": "1"}}}
    with api_server.holding([quota, pod()]) as verdicts:
        assert [verdict.accepted for verdict in verdicts] == [True, True]
        (second,) = api_server.dry_run([{**pod(), "metadata": {"name": "second", "namespace": "default"}}])
    assert "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1" in second.message


def test_the_server_reports_its_version(api_server: ApiServer) -> None:
    """A server that is built without a version would not be enough, because Helm compares charts with the version."""
    assert api_server.version().startswith(f"v{toolbox.get('kube-apiserver').version}")


def test_custom_resources_are_checked_by_their_definitions(defined: ApiServer) -> None:
    examples: dict[tuple[str, str], Object] = {
        ("source.toolkit.fluxcd.io/v1", "HelmRepository"): {"interval": "1h", "url": "https://charts.example.com"},
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): {
            "interval": "10m",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "platform"},
        },
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"): {
            "interval": "10m",
            "chart": {"spec": {"chart": "cube", "sourceRef": {"kind": "HelmRepository", "name": "cube"}}},
        },
        ("argoproj.io/v1alpha1", "Application"): {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/platform", "path": "overlays/dev"},
            "destination": {"server": "https://kubernetes.default.svc"},
        },
        ("external-secrets.io/v1", "ExternalSecret"): {
            "secretStoreRef": {"name": "vault"},
            "data": [{"secretKey": "password", "remoteRef": {"key": "postgres"}}],
        },
        ("bitnami.com/v1alpha1", "SealedSecret"): {"encryptedData": {"password": "sealed"}},
    }
    good = [
        {"apiVersion": group, "kind": kind, "metadata": {"name": "x", "namespace": "default"}, "spec": spec}
        for (group, kind), spec in examples.items()
    ]
    assert [verdict for verdict in defined.dry_run(good) if not verdict.accepted] == []
    for verdict in defined.dry_run(
        [{**one, "spec": {**examples[*key], "interal": "1h"}} for key, one in zip(examples, good, strict=True)]
    ):
        assert 'unknown field "spec.interal"' in verdict.message


_HOLD = """
import sys, time
from pathlib import Path
from apiserver.server import api_server
with api_server(Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.usefixtures("api_server")  # skips or builds the servers first
def test_a_killed_test_leaves_no_server(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path], env=env, stdout=subprocess.PIPE) as harness:
        assert harness.stdout
        assert harness.stdout.readline() == b"up\n"
        servers = psutil.Process(harness.pid).children(recursive=True)
        assert len(servers) == 2
        harness.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(servers, timeout=90)
    assert not alive
