"""Any edit of an overlay: floe's charts get the same objects as kustomize renders, or the edit is refused in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from floe import render, repo, tools
from floe.charts import packaged, packaging, parity
from floe.errors import FloeError
from fuzz import inputs
from helm import FORMS, Helm, comparable
from rendering import Tree, Values, differences, parse

ENVIRONMENT = "prod"
NAMES = ("kustomize", "Helm")
OBJECTS = (
    *(("NetworkPolicy", name) for name in ("dagster", "cube", "cubestore", "dns", "webserver", "default-deny")),
    *(("PodDisruptionBudget", name) for name in ("runs", "cube-api", "auth-proxy")),
    *(("ResourceQuota", "floe"), ("Ingress", "dagster"), ("Deployment", "auth-proxy"), ("Service", "auth-proxy")),
    *(("ConfigMap", "auth-proxy"), ("ConfigMap", "floe-compiled-artifacts"), ("HorizontalPodAutoscaler", "cube-api")),
)
COMPONENTS = ("platform", "quota", "auth-proxy", "auth-proxy/tls")
Edit = Callable[[Path], object]
"""Changes the overlay in a folder."""

quantities = st.sampled_from(["0", "4", "500m", "8Gi", "1.5", "", "-1", 3, None])
quotas = st.dictionaries(
    st.sampled_from(["pods", "requests.cpu", "limits.memory", "services.nodeports", "count/jobs.batch"]), quantities
)
ports = st.lists(
    st.fixed_dictionaries(
        {"port": st.sampled_from([443, 65535, 0, "https"])},
        optional={"protocol": st.sampled_from(["TCP", "UDP", "ICMP"]), "endPort": st.just(65535)},
    ),
    max_size=3,
)
selectors = st.sampled_from([{}, {"matchLabels": {"a": "b"}}, {"matchLabels": {"a b": "c"}}, {"matchExpressions": []}])
peers = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "ipBlock": st.sampled_from([{"cidr": "10.0.0.0/8"}, {"cidr": "fd00::/8"}, {"cidr": "10.0.0.1/8"}, {}]),
            "namespaceSelector": selectors,
            "podSelector": selectors,
        },
    ),
    max_size=2,
)
rules = st.fixed_dictionaries({}, optional={"ports": ports, "to": peers}) | st.none()
tls: st.SearchStrategy[Any] = st.lists(
    st.just({"hosts": ["a.example"], "secretName": "tls"}) | st.just({"hosts": []}), max_size=2
)
texts = st.sampled_from(["a.example", "nginx", "https://a.example/x", "x,y", "A B", "", "a: b", "yes", 7])
fields: dict[tuple[str, ...], st.SearchStrategy[Any]] = {
    ("quota",): quotas,
    ("helm",): st.booleans() | st.just("no"),
    ("login",): st.none(),
    ("login", "tls"): tls,
    **{("egress", name): rules for name in ("dagster", "cube", "cubestore", "jaeger")},
    **{("login", name): texts for name in ("host", "ingressClassName", "issuer", "emailDomains", "secret", "other")},
}
operations = st.sampled_from(
    [
        "- {op: add, path: /metadata/labels, value: {a: b}}",
        "- {op: add, path: /metadata/annotations, value: {helm.sh/hook: test}}",
        "- {op: add, path: /metadata/annotations, value: {a: '{{ fail `no` }}'}}",
        "- {op: add, path: /metadata/namespace, value: elsewhere}",
        "- {op: replace, path: /metadata/name, value: renamed}",
        "- {op: remove, path: /spec}",
        "- {op: remove, path: /spec/egress/1/ports}",
        "- {op: add, path: /spec/egress/-, value: {to: [{ipBlock: {cidr: 10.0.0.0/8}}]}}",
        "- {op: remove, path: /spec/tls}",
        "- {op: add, path: /spec/replicas, value: 3}",
        "- {op: replace, path: /spec/template/spec/containers, value: []}",
        "- {op: replace, path: /spec/template/spec/containers/0/image, value: a}",
        "- {op: add, path: /data/OAUTH2_PROXY_SCOPE, value: openid}",
        '- {op: add, path: /data/odd, value: "a \\n\'b\\t\\u00e9"}',
        "- {op: replace, path: /data, value: {a: 1}}",
    ]
)
data = st.dictionaries(
    st.from_regex(r"[-._a-zA-Z0-9]{1,8}", fullmatch=True), st.text(max_size=12) | st.integers() | st.none(), max_size=2
)
extra: st.SearchStrategy[Values] = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["v1", "example.com/v1"]),
        "kind": st.sampled_from(["ConfigMap", "Secret", "Service", "NetworkPolicy", "Environment", "List"]),
        "metadata": st.fixed_dictionaries(
            {"name": st.sampled_from(["mine", "cube-mine", "auth-proxy", "auth-proxy-production", "a:b", "dns"])},
            optional={
                "namespace": st.just("elsewhere"),
                "annotations": st.sampled_from([None, {"helm.sh/hook": "pre-install"}, {"a": "{{ .Values }}"}]),
                "labels": st.sampled_from([{}, {"app.kubernetes.io/instance": "x"}]),
            },
        ),
        "data": data,
    },
    optional={"spec": st.sampled_from([{"env": [{"valueFrom": {"secretKeyRef": {"name": "a"}}}]}, [], None, "x"])},
)


def _of_kustomization(change: Callable[[Values], object], folder: str = "objects") -> Edit:
    def edit(overlay: Path) -> None:
        file = overlay / folder / "kustomization.yaml"
        value = yaml.safe_load(file.read_text())
        change(value)
        file.write_text(yaml.safe_dump(value))

    return edit


@st.composite
def of_environment_file(draw: st.DrawFn) -> Edit:
    path = draw(st.sampled_from(list(fields)))
    absent = draw(st.booleans())
    value = draw(fields[path])

    def edit(overlay: Path) -> None:
        file = overlay / "objects" / "environment.yaml"
        content = yaml.safe_load(file.read_text())
        node = content["spec"]
        for key in path[:-1]:
            node = node.get(key) or {}
        if absent:
            node.pop(path[-1], None)
        else:
            node[path[-1]] = value
        file.write_text(yaml.safe_dump(content))

    return edit


@st.composite
def patches(draw: st.DrawFn) -> Edit:
    """JSON 6902 operations, or the deletion of an object; inline, or in a file of their own."""
    kind, name = draw(st.sampled_from(OBJECTS))
    deletion = f"kind: {kind}\nmetadata: {{name: {name}}}\n$patch: delete\n"
    content = draw(operations | st.just(f"apiVersion: v1\n{deletion}"))
    target = {"target": draw(st.sampled_from([{"kind": kind, "name": name}, {"kind": kind}, {"name": ".*"}]))}
    inline = draw(st.booleans())

    def edit(overlay: Path) -> None:
        (overlay / "objects" / "patch.yaml").write_text(content)
        one = target | ({"patch": content} if inline else {"path": "patch.yaml"})
        _of_kustomization(lambda value: value.setdefault("patches", []).append(one))(overlay)

    return edit


@st.composite
def resources(draw: st.DrawFn) -> Edit:
    """One object more."""
    value = draw(extra)

    def edit(overlay: Path) -> None:
        (overlay / "objects" / "extra.yaml").write_text(yaml.safe_dump(value, allow_unicode=True))
        _of_kustomization(lambda value: value["resources"].append("extra.yaml"))(overlay)

    return edit


@st.composite
def settings_of_kustomize(draw: st.DrawFn) -> Edit:
    """One component less, or what changes names, labels or images."""
    component = f"../../../base/{draw(st.sampled_from(COMPONENTS))}"
    key, value = draw(
        st.sampled_from(
            [
                ("namePrefix", "x-"),
                ("labels", [{"pairs": {"a": "b"}}]),
                ("commonAnnotations", {"a": "b"}),
                ("namespace", "elsewhere"),
                ("images", [{"name": "quay.io/oauth2-proxy/oauth2-proxy", "digest": f"sha256:{'0' * 64}"}]),
                ("images", [{"name": "quay.io/oauth2-proxy/oauth2-proxy", "newName": "a:5000/b", "newTag": "1"}]),
                ("images", []),
                ("configMapGenerator", [{"name": "mine", "literals": ["a=b"]}]),
            ]
        )
    )
    if draw(st.booleans()):
        return _of_kustomization(lambda kustomization: kustomization.__setitem__(key, value))
    return _of_kustomization(
        lambda kustomization: kustomization.__setitem__(
            "components", [one for one in kustomization["components"] if one != component]
        )
    )


@st.composite
def patches_of_charts(draw: st.DrawFn) -> Edit:
    """A patch of what a chart renders, or of the generator of a chart."""
    folder = draw(st.sampled_from([".", "values"]))
    target = draw(
        st.sampled_from(
            [
                {"kind": "Deployment", "name": "cube-api"},
                {"kind": "HelmChartInflationGenerator", "name": "cube.*"},
                {"kind": "HelmChartInflationGenerator", "name": "(?i:dagster)"},
            ]
        )
    )
    content = draw(
        st.sampled_from(
            [
                "- {op: add, path: /metadata/labels, value: {a: b}}",
                "- {op: add, path: /releaseName, value: x}",
                "- {op: add, path: /includeCRDs, value: true}",
                "- {op: add, path: /namespace, value: x}",
                "- {op: add, path: /valuesInline/nameOverride, value: null} # nothing",
                "- {op: add, path: /valuesInline/envSecrets, value: [{name: a}, {nam: b}, 3]}",
                "- {op: add, path: /valuesInline/aFromSecret, value: {name: a}}",
                "- {op: remove, path: /valuesInline}",
            ]
        )
    )
    one = {"target": target, "patch": content}
    return _of_kustomization(lambda value: value.setdefault("patches", []).append(one), folder)


edits = st.lists(
    st.one_of(of_environment_file(), patches(), resources(), settings_of_kustomize(), patches_of_charts()),
    min_size=1,
    max_size=2,
)


@pytest.fixture(scope="module")
def tree(stand_ins: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the stand-in charts and one overlay, since each overlay takes a second."""
    folder = tmp_path_factory.mktemp("edits") / "checkout"
    shutil.copytree(stand_ins.folder, folder)
    for other in (folder / "overlays").iterdir():
        if other.name != ENVIRONMENT:
            shutil.rmtree(other)
    return folder


def test_an_edit_reaches_the_charts_or_is_refused(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    overlay, charts = tree / "overlays" / ENVIRONMENT, tree / "charts"
    kept = tmp_path_factory.mktemp("kept")
    shutil.copytree(overlay, kept / "overlay")
    shutil.copytree(charts, kept / "charts")
    helm = Helm(tools.resolve("helm"), 4, kept)
    outcomes = {"same": 0, "refused": 0}

    @settings(max_examples=inputs(25), deadline=None, suppress_health_check=list(HealthCheck))
    @given(edits)
    def holds(made: list[Edit]) -> None:
        for folder, source in ((overlay, "overlay"), (charts, "charts")):
            shutil.rmtree(folder)
            shutil.copytree(kept / source, folder)
        for edit in made:
            edit(overlay)
        refusal = None
        try:
            packaging.write(repo.current(), list(packaging.changes(repo.current())))
        except FloeError as error:
            refusal = error
        if refusal:
            assert refusal.message
            assert refusal.hint
            outcomes["refused"] += 1
            return
        rendered = parse(render.render(repo.current(), ENVIRONMENT))
        list(packaged.fill(repo.current()))
        installed = FORMS[0].render(helm, charts, ENVIRONMENT, *helm.hardened(charts))
        assert not [one.label for one in rendered if parity.HOOK in one.annotations]
        namespace = f"floe-{ENVIRONMENT}"
        assert not (found := differences(comparable(rendered, namespace), comparable(installed, namespace), NAMES)), (
            found
        )
        outcomes["same"] += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOE_ROOT", str(tree))
        holds()
    assert min(outcomes.values()) > 0, outcomes
    print(outcomes)
