"""The state of environments in a cluster: conditions of Flux and Argo CD, workloads, and pods that do not start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from floe import image_builds, process, tools
from floe.errors import FloeError
from floe.kubernetes.objects import ENVIRONMENT, mapping, mappings, text
from floe.promote import carried
from floe.repo import Checkout
from floe.yaml import load_file

if TYPE_CHECKING:
    from rich.console import Console

Values = dict[str, Any]

_FLUX = {
    "GitRepository": "/apis/source.toolkit.fluxcd.io/v1/gitrepositories",
    "HelmRepository": "/apis/source.toolkit.fluxcd.io/v1/helmrepositories",
    "Kustomization": "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations",
    "HelmRelease": "/apis/helm.toolkit.fluxcd.io/v2/helmreleases",
}
_ARGO = {"Application": "/apis/argoproj.io/v1alpha1/applications"}
_WORKLOADS = {kind: f"/apis/apps/v1/namespaces/{{namespace}}/{kind.lower()}s" for kind in ("Deployment", "StatefulSet")}
_PODS = {"Pod": "/api/v1/namespaces/{namespace}/pods"}
_LONGEST = 300  # characters of a message
_LATER_SECONDS = 2  # that kubectl may need to end after its request has timed out


@dataclass(frozen=True)
class Line:
    """The state of one object."""

    object: str
    ok: bool | None  # None: in progress
    message: str


@dataclass(frozen=True)
class Live:
    """The state of one environment in the cluster. `lines` is empty if the environment is not in this cluster."""

    lines: tuple[Line, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing has failed. Objects in progress count as ok."""
        return all(line.ok is not False for line in self.lines)

    def show(self, out: Console) -> None:
        """Print one line per object."""
        from rich.markup import escape

        if not self.lines:
            out.print("    [dim]not in this cluster[/]")
        for line in self.lines:
            mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]…[/]"}[line.ok]
            out.print(f"    {mark} {escape(line.object)}  {escape(line.message)}")

    def as_dict(self) -> Values:
        """The content of `cluster` in `floe status --json`."""
        return {"ok": self.ok, "objects": [asdict(line) for line in self.lines]}


@dataclass(frozen=True)
class Cluster:
    """A cluster of the kubeconfig. `context`: None for the current one. `timeout`: seconds to wait for an answer."""

    context: str | None = None
    timeout: float = 10

    def look(self, checkout: Checkout, environments: Sequence[str]) -> dict[str, Live]:
        """The state of each environment. Raises FloeError if the cluster does not answer in time or refuses."""
        self._list("/version")  # so that an unreachable cluster is reported once, before the parallel requests
        namespaces = {name: _namespace(checkout, name) for name in environments}
        paths = {**_FLUX, **_ARGO}
        inside = {
            (namespace, kind): path.format(namespace=namespace)
            for namespace in namespaces.values()
            for kind, path in (_WORKLOADS | _PODS).items()
        }
        with ThreadPoolExecutor(8) as threads:
            managed = dict(zip(paths, threads.map(self._list, paths.values()), strict=True))
            objects = dict(zip(inside, threads.map(self._list, inside.values()), strict=True))
        return {
            name: Live(
                (
                    *_managed_lines(name, namespace, managed),
                    *_workload_lines(
                        checkout, name, objects[namespace, "Deployment"] + objects[namespace, "StatefulSet"]
                    ),
                    *_pod_lines(objects[namespace, "Pod"]),
                )
            )
            for name, namespace in namespaces.items()
        }

    def _list(self, path: str) -> list[Values]:
        """The objects at an API path; none if the cluster does not know the kind."""
        command = [str(tools.resolve("kubectl")), "get", "--raw", path, f"--request-timeout={self.timeout:g}s"]
        command += [f"--context={self.context}"] if self.context else []
        done = process.run(
            command,
            seconds=self.timeout + _LATER_SECONDS,
            check=False,
            what="the cluster does not answer",
            hint=f"Check the cluster with `{_kubectl(self.context)} version`, or allow more time with --timeout.",
        )
        if done.returncode:
            reason = process.complaint(done)
            if "NotFound" in reason or "could not find the requested resource" in reason:
                return []
            raise FloeError(
                f"the cluster does not answer: {reason}", f"Try `{_kubectl(self.context)} get --raw {path}`."
            )
        try:
            return list(mappings(mapping(json.loads(done.stdout)).get("items")))
        except ValueError:
            raise FloeError(
                f"the cluster's answer to {path} is not JSON", f"Try `{_kubectl(self.context)} version`."
            ) from None


def _kubectl(context: str | None) -> str:
    return f"kubectl --context={context}" if context else "kubectl"


def _namespace(checkout: Checkout, environment: str) -> str:
    return str(load_file(carried.namespace_file(checkout, environment))["metadata"]["name"])


def _managed_lines(environment: str, namespace: str, managed: dict[str, list[Values]]) -> Iterator[Line]:
    """The state of the Flux and Argo CD objects of an environment, found by their annotation or their namespace."""
    for kind, items in managed.items():
        for item in items:
            metadata = mapping(item.get("metadata"))
            whose = mapping(metadata.get("annotations")).get(ENVIRONMENT)
            if whose == environment or (whose is None and metadata.get("namespace") == namespace):
                name = f"{kind} {text(metadata.get('namespace'))}/{text(metadata.get('name'))}"
                yield _argo_line(name, item) if kind in _ARGO else _flux_line(name, item)


def _flux_line(name: str, item: Values) -> Line:
    status, spec = mapping(item.get("status")), mapping(item.get("spec"))
    if spec.get("suspend") is True:
        return Line(name, None, "suspended")
    if spec.get("type") == "oci" and not status:
        return Line(name, True, "an OCI registry, which has no state of its own")
    conditions = mappings(status.get("conditions"))
    ready = next((condition for condition in conditions if condition.get("type") == "Ready"), {})
    revision = text(status.get("lastAppliedRevision")) or text(mapping(status.get("artifact")).get("revision"))
    ok = {"True": True, "False": False}.get(text(ready.get("status")))
    words = [text(ready.get("reason")), text(ready.get("message"))]
    return Line(name, ok, _shortened(f"{revision}  {': '.join(filter(None, words)) or 'no status yet'}".strip()))


_ARGO_OK = {("Synced", "Healthy"): True}


def _argo_line(name: str, item: Values) -> Line:
    status = mapping(item.get("status"))
    sync, health = mapping(status.get("sync")), mapping(status.get("health"))
    synced, healthy = text(sync.get("status")), text(health.get("status"))
    operation = mapping(status.get("operationState"))
    phase = text(operation.get("phase"))
    failed = phase in ("Failed", "Error")
    # Otherwise a sync is running, or waits for a manual start.
    missing = healthy == "Missing" and phase == "Succeeded"
    errors = [
        text(condition.get("message"))
        for condition in mappings(status.get("conditions"))
        if "Error" in text(condition.get("type"))
    ]
    ok = False if failed or errors or missing or healthy == "Degraded" else _ARGO_OK.get((synced, healthy))
    words = [", ".join(filter(None, (synced, healthy))) or "no status yet", text(sync.get("revision"))[:12], *errors]
    return Line(
        name, ok, _shortened("  ".join(filter(None, [*words, text(operation.get("message")) if failed else ""])))
    )


def _workload_lines(checkout: Checkout, environment: str, items: list[Values]) -> Iterator[Line]:
    """The number of ready replicas of each workload, and the images of floe that differ from the overlay's."""
    runs = carried.held(checkout, environment)
    tags = {
        image_builds.IMAGES[name].name: runs.get(f"values/{file}", {}).get(".".join(steps), "")
        for name, (file, steps) in image_builds.PLACES.items()
    }
    for item in items:
        spec, status = mapping(item.get("spec")), mapping(item.get("status"))
        wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
        updated = status.get("updatedReplicas", 0)
        pod = mapping(mapping(spec.get("template")).get("spec"))
        strange = [
            f"runs {carried.shortened(tag)}, but the overlay pins {carried.shortened(tags[repository])}"
            for repository, tag in map(_repository_and_tag, mappings(pod.get("containers")))
            if tags.get(repository, tag) != tag
        ]
        words = f"{ready} of {wanted} ready" + (f", {updated} updated" if updated != wanted else "")
        late = [
            text(condition.get("message"))
            for condition in mappings(status.get("conditions"))
            if condition.get("type") == "Progressing" and condition.get("status") == "False"
        ]
        done = ready == wanted == updated and not strange
        name = f"{text(item.get('kind')) or 'workload'} {text(mapping(item.get('metadata')).get('name'))}"
        yield Line(name, True if done else False if late else None, _shortened("; ".join([words, *strange, *late])))


def _repository_and_tag(container: Values) -> tuple[str, str]:
    """The image's name without its registry, and its tag with digest."""
    reference = text(container.get("image"))
    repository, _, tag = reference.rpartition("/")[2].partition(":")
    return repository, tag


_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def _pod_lines(items: list[Values]) -> Iterator[Line]:
    """The pods whose containers do not start, and why. Pods that have ended are left out."""
    for item in items:
        status = mapping(item.get("status"))
        groups = (mappings(status.get(group)) for group in ("initContainerStatuses", "containerStatuses"))
        for container in chain.from_iterable(groups):
            waiting = mapping(mapping(container.get("state")).get("waiting"))
            reason = text(waiting.get("reason"))
            if reason and reason not in _STARTING:
                name = f"Pod {text(mapping(item.get('metadata')).get('name'))}"
                yield Line(name, False, _shortened(f"{reason}: {text(waiting.get('message'))}"))
                break


def _shortened(words: str) -> str:
    words = " ".join(words.split())
    if len(words) <= _LONGEST:
        return words
    return f"{words[: _LONGEST // 3]} … {words[-2 * _LONGEST // 3 :]}"  # the cause is usually at the end


def everywhere(checkout: Checkout, context: str | None, timeout: float) -> dict[str, Live]:
    """The state in a cluster of every environment of the repository. `timeout`: seconds to wait for an answer."""
    return Cluster(context, timeout).look(checkout, checkout.environments())
