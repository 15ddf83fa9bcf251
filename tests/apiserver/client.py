"""A client of a Kubernetes API server for tests: it gets verdicts on manifests by the API and by kubectl."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from floe.kubernetes.objects import mapping, text
from floe.tools import resolve
from floe.yaml import load_file

Object = dict[str, Any]

_CONNECTIONS = 32  # each of them mostly waits for the server; more are not faster
_TIMEOUT_SECONDS = 60
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PROBE = "admission-probe"
"""Name of the quota and the ConfigMap that show whether admission knows the quotas of a namespace."""
_STRICT = {"fieldValidation": "Strict"}
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Raw:
    """A manifest as bytes, which is sent unchanged, with the fields that determine the path of the request."""

    body: bytes
    api_version: str
    kind: str
    namespace: str = ""
    media: str = "application/yaml"


@dataclass(frozen=True)
class Verdict:
    """The answer of the server for one object: an HTTP status and, if it refuses the object, a reason and a message."""

    status: int
    reason: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class _Resource:
    path: str  # path of its API group and version
    plural: str
    namespaced: bool

    def url(self, namespace: str, name: str = "", subresource: str = "") -> str:
        inside = ["namespaces", namespace or "default"] if self.namespaced else []
        return "/".join(
            [self.path, *(quote(part, safe="") for part in [*inside, self.plural, name, subresource] if part)]
        )


@dataclass
class ApiServer:
    """A server and the credentials of a user with all rights. Can be used from several threads."""

    host: str
    port: int
    token: str = field(repr=False)
    authority: Path  # the certificate that signed the server's
    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run kubectl against the server."""
        cache = f"--cache-dir={self.kubeconfig.parent / 'kubectl-cache'}"
        env = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        command = [str(resolve("kubectl")), cache, *arguments]
        return subprocess.run(command, env=env, input=stdin, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS)

    def apply_dry_run(self, manifests: bytes) -> subprocess.CompletedProcess[bytes]:
        """Run `kubectl apply` on a YAML stream as a server-side dry run, so that nothing is stored."""
        return self.kubectl(
            *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"), stdin=manifests
        )

    def version(self) -> str:
        """The version of the server, such as v1.34.3."""
        return str(self._get("/version")["gitVersion"])

    def ready(self) -> bool:
        """Whether the server reports that it is ready."""
        try:
            return self._http.request("GET", "/readyz", timeout=5).status == 200
        except (urllib3.exceptions.HTTPError, OSError):  # OSError: the certificate does not exist yet
            return False

    def dry_run(self, objects: Iterable[Object | Raw], *, create_namespaces: bool = True) -> list[Verdict]:
        """The server's verdicts on creating the objects, in the same order. The objects are not stored.

        `create_namespaces`: first create the missing namespaces of the objects, which then remain. If an object exists
        already and has no other problem, it is refused with the reason AlreadyExists.
        """
        items = list(objects)
        if create_namespaces:
            for namespace in sorted({_head(item)[2] for item in items} - {""}):
                self.create([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            return list(threads.map(lambda item: self._post(item, _STRICT | {"dryRun": "All"}), items))

    def create(self, objects: Iterable[Object | Raw]) -> list[Verdict]:
        """Create and store objects one by one, and do what admission expects of controllers."""
        verdicts = []
        for item in objects:
            verdicts.append(self._post(item, _STRICT))
            if isinstance(item, dict) and verdicts[-1].accepted:
                self._as_controllers(item)
        return verdicts

    @contextmanager
    def holding(self, objects: Iterable[Object]) -> Iterator[list[Verdict]]:
        """Create objects, delete them after the block; yields the verdicts on their creation."""
        items = list(objects)
        verdicts = self.create(items)
        try:
            yield verdicts
        finally:
            for item, verdict in reversed(list(zip(items, verdicts, strict=True))):
                if verdict.accepted:
                    self._delete(item)

    def define(self, files: Iterable[Path]) -> None:
        """Create the CustomResourceDefinitions of YAML files and wait until the server knows their kinds."""
        definitions = [load_file(file) for file in files]
        for definition, verdict in zip(definitions, self.create(definitions), strict=True):
            assert verdict.accepted or verdict.reason == "AlreadyExists", (definition["metadata"]["name"], verdict)
        wanted = {
            (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"])
            for one in definitions
            for version in one["spec"]["versions"]
            if version["served"]
        }
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while not wanted <= set(self._resources):
            assert time.monotonic() < deadline, f"not served: {wanted - set(self._resources)}"
            time.sleep(0.2)
            del self._resources

    @cached_property
    def _http(self) -> urllib3.HTTPSConnectionPool:
        return urllib3.HTTPSConnectionPool(
            self.host,
            self.port,
            maxsize=_CONNECTIONS,
            block=True,
            retries=False,
            timeout=_TIMEOUT_SECONDS,
            ca_certs=str(self.authority),
            headers={"Authorization": f"Bearer {self.token}"},
        )

    def _get(self, path: str, accept: str = "application/json") -> Any:
        answer = self._http.request("GET", path, headers={**self._http.headers, "Accept": accept})
        assert answer.status == 200, (path, answer.status, answer.data)
        return answer.json()

    @cached_property
    def _resources(self) -> dict[tuple[str, str], _Resource]:
        """The resources that the server serves, by apiVersion and kind."""
        resources = {}
        for path in ("/api", "/apis"):
            for group in self._get(path, _DISCOVERY)["items"]:
                for version in group["versions"]:
                    name = "/".join(part for part in (group["metadata"].get("name", ""), version["version"]) if part)
                    for one in version.get("resources", ()):
                        if "create" in one["verbs"]:
                            resources[name, one["responseKind"]["kind"]] = _Resource(
                                f"{path}/{name}", one["resource"], one["scope"] == "Namespaced"
                            )
        return resources

    def _post(self, item: Object | Raw, query: dict[str, str]) -> Verdict:
        api_version, kind, namespace = _head(item)
        resource = self._resources.get((api_version, kind))
        if resource is None:  # the message is that of kubectl, which finds this out before it sends a request
            return Verdict(404, "NoKindMatch", f'no matches for kind "{kind}" in version "{api_version}"')
        body, media = (item.body, item.media) if isinstance(item, Raw) else (json.dumps(item), "application/json")
        answer = self._http.request(
            "POST",
            f"{resource.url(namespace)}?{urlencode(query)}",
            body=body,
            headers={**self._http.headers, "Content-Type": media, "Accept": "application/json"},
        )
        warnings = tuple(
            re.sub(r"\\(.)", r"\1", match[1])
            for header in answer.headers.getlist("Warning")
            for match in _WARNING.finditer(header)
        )
        if 200 <= answer.status < 300:
            return Verdict(answer.status, warnings=warnings)
        try:
            status = answer.json()
        except ValueError:  # the answer does not come from a handler of the API
            status = {"message": answer.data.decode(errors="replace")}
        return Verdict(answer.status, status.get("reason", ""), status.get("message", ""), warnings)

    def _delete(self, item: Object) -> None:
        api_version, kind, namespace = _head(item)
        resource, name = self._resources[api_version, kind], item["metadata"]["name"]
        self._do("DELETE", resource.url(namespace, name))
        if kind == "Namespace":  # the controller that would empty and then finalize it does not run
            self._do("DELETE", self._resources["v1", "ServiceAccount"].url(name))
            self._do("PUT", resource.url("", name, "finalize"), {**item, "spec": {"finalizers": []}})

    def _as_controllers(self, item: Object) -> None:
        """Do for a new object what the controller manager would do before pods can be admitted."""
        name = item["metadata"]["name"]
        match item["kind"]:
            case "Namespace":
                self.create([default_service_account(name)])
            case "ResourceQuota":
                hard = item["spec"]["hard"]
                status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
                path = self._resources["v1", "ResourceQuota"].url(item["metadata"]["namespace"], name, "status")
                self._do("PUT", path, {**item, "status": status})
                if name != _PROBE:
                    self._wait_until_quotas_count(item["metadata"]["namespace"])

    def _wait_until_quotas_count(self, namespace: str) -> None:
        """Wait until admission knows the quotas of a namespace, so that it counts the next pod.

        Admission reads quotas from its own copy, which follows storage a moment later. A second quota, which allows no
        ConfigMap, shows when: the copy receives changes in order.
        """
        metadata = {"name": _PROBE, "namespace": namespace}
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": metadata,
            "spec": {"hard": {"configmaps": "0"}},
        }
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        with self.holding([quota]) as (created,):
            assert created.accepted, created
            deadline = time.monotonic() + _TIMEOUT_SECONDS
            while f"exceeded quota: {_PROBE}" not in self.dry_run([config_map], create_namespaces=False)[0].message:
                assert time.monotonic() < deadline, "admission does not know the quota"
                time.sleep(0.02)

    def _do(self, method: str, path: str, body: Object | None = None) -> None:
        headers = {**self._http.headers, "Content-Type": "application/json"}
        answer = self._http.request(method, path, json=body, headers=headers)
        assert 200 <= answer.status < 300, answer.data


def default_service_account(namespace: str) -> Object:
    """The service account that the controller manager creates in every namespace; pods use it by default."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}


def _head(item: Object | Raw) -> tuple[str, str, str]:
    """The apiVersion, kind and namespace of an object, each empty if it is not text."""
    if isinstance(item, Raw):
        return item.api_version, item.kind, item.namespace
    return text(item.get("apiVersion")), text(item.get("kind")), text(mapping(item.get("metadata")).get("namespace"))
