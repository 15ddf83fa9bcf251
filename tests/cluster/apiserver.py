"""A real Kubernetes API server without a cluster: etcd and kube-apiserver on free ports of loopback, as any user.

Admission is what it is in a cluster, Pod Security and service accounts included. Controllers are not there: nothing
makes pods of a Deployment, and what else a controller would make, a test makes itself.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.client import ApiServer, default_service_account
from floe.demo.processes import answers
from floe.tools import resolve
from servers import HOST, free_ports, running


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """A server whose state lies in `folder`. It ends with the block, and with this process where that is killed."""
    port, clients, peers = free_ports(3)
    etcd, kubernetes = folder / "etcd", folder / "kubernetes"
    for part in (etcd, kubernetes):
        part.mkdir()
    certificates = kubernetes / "certificates"
    server = ApiServer(HOST, port, secrets.token_urlsafe(), certificates / "apiserver.crt", folder / "kubeconfig")
    _write_private(kubernetes / "tokens.csv", f"{server.token},admin,admin,system:masters\n")
    _write_private(server.kubeconfig, json.dumps(_kubeconfig(server)))

    store, peer = f"http://{HOST}:{clients}", f"http://{HOST}:{peers}"
    options = {"listen-client-urls": store, "advertise-client-urls": store, "listen-peer-urls": peer}
    options |= {"initial-advertise-peer-urls": peer, "initial-cluster": f"default={peer}", "data-dir": str(etcd)}
    with running(_command("etcd", options), etcd, os.environ.copy(), lambda: answers(f"{store}/version")):
        key = str(certificates / "apiserver.key")  # the server makes it, and signs tokens of accounts with it as well
        options = {
            "etcd-servers": store,
            "bind-address": HOST,
            "advertise-address": HOST,
            "endpoint-reconciler-type": "none",  # an address of loopback is none for other machines
            "secure-port": str(port),
            "cert-dir": str(certificates),
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-cluster-ip-range": "10.0.0.0/24",
            "token-auth-file": str(kubernetes / "tokens.csv"),
            "authorization-mode": "Node,RBAC",
            "allow-privileged": "true",  # as every installer sets it: Pod Security is what forbids
        }
        with running(_command("kube-apiserver", options), kubernetes, os.environ.copy(), server.ready):
            server.create([default_service_account("default")])
            yield server


def _command(name: str, options: dict[str, str]) -> list[str]:
    return [str(resolve(name)), *(f"--{option}={value}" for option, value in options.items())]


def _kubeconfig(server: ApiServer) -> dict[str, object]:
    name = "floe-test"
    url = f"https://{server.host}:{server.port}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(server.authority)}}],
        "users": [{"name": name, "user": {"token": server.token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _write_private(path: Path, content: str) -> None:
    """Write a file that only we can read."""
    path.touch(mode=0o600)
    path.write_text(content)
