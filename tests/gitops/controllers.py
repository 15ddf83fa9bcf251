"""Runs the controllers of Flux and Argo CD on a test node: not in pods, in the node's network, as cluster-admin.

Their flags are those of an installation, except for addresses, for the settings in clusters/README.md, and for leader
election, which a single instance does not need. Flux's notification-controller is not available here.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from cluster.deployed import wait_for
from cluster.kubectl import Kubectl
from cluster.node import Node
from floe.demo.processes import Supervisor
from floe.kubernetes import crds
from floe.yaml import load_file
from toolbox import resolve

FLUX, ARGOCD = "flux-system", "argocd"
"""The namespaces of the controllers."""
_REDIS, _REPO_SERVER = "127.0.0.1:6379", "127.0.0.1:8081"
_ON_PATH = ("helm", "kustomize")  # programs that Argo CD's repo-server calls


def start_flux(node: Node, kubectl: Kubectl, running: Supervisor, folder: Path) -> None:
    """Create the definitions and the namespace of Flux, and start source-, kustomize- and helm-controller.

    `folder`: where source-controller stores its artifacts.
    """
    _define(kubectl, "flux", FLUX)
    env = os.environ | {"KUBECONFIG": str(node.inner_kubeconfig), "RUNTIME_NAMESPACE": FLUX, "TMPDIR": str(folder)}
    artifacts = "127.0.0.1:9790"
    flags = {
        "source-controller": [
            f"--storage-path={folder}",
            f"--storage-addr={artifacts}",
            f"--storage-adv-addr={artifacts}",
        ],
        "kustomize-controller": ["--requeue-dependency=5s", "--feature-gates=CancelHealthCheckOnNewRevision=true"],
        "helm-controller": [],
    }
    for number, (name, own) in enumerate(flags.items()):
        common = ["--watch-all-namespaces", "--enable-leader-election=false", "--events-addr=", "--log-level=info"]
        common += [f"--metrics-addr=127.0.0.1:{9001 + 2 * number}", f"--health-addr=127.0.0.1:{9002 + 2 * number}"]
        running.start(name, [*node.enter(), str(resolve(name)), *common, *own], env, folder)


def start_argocd(node: Node, kubectl: Kubectl, running: Supervisor, folder: Path, settings: Path) -> None:
    """Start Argo CD's application controller, repo-server and ApplicationSet controller, and the Redis they share.

    `settings`: the file with the argocd-cm that will be applied to the cluster. The interval at which Git is polled is
    read from it now, because the controller needs it when it starts.
    """
    _define(kubectl, "argocd", ARGOCD)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    labels = {"app.kubernetes.io/part-of": "argocd"}
    for kind, name, content in (
        # An installation creates both objects without settings; the settings come from clusters/.
        ("ConfigMap", "argocd-cm", {"data": {}}),
        ("Secret", "argocd-secret", {"data": {"server.secretkey": key}}),
    ):
        metadata = {"name": name, "namespace": ARGOCD, "labels": labels}
        kubectl.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **content})
    kubeconfig = load_file(node.inner_kubeconfig)
    kubeconfig["contexts"][0]["context"]["namespace"] = ARGOCD  # the namespace of their settings
    env = os.environ | _argocd_env(folder) | {"KUBECONFIG": _private(folder / "kubeconfig", kubeconfig)}
    env["ARGOCD_RECONCILIATION_TIMEOUT"] = load_file(settings)["data"]["timeout.reconciliation"]
    programs = folder / "programs"
    programs.mkdir()
    for name in _ON_PATH:
        (programs / name).symlink_to(resolve(name))
    env["PATH"] = f"{programs}{os.pathsep}{env['PATH']}"

    def start(role: str, *flags: str) -> None:
        command = [*node.enter(), str(resolve("argocd")), *flags, "--loglevel=info"]
        running.start(role, command, env | {"ARGOCD_BINARY_NAME": f"argocd-{role}"}, folder)

    redis = ["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    running.start("redis", [*node.enter(), *redis], env, folder)
    start("repo-server", "--port=8081", f"--redis={_REDIS}", "--metrics-port=9101")
    reach = [f"--redis={_REDIS}", f"--repo-server={_REPO_SERVER}"]
    start("application-controller", *reach, f"--namespace={ARGOCD}", "--metrics-port=9102")
    addresses = ["--metrics-addr=127.0.0.1:9103", "--probe-addr=127.0.0.1:9104"]
    start("applicationset-controller", f"--argocd-repo-server={_REPO_SERVER}", f"--namespace={ARGOCD}", *addresses)


def _argocd_env(folder: Path) -> dict[str, str]:
    """Create the folders that Argo CD's pods have under /app and /tmp; returns the variables that point to them."""
    places = {
        "ARGOCD_TLS_DATA_PATH": "tls",
        "ARGOCD_SSH_DATA_PATH": "ssh",
        "ARGOCD_GNUPGHOME": "gpg",
        "ARGOCD_PLUGINSOCKFILEPATH": "plugins",
        "TMPDIR": "tmp",
    }
    for place in places.values():
        (folder / place).mkdir()
    env = {name: str(folder / place) for name, place in places.items()}
    # Without ARGOCD_FAKE_IN_CLUSTER, Applications for https://kubernetes.default.svc need the token of a pod.
    return env | {"ARGOCD_FAKE_IN_CLUSTER": "true", "ARGOCD_GPG_ENABLED": "false", "HOSTNAME": "argocd-0"}


def _define(kubectl: Kubectl, controller: str, namespace: str) -> None:
    files = [f"--filename={file}" for one in crds.CONTROLLERS[controller] for file in one.files()]
    kubectl("apply", "--server-side", *files)
    # kubectl wait fails at once for a definition that has no condition yet, so it is repeated.
    wait_for(lambda: kubectl.run("wait", "--for=condition=Established", *files).returncode == 0, 60)
    kubectl("create", "namespace", namespace)


def _private(path: Path, content: object) -> str:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    return str(path)
