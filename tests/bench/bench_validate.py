"""floe-validate compared with kubeconform, as whole processes on the same stream with the same schemas.

kubeconform checks only schemas, floe-validate also runs all its policies. Both read stdin and take turns after a
warm-up: on 10,000 documents, on 20,000, and on an overlay, for which the start of the process takes most of the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from floe import render, repo
from floe.kubernetes.objects import ENVIRONMENT, objects
from floe.kubernetes.releases import definitions
from floe.yaml import documents
from toolbox import resolve

DOCUMENTS = 10_000
OVERLAY = "prod"
ROUNDS = 5

TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{n}
  namespace: shop
  labels:
    app.kubernetes.io/name: app-{n}
    app.kubernetes.io/part-of: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: app-{n}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: app-{n}
        app.kubernetes.io/part-of: shop
    spec:
      serviceAccountName: app-{n}
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
      - name: app
        image: registry.example.com:5000/shop/app:1.{n}.0
        args:
        - --listen
        - 0.0.0.0:8080
        - --verbose
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: GREETING
          value: hello
        - name: SETTING
          valueFrom:
            configMapKeyRef:
              name: app-{n}
              key: setting
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
          limits:
            memory: 128Mi
        readinessProbe:
          httpGet:
            path: /healthz
            port: http
          periodSeconds: 10
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
            - ALL
        volumeMounts:
        - name: config
          mountPath: /etc/app
      volumes:
      - name: config
        configMap:
          name: app-{n}
---
apiVersion: v1
kind: Service
metadata:
  name: app-{n}
  namespace: shop
  labels:
    app.kubernetes.io/name: app-{n}
spec:
  type: ClusterIP
  selector:
    app.kubernetes.io/name: app-{n}
  ports:
  - name: http
    port: 80
    targetPort: http
    protocol: TCP
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: app-{n}
  namespace: shop
data:
  setting: "on"
  app.ini: |
    [server]
    workers = 4
    timeout = 30
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: app-{n}
  namespace: shop
automountServiceAccountToken: false
"""


def stream(documents: int) -> str:
    """Manifests for which both tools report nothing."""
    return "---\n".join(TEMPLATE.replace("{n}", str(number)) for number in range(documents // 4))


def kinds(manifests: bytes) -> set[tuple[str, str]]:
    """(apiVersion, kind) of the objects in a stream."""
    return {(one.api_version, one.kind) for one in objects(documents(manifests, "bench"), "bench")}


def write_schemas(folder: Path, wanted: Iterable[tuple[str, str]]) -> str:
    """Write the schema of each kind, with all types that it refers to; returns the location for kubeconform."""
    types = definitions()
    for version, kind in wanted:
        group, _, number = version.rpartition("/")
        gvk = {"group": group, "version": number, "kind": kind}
        (root,) = (name for name, one in types.items() if gvk in one.get("x-kubernetes-group-version-kind", ()))
        needed, todo = set(), [root]
        while todo:
            name = todo.pop()
            if name not in needed:
                needed.add(name)
                todo += references(types[name])
        schema = {"$ref": f"#/$defs/{root}", "$defs": {name: types[name] for name in needed}}
        suffix = "-".join(part for part in (group.partition(".")[0], number) if part)
        (folder / f"{kind.lower()}-{suffix}.json").write_text(json.dumps(schema))
    return f"{folder}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"


def references(node: Any) -> Iterator[str]:
    """The names of the types that a schema refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/$defs/")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def measured(command: list[str], file: Path) -> tuple[float, float]:
    """The seconds and MiB that a process needs for a file on stdin."""
    with file.open("rb") as stdin:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), command  # a stand-in chart may have findings
    return taken, usage.ru_maxrss / 1024


def run() -> dict[str, float]:
    """Medians in seconds, and the ratio of floe-validate to kubeconform; below 1, floe-validate is faster."""
    figures: dict[str, float] = {}
    overlay = render.render(repo.current(), OVERLAY)
    # An overlay of another repository, so that policies that need the repository are left out.
    elsewhere = overlay.replace(ENVIRONMENT.encode(), b"example.com/environment")
    streams = {
        "": stream(DOCUMENTS).encode(),
        "twice_": stream(2 * DOCUMENTS).encode(),
        "overlay_": elsewhere,
        "own_overlay_": overlay,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        commands: dict[str, dict[str, list[str]]] = {}
        for name, content in streams.items():
            schemas = folder / f"{name}schemas"
            (folder / f"{name}stream.yaml").write_bytes(content)
            schemas.mkdir()
            location = write_schemas(schemas, kinds(content))
            commands[name] = {
                "floe_validate": [str(Path(sys.executable).with_name("floe-validate"))],
                "kubeconform": [str(resolve("kubeconform")), "-strict", "-schema-location", location],
            }
        taken: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for number in range(ROUNDS + 1):
            for name, tools in commands.items():
                for tool, command in tools.items():
                    one = measured(command, folder / f"{name}stream.yaml")
                    taken[name, tool] += [one] if number else []  # the first is the warm-up
        for name, tools in commands.items():
            for tool in tools:
                figures[f"{name}{tool}_seconds"] = round(median(seconds for seconds, _ in taken[name, tool]), 3)
            floe, kubeconform = (figures[f"{name}{tool}_seconds"] for tool in tools)
            figures[f"{name}ratio"] = round(floe / kubeconform, 2)
            # Memory of the main process; for a large stream there is a second process of the same size.
            figures[f"{name}floe_validate_mebibytes"] = round(max(size for _, size in taken[name, "floe_validate"]))
    figures["twice_to_once"] = round(figures["twice_floe_validate_seconds"] / figures["floe_validate_seconds"], 2)
    return figures


if __name__ == "__main__":
    print(json.dumps(run()))
