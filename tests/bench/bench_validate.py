"""floe-validate against kubeconform, as whole processes on the same stream with the same schemas.

kubeconform checks schemas and nothing else; floe-validate also looks for credentials, references, images and resources.
Both take turns, three rounds after a warm-up: on 10,000 documents, and on the few that an overlay has, which is mostly
the start of the process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from floe.kubernetes import definitions
from floe.tools import resolve

DOCUMENTS = 10_000
OVERLAY = 32
ROUNDS = 3
KINDS = (("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "ConfigMap"), ("v1", "ServiceAccount"))

TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{n}
  namespace: shop
  labels: &labels
    app.kubernetes.io/name: app-{n}
    app.kubernetes.io/part-of: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: app-{n}
  template:
    metadata:
      labels: *labels
    spec:
      serviceAccountName: app-{n}
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
      - name: app
        image: registry.example.com:5000/shop/app:1.{n}.0
        args: ["--listen", "0.0.0.0:8080", "--verbose"]
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop: [ALL]
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
    """Manifests that both tools find nothing wrong with."""
    return "---\n".join(TEMPLATE.replace("{n}", str(number)) for number in range(documents // len(KINDS)))


def write_schemas(folder: Path) -> str:
    """The schema of each kind with all that it refers to, as a file where kubeconform looks; returns its location."""
    types = definitions()
    for version, kind in KINDS:
        group = {"group": version.rpartition("/")[0], "version": version.rpartition("/")[2], "kind": kind}
        (root,) = (name for name, one in types.items() if group in one.get("x-kubernetes-group-version-kind", ()))
        needed, todo = set(), [root]
        while todo:
            name = todo.pop()
            if name not in needed:
                needed.add(name)
                todo += references(types[name])
        schema = {"$ref": f"#/$defs/{root}", "$defs": {name: types[name] for name in needed}}
        (folder / f"{kind.lower()}-{version.replace('/', '-')}.json").write_text(json.dumps(schema))
    return f"{folder}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"


def references(node: Any) -> Iterator[str]:
    """Names of the types that a schema refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/$defs/")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def seconds(command: list[str]) -> float:
    """How long a process takes that must find nothing wrong."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def run() -> dict[str, float]:
    """Medians in seconds, and floe-validate's as a part of kubeconform's: below 1 it is the faster one."""
    figures: dict[str, float] = {"documents": DOCUMENTS, "overlay_documents": OVERLAY}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "schemas").mkdir()
        location = write_schemas(folder / "schemas")
        for name, documents in (("", DOCUMENTS), ("overlay_", OVERLAY)):
            file = folder / f"{documents}.yaml"
            file.write_text(stream(documents))
            commands = {
                "floe": [str(Path(sys.executable).with_name("floe-validate")), str(file)],
                "kubeconform": [str(resolve("kubeconform")), "-strict", "-schema-location", location, str(file)],
            }
            taken: dict[str, list[float]] = {tool: [] for tool in commands}
            for command in commands.values():
                seconds(command)
            for _ in range(ROUNDS):
                for tool, command in commands.items():
                    taken[tool].append(seconds(command))
            floe, kubeconform = (median(times) for times in taken.values())
            figures |= {
                f"{name}floe_validate_seconds": round(floe, 3),
                f"{name}kubeconform_seconds": round(kubeconform, 3),
                f"{name}ratio": round(floe / kubeconform, 2),
            }
    return figures


if __name__ == "__main__":
    print(json.dumps(run()))
