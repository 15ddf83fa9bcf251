"""All rules in one table; the runner and the documentation read it."""

from __future__ import annotations

from collections.abc import Iterator

from floe.validate.policies import api, images, pods, references, repository, secrets, security, selectors
from floe.validate.policies.policy import Hit, Policy
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


def _by_the_runner(_stream: Stream, _schemas: Schemas) -> Iterator[Hit]:
    """Waivers are weighed when every other policy has run."""
    return iter(())


POLICIES: tuple[Policy, ...] = (
    Policy(
        "FLOE002",
        "schema",
        "error",
        "The API server refuses it under strict field validation, or drops the field in silence without.",
        "Compare the field with `kubectl explain`; mind spelling, nesting and type.",
        api.schema,
        waivable=False,
    ),
    Policy(
        "FLOE003",
        "kind without a schema",
        "warning",
        "What has no schema is not checked, and a misspelt group looks just like a custom one.",
        "Check apiVersion and kind; a kind of a CustomResourceDefinition is the cluster's to check.",
        api.unknown_kind,
    ),
    Policy(
        "FLOE004",
        "colliding objects",
        "error",
        "Of two objects with one identity the last that is applied wins, until the next reconciliation turns it round.",
        "Rename one of them, or drop the copy.",
        api.colliding,
        waivable=False,
    ),
    Policy(
        "FLOE005",
        "deprecated version of an API",
        "warning",
        "The version still works and goes with a later release: the upgrade of the cluster then breaks the next apply.",
        "Move to the version that takes its place; most fields keep their names.",
        api.deprecated,
    ),
    Policy(
        "FLOE006",
        "removed version of an API",
        "error",
        "The API server of that release does not know it, so nothing of the object is applied.",
        "Move to the version that takes its place, or name the release of the cluster with --kubernetes.",
        api.removed,
        waivable=False,
    ),
    Policy(
        "FLOE007",
        "name, label or annotation of a wrong form",
        "error",
        "The API server refuses it: names become parts of host names and paths, labels are searched by.",
        "Use lower-case letters, digits and -; shorten what is too long; mind a value that a chart puts together.",
        api.bad_name,
        waivable=False,
    ),
    Policy(
        "FLOE008",
        "value that the API server refuses",
        "error",
        "It has the right type and still cannot be: a port out of range, a selector that misses its own pods, a volume "
        "that is not there, a request above its limit.",
        "Mend the value; the message says what it may be.",
        api.bad_value,
        waivable=False,
    ),
    Policy(
        "FLOE010",
        "image without digest or immutable tag",
        "error",
        "A moving tag lets what runs change without a commit, and a rollback bring back something else.",
        "Pin a version tag or a digest in overlays/<env>/values.",
        images.mutable,
    ),
    Policy(
        "FLOE011",
        "plaintext credential",
        "error",
        "Whoever reads the repository, a CI log or the cluster's objects reads it too; rotating it means a commit.",
        "Keep it in a Secret that an operator or SOPS fills, refer to it by secretKeyRef, rotate what was committed. "
        "For a guess by name or randomness, and nothing else of this code:",
        secrets.plaintext,
    ),
    Policy(
        "FLOE012",
        "no resources",
        "error",
        "Without requests the pod is packed blindly and evicted first; without a memory limit it takes others along.",
        "Set requests.cpu, requests.memory and limits.memory in the chart's values.",
        pods.no_resources,
    ),
    Policy(
        "FLOE013",
        "reference that nothing provides",
        "error",
        "The pod stays in CreateContainerConfigError or is never created, or requests end at an error page.",
        "Add the object, mend the name, or declare what the cluster brings in overlays/<env>/platform.yaml: Secrets "
        "under secrets, everything else under cluster.",
        references.dangling,
    ),
    Policy(
        "FLOE014",
        "no probe",
        "error",
        "Without a readinessProbe a Service sends requests to a pod that cannot answer yet, and a rollout goes on over "
        "pods that never will; without any probe nobody notices a process that hangs.",
        "Set readinessProbe where a Service sends requests, else a readinessProbe or livenessProbe.",
        pods.no_probe,
    ),
    Policy(
        "FLOE015",
        "not Pod Security restricted",
        "error",
        "A namespace that enforces `restricted` refuses the pod: a workload then stays at no replicas and a run never "
        "starts. Elsewhere a process that breaks out has more of the node.",
        "Set the pod's and the containers' securityContext, in the chart's values or in base/hardening.",
        security.restricted,
    ),
    Policy(
        "FLOE016",
        "role with a wildcard",
        "error",
        "It grants what the next release of Kubernetes or the next CustomResourceDefinition adds, unseen by anybody.",
        "List the groups, resources and verbs that are needed.",
        security.wildcard,
    ),
    Policy(
        "FLOE017",
        "disruption budget that blocks every eviction",
        "error",
        "No node that holds such a pod can be drained, so the upgrade of a cluster stops there.",
        "Leave room for one pod: maxUnavailable: 1, or fewer minAvailable than there are replicas.",
        selectors.blocks_eviction,
    ),
    Policy(
        "FLOE018",
        "selector that matches nothing",
        "error",
        "A Service without endpoints, a NetworkPolicy or budget that protects nothing, an autoscaler without a target: "
        "each is accepted in silence.",
        "Compare the labels with those of the pods; a NetworkPolicy for all pods has an empty podSelector.",
        selectors.matches_nothing,
    ),
    Policy(
        "FLOE019",
        "mount of an undeclared volume",
        "error",
        "The API server refuses the pod, which for a workload shows in its events only.",
        "Declare the volume in the pod or in volumeClaimTemplates, or mend the mount's name.",
        pods.undeclared_volume,
    ),
    Policy(
        "FLOE020",
        "stand-in chart",
        "warning",
        "On a machine that reaches no chart repository the overlay is rendered from a small chart of our own.",
        "Run `floe charts pull` where the repository or a mirror (FLOE_CHART_MIRROR) can be reached.",
        repository.stand_in,
    ),
    Policy(
        "FLOE021",
        "CompiledArtifacts are not what their sources say",
        "error",
        "A code location reads CompiledArtifacts.json and nothing else, so it would run on something that nobody wrote "
        "in platform.yaml or floe.yaml, or fail for a variable that nothing sets.",
        "Run `floe compile <env>`, render again, and hand the Secrets that platform.yaml names to runs by envSecrets.",
        repository.artifacts_drift,
    ),
    Policy(
        "FLOE022",
        "manifests that disagree with platform.yaml",
        "error",
        "Preflight checks the services that platform.yaml names, while Dagster or Cube would speak to others.",
        "Make platform.yaml and overlays/<env>/values say the same.",
        repository.platform_drift,
    ),
    Policy(
        "FLOE023",
        "Dagster's chart and image of two versions",
        "error",
        "The chart writes dagster.yaml and the command lines for its own version; another one may refuse them, or "
        "migrate the database to a schema that the rest does not know.",
        "Where platform.yaml says `specification: follow`, pin the chart at the dagster of requirements.lock; "
        "elsewhere promote chart and image together.",
        repository.dagster_versions,
    ),
    Policy(
        "FLOE024",
        "chart or image that the environment before never held",
        "error",
        "What comes to prod without having been in staging has been tried by nobody.",
        "Commit the same version to the environment before, see it run there, then promote it.",
        repository.not_promoted,
    ),
    Policy(
        "FLOE025",
        "waiver that does not hold",
        "error",
        "A waiver without a reason, past its day, or for something that is no longer wrong hides the next mistake.",
        'Write floe-runtime.io/waive.CODE: "until YYYY-MM-DD: reason", or drop the annotation.',
        _by_the_runner,
        waivable=False,
    ),
)

WAIVER = POLICIES[-1]
