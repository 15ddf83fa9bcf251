"""The policy on replicas that are set beside an autoscaler."""

from __future__ import annotations

from collections.abc import Iterator

from floe.kubernetes.objects import mapping
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream

_SCALABLE = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")


@Policy(
    code="FLOE028",
    stage=Stage.STREAM,
    severity="error",
    title="Replicas are set by hand beside an autoscaler",
    why="Each apply sets the number of pods back to what the manifest says, whatever the autoscaler found, and with "
    "0 replicas the autoscaler does nothing at all. A chart that always writes a number may write the minReplicas of "
    "the autoscaler.",
    remedy="Remove the replicas from the workload or from the chart's values, or set them to the minReplicas of the "
    "HorizontalPodAutoscaler.",
    fails="""
        apiVersion: v1
        kind: ReplicationController
        metadata: {name: web}
        spec: {replicas: 5, selector: {app: web}}
        ---
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata: {name: web}
        spec:
          scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: web}
          minReplicas: 2
          maxReplicas: 6
    """,
    passes="""
        apiVersion: v1
        kind: ReplicationController
        metadata: {name: web}
        spec: {selector: {app: web}}
        ---
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata: {name: web}
        spec:
          scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: web}
          minReplicas: 2
          maxReplicas: 6
    """,
)
def replicas_beside_autoscaler(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Compare the replicas of each workload that a HorizontalPodAutoscaler scales with its minReplicas."""
    if not stream.scaled:
        return
    for item in stream.of(*_SCALABLE):
        key = (item.kind, item.namespace, item.name)
        replicas = mapping(item.value.get("spec")).get("replicas")
        if key in stream.scaled and isinstance(replicas, int) and replicas != stream.scaled[key]:
            words = f"spec.replicas is {replicas}, but a HorizontalPodAutoscaler scales it from {stream.scaled[key]}"
            yield Hit(item, words, value=str(replicas), key="replica|count")
