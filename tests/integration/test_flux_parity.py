"""Flux applies the same objects that kustomize renders for Argo CD, for CI and for people."""

from __future__ import annotations

import pytest

from floe.kubernetes.objects import ENVIRONMENT
from rendering import Flux, Identity, Tree, Values, by_identity, differences

HOOK = "helm.sh/hook"
NAMES = ("kustomize", "Flux")


@pytest.fixture(scope="session")
def inflated(tree: Tree, environment: str) -> dict[Identity, Values]:
    """The objects that `kustomize build --enable-helm overlays/ENV` renders."""
    return by_identity(tree.render(environment))


@pytest.fixture(scope="session")
def given(tree: Tree, environment: str) -> Flux:
    """The objects that `kustomize build overlays/ENV/flux` renders."""
    return tree.flux(environment)


def test_flux_applies_the_objects_that_kustomize_renders(
    tree: Tree, environment: str, inflated: dict[Identity, Values], given: Flux
) -> None:
    objects = by_identity(
        [
            *given.objects,
            *(one for release in given.releases for one in release.render(tree.chart(environment, release))),
        ]
    )
    # No release may have hooks: Helm runs and deletes them, but kustomize would apply them as normal objects.
    assert not [key for key, one in objects.items() if HOOK in one["metadata"]["annotations"]]
    assert not (difference := differences(inflated, objects, NAMES)), difference


def test_releases_are_in_the_namespace_of_the_overlay(environment: str, given: Flux) -> None:
    """By default, Flux installs a chart into the namespace of its HelmRelease."""
    (namespace,) = [one.name for one in given.objects if one.kind == "Namespace"]
    assert {release.namespace for release in given.releases} == {namespace}
    assert {one.namespace for one in given.sources} == {namespace}
    assert all(one.value["spec"]["url"].startswith("https://") for one in given.sources)
    assert all(release.annotations == {ENVIRONMENT: environment} for release in given.releases)
