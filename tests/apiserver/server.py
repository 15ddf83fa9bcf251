"""A real Kubernetes API server without a cluster: etcd and kube-apiserver on free ports of loopback, as any user.

Admission works as in a cluster, including Pod Security and service accounts. There are no controllers: nothing creates
the pods of a Deployment, and a test must create itself what a controller would create.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apiserver.client import ApiServer, default_service_account
from floe.demo.processes import answers
from servers import HOST, free_ports, running
from toolbox import resolve

CERTIFICATE = Path("certificates", "apiserver.crt")


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """Run a server during the block, with its state in `folder`. It also ends if this process is killed."""
    port, clients, peers = free_ports(3)
    etcd, kubernetes = folder / "etcd", folder / "kubernetes"
    for part in (etcd, kubernetes):
        part.mkdir()
    server = ApiServer(HOST, port, secrets.token_urlsafe(), kubernetes / CERTIFICATE, folder / "kubeconfig")
    store = f"http://{HOST}:{clients}"
    store_command = etcd_command(etcd, clients, peers)
    with running(store_command, etcd, os.environ.copy(), lambda: answers(f"{store}/version")):
        # Other machines cannot reach the address of loopback, so the server must not publish it.
        options = {"bind-address": HOST, "advertise-address": HOST, "endpoint-reconciler-type": "none"}
        api_command = server_command(server, kubernetes, store, options)
        with running(api_command, kubernetes, os.environ.copy(), server.ready):
            server.create([default_service_account("default")])
            yield server


def etcd_command(folder: Path, clients: int, peers: int) -> list[str]:
    """The command that runs etcd with its data in `folder`, on two ports of loopback: for clients and for peers."""
    store, peer = f"http://{HOST}:{clients}", f"http://{HOST}:{peers}"
    options = {"listen-client-urls": store, "advertise-client-urls": store, "listen-peer-urls": peer}
    options |= {"initial-advertise-peer-urls": peer, "initial-cluster": f"default={peer}", "data-dir": str(folder)}
    return command("etcd", options)


def server_command(server: ApiServer, folder: Path, store: str, options: dict[str, str]) -> list[str]:
    """The command that runs kube-apiserver. This function also writes the files that it needs to `folder`.

    It also writes the server's kubeconfig, whose user has all rights. `store`: URL of etcd. `options`: further flags.
    """
    _write_private(folder / "tokens.csv", f"{server.token},admin,admin,system:masters\n")
    _write_private(server.kubeconfig, json.dumps(_kubeconfig(server)))
    key = str(signing_key(folder))  # the server creates this key and also signs the tokens of service accounts with it
    options |= {
        "etcd-servers": store,
        "secure-port": str(server.port),
        "cert-dir": str((folder / CERTIFICATE).parent),
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "service-cluster-ip-range": "10.0.0.0/24",
        "token-auth-file": str(folder / "tokens.csv"),
        "authorization-mode": "Node,RBAC",
        "allow-privileged": "true",  # every installer sets this; Pod Security forbids privileged pods
    }
    return command("kube-apiserver", options)


def signing_key(folder: Path) -> Path:
    """The key with which tokens of service accounts are signed."""
    return (folder / CERTIFICATE).with_suffix(".key")


def command(name: str, options: dict[str, str]) -> list[str]:
    """The command that runs a program of the node with options."""
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
