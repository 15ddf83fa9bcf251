"""What Flux makes of an overlay is what Argo CD, CI and people see of it."""

from __future__ import annotations

import pytest

from floe.kubernetes.objects import ENVIRONMENT
from rendering import Flux, Identity, Tree, Values, by_identity, differences

HOOK = "helm.sh/hook"
NAMES = ("kustomize", "Flux")


@pytest.fixture(scope="session")
def inflated(tree: Tree, environment: str) -> dict[Identity, Values]:
    """By `kustomize build --enable-helm overlays/ENV`."""
    return by_identity(tree.render(environment))


@pytest.fixture(scope="session")
def given(tree: Tree, environment: str) -> Flux:
    """By `kustomize build overlays/ENV/flux`."""
    return tree.flux(environment)


def test_flux_applies_what_kustomize_renders(
    tree: Tree, environment: str, inflated: dict[Identity, Values], given: Flux
) -> None:
    objects = by_identity(
        [
            *given.objects,
            *(one for release in given.releases for one in release.render(tree.chart(environment, release))),
        ]
    )
    # Helm runs hooks at their time and deletes them, kustomize applies them for good: no release has any.
    assert not [key for key, one in objects.items() if HOOK in one["metadata"]["annotations"]]
    assert not (found := differences(inflated, objects, NAMES)), found


def test_releases_lie_in_the_overlays_namespace(environment: str, given: Flux) -> None:
    """Flux installs into the HelmRelease's own namespace where it names no other."""
    (namespace,) = [one.name for one in given.objects if one.kind == "Namespace"]
    assert {release.namespace for release in given.releases} == {namespace}
    assert {one.namespace for one in given.sources} == {namespace}
    assert all(one.value["spec"]["url"].startswith("https://") for one in given.sources)
    assert all(release.annotations == {ENVIRONMENT: environment} for release in given.releases)
