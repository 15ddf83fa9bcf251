"""The policy on synthetic data in production."""

from __future__ import annotations

from collections.abc import Iterator

from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE031",
    stage=Stage.REPOSITORY,
    severity="error",
    title="Production has synthetic data",
    why="With `synthetic: true` in `platform.yaml` the apps load generated rows into the raw tables on every tick, and "
    "nobody can tell them from real ones in a mart or a dashboard. Production is the last environment of the promotion "
    "order in `floe.toml`, and every other one that waits for a person as prod does, which "
    "`clusters/base/argocd/applicationset.yaml` lists.",
    remedy="Remove the line from `platform.yaml`, together with what it sets as `synthetic` for an app under `apps`. "
    "Then run `floe compile <env>` and `floe charts sync`, and let the raw tables be loaded by their real source.",
    fails="""
        # floe.toml
        # dev has `synthetic: true`, and would be production, as no environment follows it.
        promotion = ["dev"]
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
    passes="""
        # floe.toml
        promotion = ["dev", "prod"]
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
)
def in_production(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Look at platform.yaml. Raises LeftOut if there is none for the environment."""
    overlay = stream.overlay()
    environment, checkout = overlay.environment, overlay.checkout
    from floe.new import production

    if overlay.platform.synthetic and environment in (*checkout.settings.promotion[-1:], *production.names(checkout)):
        file = f"overlays/{environment}/platform.yaml"
        line = next((one.line for one in stream.written.places(file) if one.path == ("synthetic",)), 0)
        words = f"platform.yaml of {environment} says `synthetic: true`, so its apps load generated data"
        yield Hit(stream.holder, words, file=file, file_line=line)
