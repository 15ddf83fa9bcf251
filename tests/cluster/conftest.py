"""One cluster for all tests in this folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

import debian
import timings
from cluster import node
from cluster.deployed import Deployed, environment, proxied
from cluster.kubectl import Kubectl
from images.build import archives
from rendering import pytest_report_header as pytest_report_header
from timings import took

_CONTEXT = "FLOE_TEST_CLUSTER"
"""The context of a kubeconfig whose cluster the tests use; if it is not set, the tests start a node."""

_NODE = "test"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Kubectl]:
    """A cluster with the images that the overlays name: the one in FLOE_TEST_CLUSTER, or else a new node."""
    if context := os.environ.get(_CONTEXT):
        kubectl = Kubectl(context=context)
        if context.startswith("kind-"):  # any other cluster must be able to pull the images
            node.load_into_kind(context.removeprefix("kind-"), _archives())
        yield kubectl
        return
    if reason := node.missing():
        pytest.skip(f"no node: {reason}")
    images = _archives()
    with took("s until the node is up"), ExitStack() as held:
        one = held.enter_context(node.node(_NODE))
        kept = held.pop_all()
    with kept:
        with took("s until images are loaded"):
            one.load(images)
        yield Kubectl(one.kubeconfig)


@pytest.fixture(scope="session")
def load(cluster: Kubectl) -> Callable[[Sequence[Path]], None]:
    """Loads more images, from docker-archives, into the cluster. Skips the test if the cluster can only pull them."""
    if cluster.kubeconfig:
        return node.Node(_NODE).load
    if cluster.context.startswith("kind-"):
        return lambda images: node.load_into_kind(cluster.context.removeprefix("kind-"), images)
    pytest.skip(f"no images: the cluster of {cluster.context} pulls its images from a registry")


def _archives() -> list[Path]:
    # Skip only if programs are missing; a build that fails must fail the tests.
    if debian.absent(debian.BUILDER):
        pytest.skip(f"no images: {debian.remedy(debian.BUILDER)}")
    return archives()


@pytest.fixture(scope="session", params=["dev", "prod"])
def live(
    request: pytest.FixtureRequest, cluster: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """An environment, applied and ready. Nothing else runs on the cluster: each environment is deleted after use."""
    with proxied(cluster) as url:
        one = environment(request.param, cluster, tmp_path_factory.mktemp(request.param), url)
        try:
            with took(f"{one.environment}: s to apply"):
                warnings = one.apply()
            assert not warnings
            with took(f"{one.environment}: s from applied to all Ready"):
                one.wait_ready()
            yield one
        finally:  # also if it is not ready in time: otherwise it would take the room of the next environment
            one.delete()


@pytest.fixture(scope="session")
def note() -> Callable[[str, float], None]:
    """Add a line to the table at the end; the first argument describes the figure and names its unit."""
    return timings.note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    timings.show(terminalreporter)
