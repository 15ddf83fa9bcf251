"""Helm renders floe's charts to the same objects that kustomize renders. test_flux_parity.py compares Flux."""

from __future__ import annotations

import pytest

from helm import FORMS, HARDENING, Form, Helm, comparable
from rendering import Identity, Tree, Values, differences

NAMES = ("kustomize", "Helm")


@pytest.fixture(scope="module")
def inflated(tree: Tree, environment: str) -> dict[Identity, Values]:
    """The objects that `kustomize build --enable-helm overlays/ENV` renders."""
    return comparable(tree.render(environment), f"floe-{environment}")


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_helm_renders_the_objects_that_kustomize_renders(
    helm: Helm, tree: Tree, environment: str, form: Form, inflated: dict[Identity, Values]
) -> None:
    """With the post-renderer there is no difference. Without it, only objects that base/hardening patches differ."""
    charts, namespace = tree.folder / "charts", f"floe-{environment}"
    rendered = form.render(helm, charts, environment, *helm.hardened(charts))
    hardened = comparable(rendered, namespace)
    assert not (difference := differences(inflated, hardened, NAMES)), difference
    plain = comparable(form.render(helm, charts, environment), namespace)
    assert plain.keys() == inflated.keys()
    patched = {key for key in plain if plain[key] != inflated[key]}
    assert {kind for _, kind, _, _ in patched} == HARDENING
    print(
        f"parity: {environment}, {form}, Helm {helm.major}: {len(hardened)} objects as kustomize renders them; "
        f"without the post-renderer {len(patched)} that base/hardening patches"
    )


def test_stand_ins_name_objects_like_the_upstream_charts(helm: Helm, stand_ins: Tree, upstream: Tree) -> None:
    """The release has a name that differs from those of all charts."""
    form = Form("umbrella", {"another": "floe-runtime"})
    ours, theirs = (
        comparable(form.render(helm, tree.folder / "charts", "prod"), "x").keys() for tree in (stand_ins, upstream)
    )
    assert ours == theirs
