"""The policy on waivers that are not valid."""

from __future__ import annotations

from collections.abc import Iterator

from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE025",
    stage=Stage.WAIVERS,
    severity="error",
    title="A waiver is not valid",
    why="A waiver that is malformed, has expired or waives nothing would hide the next mistake.",
    remedy="Delete the annotation, or write it as "
    '`floe-runtime.io/waive.CODE: "until YYYY-MM-DD: reason"` with a reason of at least ten characters.',
    waivable=False,
    fails="""
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata:
          name: operator
          annotations:
            floe-runtime.io/waive.FLOE016: "until 2099-12-31: this role has no wildcard any more"
        rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, list]}]
    """,
    passes="""
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata:
          name: operator
          annotations:
            floe-runtime.io/waive.FLOE016: "until 2099-12-31: the operator lists its verbs in release 2"
        rules: [{apiGroups: [apps], resources: [deployments], verbs: ["*"]}]
    """,
)
def unsound(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Report the invalid waivers that the runner has collected while the other policies ran."""
    for item, problem in stream.unsound:
        yield Hit(item, problem)
