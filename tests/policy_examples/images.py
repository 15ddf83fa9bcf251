"""Examples for policies on images."""

from __future__ import annotations

from policy_examples.builders import (
    DIGEST,
    RESOURCES,
    RUN,
    Example,
    bad,
    config,
    container,
    environment,
    good,
    instance,
    of,
    pod,
    workload,
)

FLUX, ARGO = "helm.toolkit.fluxcd.io/v2", "argoproj.io/v1alpha1"

EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE010": {
        **{
            f"fixed {image}": good(pod(container(image=image)))
            for image in (
                "app:1.2.3",
                "app:v1.2",
                "docker.io/library/postgres:14.6",
                "host:5000/team/app:1.2.3-slim",
                f"app@{DIGEST}",
                f"host:5000/app:latest@{DIGEST}",
                "app:3f2c1ab",
                "app:build-20260102",
                "app:main-3f2c1ab9",
                "app:476",
            )
        },
        **{
            f"no tag {image}": bad(pod(container(image=image)), says=f"the image {image} has no tag")
            for image in ("app", "docker.io/library/app", "host:5000/x", "localhost:5000/team/x")
        },
        **{
            f"moving {tag}": bad(pod(container(image=f"host:5000/app:{tag}")), says=f"has the tag {tag}, which")
            for tag in ("latest", "main", "LATEST", "stable", "1", "v2", "3-slim", "25", "latest-arm64", "edge")
        },
        "init": bad(pod(initContainers=[container(name="wait", image="busybox")]), says="container wait"),
        "none": bad(pod({"name": "main", "resources": RESOURCES}), says="image is not set"),
        "no-reference": bad(
            pod(container(image="https://user:pw@example.com/x")), says="image is not a valid image reference"
        ),
        "short-digest": bad(pod(container(image="app@sha256:abc")), says="image is not a valid"),
        "number-is-for-the-schema": bad(pod(container(image=5)), says="image is not set"),
        **{
            f"in a {kind}": bad(workload(kind, {"containers": [container(image="app")]}), says="has no tag")
            for kind in (
                "Deployment",
                "StatefulSet",
                "DaemonSet",
                "ReplicaSet",
                "Job",
                "CronJob",
                "PodTemplate",
                "ReplicationController",
            )
        },
        "values of a HelmRelease": bad(
            of(FLUX, "HelmRelease", "r", spec={"values": {"web": {"image": {"repository": "app", "tag": "latest"}}}}),
            says="spec.values.web.image: the image app:latest has the tag latest",
        ),
        "text of values of an Application": bad(
            of(ARGO, "Application", "a", spec={"source": {"chart": "c", "helm": {"values": "image: app:edge\n"}}}),
            says="the image app:edge has the tag edge",
        ),
        "values that are fixed": good(
            of(
                FLUX,
                "HelmRelease",
                "r",
                spec={
                    "values": {
                        "image": {"repository": "app", "tag": 1.25},
                        "other": {"image": {"repository": "app", "tag": ""}},
                        "third": {"image": {"repository": "app", "digest": DIGEST.removesuffix("@")}},
                        "fourth": {"image": "app"},
                        "list": [{"image": "app:1.0"}],
                    }
                },
            )
        ),
        "runs": bad(config("DAGSTER_K8S_PIPELINE_RUN_IMAGE", "app:latest"), says="app:latest has the tag latest"),
        "runs of a code location": bad(environment("DAGSTER_CURRENT_IMAGE", "app"), says="app has no tag"),
        "runs that are fixed": good(config("DAGSTER_K8S_PIPELINE_RUN_IMAGE", "app:1.0"), instance(RUN)),
        "job_image": bad(instance(RUN + "job_image: app:main\n"), says="a run's container dagster: the image app:main"),
    },
}
