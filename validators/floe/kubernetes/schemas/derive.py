"""`make schemas`: generates the schemas of floe-validate from what upstream publishes, without the descriptions.

Built-in kinds come from the package kubernetes-validate. Their enumerations, scopes and life cycles come from the Go
module k8s.io/api. Custom kinds come from the Go modules of their controllers (floe.kubernetes.crds). Two files are
written to the folder of this module:

- types.tsv: one line for each type and schema: name, first and last release with this schema, JSON schema.
- kinds.json: `releases`; `kinds`: apiVersion → kind → [type, whether it is namespaced]; `lifecycle`: apiVersion → kind
  → [release that deprecates it, release that removes it, replacement], each null if there is none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from floe import console
from floe.kubernetes import crds
from floe.kubernetes.crds import Definitions
from floe.kubernetes.releases import definitions, releases
from floe.kubernetes.schemas import builtin, custom, golang
from floe.yaml import load_file

FOLDER = Path(__file__).parent
OLDEST = "1.31"
"""The oldest release of Kubernetes that floe-validate can check against."""

_CLUSTER_WIDE = ("APIService", "CustomResourceDefinition")  # kinds that are not defined in k8s.io/api
API_SUMS = {
    "1.31": "h1:b9LiSjR2ym/SzTOlfMHm1tr7/21aD7fSkqgD/CVJBCo=",
    "1.32": "h1:OL9JpbvAU5ny9ga2fb24X8H6xQlVp+aJMFlgtQjR9CE=",
    "1.33": "h1:yTgZVn1XEe6opVpP1FylmNrIFWuDqe2H0V8CT5gxfIU=",
    "1.34": "h1:L+JtP2wDbEYPUeNGbeSa/5GwFtIA662EmT2YSLOkAVE=",
    "1.35": "h1:iBAU5LTyBI9vw3L5glmat1njFK34srdLmktWwLTprlY=",
    "1.36": "h1:SgqDhZzHdOtMk40xVSvCXkP9ME0H05hPM3p9AB1kL80=",
    "1.37": "h1:Z//Vj9N7RA/yS2sDmxyeo7h+RR4zbUrd2vrd3Z0TbB4=",
}
"""The hash of k8s.io/api v0.N.0 in go.sum, by release."""


def main() -> None:
    """Write both files. Raises SystemExit if the hash of k8s.io/api is not pinned for a release."""
    names = [name for name in releases() if _minor_version(name) >= _minor_version(OLDEST)]
    if missing := set(names) - set(API_SUMS):
        raise SystemExit(f"error: pin k8s.io/api for {', '.join(sorted(missing))} in {Path(__file__).name}")
    spans: dict[str, list[list[str]]] = {}  # by type: [first, last, schema]
    kinds: dict[str, dict[str, list[Any]]] = {}
    lifecycle: dict[str, dict[str, list[Any]]] = {}
    for release in names:
        api = golang.read(Definitions("k8s.io/api", f"v0.{release[2:]}.0", API_SUMS[release], "**/*.go").files())
        types = builtin.types(definitions(release), api.enumerations)
        for name, schema in types.items():
            text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
            span = spans.setdefault(name, [])
            if span and span[-1][1] == _release_before(names, release) and span[-1][2] == text:
                span[-1][1] = release
            else:
                span.append([release, release, text])
        for (version, kind), name in builtin.kinds(definitions(release)).items():
            namespaced = (version, kind) not in api.cluster_wide and kind not in _CLUSTER_WIDE
            kinds.setdefault(version, {})[kind] = [name, namespaced]
        for (version, kind), stages in api.lifecycle.items():
            lifecycle.setdefault(version, {})[kind] = list(stages)
    for modules in crds.CONTROLLERS.values():
        for module in modules:
            for file in module.files():
                for custom_kind in custom.kinds(load_file(file)):
                    text = json.dumps(custom_kind.schema, separators=(",", ":"), sort_keys=True)
                    spans[custom_kind.type] = [[names[0], names[-1], text]]
                    kinds.setdefault(custom_kind.version, {})[custom_kind.kind] = [
                        custom_kind.type,
                        custom_kind.namespaced,
                    ]
    lines = ["\t".join((name, *span)) for name in sorted(spans) for span in spans[name]]
    console.write(FOLDER / "types.tsv", "".join(f"{line}\n" for line in lines))
    catalog = {"kinds": kinds, "lifecycle": lifecycle, "releases": names}
    console.write(FOLDER / "kinds.json", json.dumps(catalog, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"{len(names)} releases, {len(lines)} types, {sum(map(len, kinds.values()))} kinds")


def _minor_version(release: str) -> int:
    return int(release.partition(".")[2])


def _release_before(names: list[str], release: str) -> str:
    return names[names.index(release) - 1]


if __name__ == "__main__":
    main()
