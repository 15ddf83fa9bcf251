"""Deploys an environment to a cluster, with the changes in `tests/cluster/overlay`, and queries its state."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from cluster.kubectl import Kubectl, Object
from dagster_api import Dagster
from floe import render, repo
from floe.contract.compiling import compile_platform
from floe.demo import cube
from floe.demo.processes import tied_to_us
from floe.errors import FloeError
from floe.repo import Checkout
from floe.tools import resolve
from floe.yaml import load_file
from floe_runtime.contract.app import BATCH_AT
from floe_runtime.contract.artifacts import CompiledArtifacts
from floe_runtime.contract.platform import Platform
from floe_runtime.raw import generator

OVERLAY = Path("tests/cluster/overlay")
SERVICES = Path("base/services")
READY_SECONDS = 300
_RUN_SECONDS = 180
_BUSY = 3
"""How much slower pods may be where other suites use the same two cores."""
LOCATION, JOB = "ecommerce", "pipeline"
_NEVER = "0 0 1 1 *"
SERVER = f"deployment={LOCATION}"
"""The label of the pod that serves the code location."""
RUN = "app.kubernetes.io/component=run_worker"
"""The label of the pods of runs."""
_USER = "floe"
_ASK_CUBE = Path(__file__).with_name("ask_cube.py")


@dataclass(frozen=True)
class Deployed:
    """An environment on a cluster."""

    environment: str
    kubectl: Kubectl  # uses the namespace of the environment
    folder: Path  # the manifests are built here
    url: str = ""  # URL of a proxy to the cluster's API
    checkout: Checkout = field(default_factory=repo.current)

    @property
    def namespace(self) -> str:
        return self.kubectl.namespace

    @cached_property
    def secrets(self) -> dict[str, dict[str, str]]:
        """The Secrets that the overlay names, with random values."""
        object_store = {"AWS_ACCESS_KEY_ID": _USER, "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe()}
        catalog = {"FLOE_CATALOG_CLIENT_ID": _USER}  # SeaweedFS has one user for both
        catalog["FLOE_CATALOG_CLIENT_SECRET"] = object_store["AWS_SECRET_ACCESS_KEY"]
        services = ("POSTGRES_PASSWORD", "MARQUEZ_PASSWORD", "POLARIS_PASSWORD")
        return {
            "floe-postgres": {"postgresql-password": secrets.token_urlsafe()},
            "floe-object-store": object_store,
            "floe-catalog": catalog,
            "floe-cube": {name: secrets.token_urlsafe() for name in ("CUBEJS_API_SECRET", "CUBEJS_SQL_PASSWORD")},
            "floe-trino": {name: secrets.token_urlsafe() for name in ("FLOE_TRINO_USER", "FLOE_TRINO_PASSWORD")},
            "floe-auth-proxy": {
                "OAUTH2_PROXY_CLIENT_ID": _USER,
                "OAUTH2_PROXY_CLIENT_SECRET": secrets.token_urlsafe(),
                "OAUTH2_PROXY_COOKIE_SECRET": secrets.token_urlsafe(32),
            },
            "postgresql-tls": _certificate(f"postgresql.{self.namespace}.svc.cluster.local"),
            "floe-services": {name: secrets.token_urlsafe() for name in services},
        }

    @cached_property
    def manifests(self) -> bytes:
        """What `built` returned first, since the object was created."""
        return self.built()

    def built(self) -> bytes:
        """The manifests to apply: the rendered overlay with the changes of the tests' overlay."""
        for part in (OVERLAY, SERVICES):
            shutil.copytree(self.checkout.root / part, self.folder / part, dirs_exist_ok=True)
        top = self.folder / OVERLAY / self.environment
        (top / "rendered.yaml").write_bytes(render.render(self.checkout, self.environment))
        objects = [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}
            for name, content in self.secrets.items()
        ]
        (self.folder / OVERLAY / "common" / "CompiledArtifacts.json").write_text(self.artifacts().text())
        (top / "secrets.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        command = [str(resolve("kustomize")), "build", str(top)]
        done = subprocess.run(command, check=False, capture_output=True)
        if done.returncode:
            raise FloeError(f"kustomize cannot build {OVERLAY / self.environment}: {done.stderr.decode().strip()}")
        return done.stdout

    def artifacts(self) -> CompiledArtifacts:
        """The CompiledArtifacts of the overlay, with the changes of the tests' platform.yaml.

        A mapping without `kind` and `target` replaces single fields of a part. Anything else replaces the whole part.
        Only the code location LOCATION ticks: a run of another app would take the place of those that the tests start.
        """
        platform = load_file(self.checkout.platform_file(self.environment))
        changes = load_file(self.checkout.root / OVERLAY / self.environment / "platform.yaml")
        for part, value in changes.items():
            merges = isinstance(value, dict) and not {"kind", "target"} & set(value)
            platform[part] = platform.get(part, {}) | value if merges else value
        others = json.loads(self.checkout.artifacts_file(self.environment).read_bytes())["apps"].keys() - {LOCATION}
        platform["apps"] = {name: {"schedule": {"cron": _NEVER}} for name in others}
        return compile_platform(self.checkout, self.environment, Platform.model_validate(platform))

    def apply(self, manifests: bytes = b"") -> str:
        """Apply manifests, by default those of the environment; returns the warnings of kubectl.

        This is a server-side apply with strict validation.
        """
        given = manifests or self.manifests
        done = self.kubectl.run("apply", "--server-side", "--validate=strict", "-f", "-", stdin=given)
        assert done.returncode == 0, done.stderr.decode()
        return done.stderr.decode()

    def delete(self) -> None:
        """Delete the environment and wait until it is gone."""
        # Deployments go before their database, because Dagster's daemon would keep waiting for a missing database.
        self.kubectl("delete", "deployments", "--all", "--cascade=foreground", timeout=READY_SECONDS)
        # Runs go next: if a pod with a grace period of half an hour is left, the namespace controller looks again only
        # after a quarter of an hour, although the pod ends within seconds.
        self.kubectl("delete", "jobs", "--all", "--cascade=foreground", timeout=READY_SECONDS)
        self.kubectl("delete", "--wait", "--ignore-not-found", "-f", "-", stdin=self.manifests, timeout=READY_SECONDS)

    def pods(self, selector: str = "") -> list[Object]:
        """The pods of the environment that match a label selector."""
        return self._list("api/v1", "pods", selector)

    def ready_pods(self, selector: str) -> list[Object]:
        """The pods that are ready and are not being deleted: a command in a pod that ends is killed with it."""
        return [
            pod
            for pod in self.pods(selector)
            if not pod["metadata"].get("deletionTimestamp")
            and any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())
            )
        ]

    def _list(self, api: str, kind: str, selector: str = "") -> list[Object]:
        """The objects of a kind; through the proxy if there is one, as a call of kubectl takes 0.1 s of a core."""
        path = f"/{api}/namespaces/{self.namespace}/{kind}?{urlencode({'labelSelector': selector})}"
        if not self.url:
            return list(json.loads(self.kubectl("get", "--raw", path))["items"])
        with urlopen(self.url + path, timeout=30) as answer:  # noqa: S310 # kubectl's proxy on loopback
            return list(json.load(answer)["items"])

    def unready(self) -> list[str]:
        """The names of workloads that are not updated or whose pods are not all ready."""
        late = []
        for one in self._list("apis/apps/v1", "deployments") + self._list("apis/apps/v1", "statefulsets"):
            status, wanted = one.get("status", {}), one["spec"]["replicas"]
            current = status.get("observedGeneration") == one["metadata"]["generation"]
            counts = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas")]
            if not current or counts != [wanted] * 3:
                late.append(one["metadata"]["name"])
        return late

    def wait_ready(self, seconds: float = READY_SECONDS) -> float:
        """Wait until every workload is ready; returns the seconds that took.

        Raises AssertionError after the given seconds, with the workloads that are not ready and the reasons.
        """
        return wait_for(lambda: not self.unready(), seconds, lambda: f"{self.unready()} not ready\n{self.why()}")

    def memory(self) -> dict[str, tuple[float, int]]:
        """The MiB that each pod uses and requests, without pods of Jobs and pods that are not measured yet."""
        nodes = [node["metadata"]["name"] for node in self.kubectl.get("nodes")]
        summaries = [
            json.loads(self.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/stats/summary")) for name in nodes
        ]
        used = {
            (one["podRef"]["namespace"], one["podRef"]["name"]): one["memory"]["workingSetBytes"] / 2**20
            for summary in summaries
            for one in summary["pods"]
            if one.get("memory", {}).get("workingSetBytes")  # the kubelet reports 0 before it measures
        }
        figures = {}
        for pod in self.pods("!job-name"):
            name, containers = pod["metadata"]["name"], pod["spec"]["containers"]
            if (self.namespace, name) in used:
                requested = sum(_mib(one["resources"]["requests"]["memory"]) for one in containers)
                figures[name] = (used[self.namespace, name], requested)
        return figures

    def idle(self) -> dict[str, tuple[float, int]]:
        """The result of `memory` as soon as every pod has been measured, which takes the kubelet a while."""
        wait_for(lambda: len(self.memory()) == len(self.pods("!job-name")), 60)
        return self.memory()

    def warnings(self) -> list[str]:
        """The object, reason and message of each event of type Warning."""
        events = self.kubectl.get("events", "--field-selector=type=Warning")
        return [
            f"{one['involvedObject']['kind']}/{one['involvedObject']['name']}: {one['reason']}: {one['message']}"
            for one in events
        ]

    def why(self) -> str:
        """The reasons why pods are not ready, line by line, with the end of the log of containers that ended."""
        lines = [
            f"{node['metadata']['name']}: {one['message']}"  # such as a full disk, which pods report as a taint
            for node in self.kubectl.get("nodes")
            for one in node["status"]["conditions"]
            if one["type"].endswith("Pressure") and one["status"] == "True"
        ]
        for pod in self.pods():
            name, status = pod["metadata"]["name"], pod["status"]
            lines += [
                f"{name} is on no node: {one['message']}"
                for one in status.get("conditions", ())
                if one["type"] == "PodScheduled" and one["status"] == "False"
            ]
            for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
                waiting = container["state"].get("waiting", {})
                if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                    lines.append(f"{name}/{container['name']}: {waiting['reason']}: {waiting.get('message', '')}")
                if container["lastState"]:
                    log = self.kubectl.run("logs", name, "-c", container["name"], "--previous", "--tail=5")
                    lines += [f"  {line}" for line in log.stdout.decode(errors="replace").splitlines()]
        if self.url:
            try:
                self.dagster.loaded(LOCATION)
            except FloeError as error:
                lines.append(f"webserver: {error}")
        return "\n".join([*lines, *(f"event: {one}" for one in dict.fromkeys(self.warnings()))])

    @property
    def dagster(self) -> Dagster:
        """Dagster's API, through its Service."""
        service = f"api/v1/namespaces/{self.namespace}/services/dagster-webserver:3000"
        return Dagster(f"{self.url}/{service}/proxy")

    def loaded(self, app: str = LOCATION) -> bool:
        """Whether Dagster has loaded the code location; not if it only knows that the previous server has ended."""
        with suppress(FloeError):
            return self.dagster.loaded(app)
        return False

    def launch(self, at: str, app: str = LOCATION) -> str:
        """Launch the pipeline to load until a time, such as `moment()`; returns the id of the run."""
        return self.dagster.launch(app, JOB, {BATCH_AT: at})

    def follow(self, run: str) -> str:
        """Wait until a run ends; returns its status. Raises FloeError if it does not end in time."""
        return self.dagster.follow(run, _RUN_SECONDS * _BUSY)

    def orders_between(self, since: str, until: str, app: str = LOCATION) -> int:
        """The number of orders in a window, as computed by the generator."""
        synthetic = self.artifacts().apps[app].app.synthetic
        assert synthetic
        start, end = map(datetime.fromisoformat, (since, until))
        return int(generator(synthetic).batch(start, end).tables["orders"].num_rows) if start < end else 0

    def worker(self, run: str) -> str:
        """Wait until the run has a pod, and return the name of the pod."""
        selector = f"dagster/run-id={run}"
        wait_for(lambda: self.pods(selector), 60, self.why)
        return str(self.pods(selector)[0]["metadata"]["name"])

    def wait_for_orders(self, *until: str, seconds: float = 60, app: str = LOCATION) -> dict[str, int]:
        """Wait until Cube's REST API, queried from inside the cluster, has all orders up to the last of these times.

        Every window between must have been loaded exactly once: the orders of each batch are those of its window, which
        its id names, and together they are those of the whole time since the first. Returns the number of orders of
        each batch. Raises AssertionError after the given seconds, with these numbers.
        """
        first = self._orders(1, seconds, app)
        start, end = min(window(one)[0] for one in first), max(until)
        shown = self._orders(self.orders_between(start, end, app), seconds, app)
        end = max(end, *(window(one)[1] for one in shown))
        wanted = {one: self.orders_between(*window(one), app) for one in shown}
        assert shown == wanted, f"after {seconds:.0f} s: {shown} in place of {wanted}"
        assert sum(shown.values()) == self.orders_between(start, end, app), f"from {start} until {end}: {shown}"
        return shown

    def _orders(self, least: int, seconds: float, app: str) -> dict[str, int]:
        """The orders of each batch, as soon as there are so many of them or the seconds are over."""
        cube_name = "orders" if app == LOCATION else f"{app}_orders"
        query = {"measures": [f"{cube_name}.count"], "dimensions": [f"{cube_name}.batch_id"], "limit": 10_000}
        token = cube.token(self.secrets["floe-cube"]["CUBEJS_API_SECRET"])
        arguments = map(json.dumps, (query, least, seconds))
        shown: dict[str, int] = self.ask(_ASK_CUBE.read_text(), token, *arguments, seconds=seconds + 30)
        assert sum(shown.values()) >= least, f"after {seconds:.0f} s: {shown}, which is less than {least}"
        return shown

    def ask(self, program: str, *arguments: str, seconds: float = 60) -> Any:
        """Run a Python program in the pod `client`; returns the JSON that it prints."""
        command = ["exec", "client", "--", "python", "-c", program, *arguments]
        return json.loads(self.kubectl(*command, timeout=seconds))


def moment() -> str:
    """The current time, up to which a test may launch a run."""
    return datetime.now(UTC).isoformat()


def window(batch: str) -> tuple[str, str]:
    """The start and end of a batch, from its id."""
    end, start = batch.split(" from ")
    return start, end


def _mib(quantity: str) -> int:
    units = {"Mi": 1, "Gi": 1024}
    return int(quantity[:-2]) * units[quantity[-2:]]


def _certificate(host: str) -> dict[str, str]:
    """A self-signed certificate for a host, and its key."""
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={host}"]
    command = [shutil.which("openssl") or "openssl", "req", *options, "-keyout", "-", "-out", "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    key, begin, certificate = text.partition("-----BEGIN CERTIFICATE-----")
    return {"tls.key": key, "tls.crt": begin + certificate}


def wait_for(done: Callable[[], Any], seconds: float, what: Callable[[], str] = lambda: "") -> float:
    """Wait until `done` returns something true; returns the seconds that took.

    `seconds`: how long it may take on a machine that does nothing else; after _BUSY times as long, this raises
    AssertionError with the text of `what`.
    """
    seconds *= _BUSY
    started = time.monotonic()
    while True:
        asked = time.monotonic()
        if done():
            return time.monotonic() - started
        now = time.monotonic()
        assert now - started < seconds, f"after {seconds:.0f} s: {what()}"
        time.sleep(max(0.3, now - asked))  # so that the queries use at most half of a core


def environment(name: str, kubectl: Kubectl, folder: Path, url: str = "", checkout: Checkout | None = None) -> Deployed:
    """An environment of a checkout on a cluster; by default of this repository."""
    return Deployed(name, replace(kubectl, namespace=f"floe-{name}"), folder, url, checkout or repo.current())


@contextmanager
def proxied(kubectl: Kubectl) -> Iterator[str]:
    """Run `kubectl proxy` during the block; yields its URL, which leads to the cluster's API and to its Services."""
    command = [*tied_to_us(), *kubectl.command("proxy", "--port=0")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("Starting to serve on "), line
        try:
            yield f"http://{line.split()[-1]}"
        finally:
            process.terminate()
