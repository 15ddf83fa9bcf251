"""Examples for policies that read the files of an environment: other environments' values, and placeholders."""

from __future__ import annotations

from policy_examples.builders import Edit, Example, config, good
from policy_examples.builders import bad as failing

PLATFORM = "overlays/{}/platform.yaml"
ANY = config("a", "b")


def staging(file: str, old: str, new: str) -> Edit:
    return Edit(f"overlays/staging/{file}", old, new)


def bad(says: str | tuple[str, ...], *edits: Edit, environment: str = "staging") -> Example:
    return failing(ANY, says=says, environment=environment, edits=edits)


ONE_BUCKET = tuple(Edit(PLATFORM.format(name), f"bucket: floe-{name}", "bucket: lake") for name in ("staging", "prod"))
ONE_HOST = tuple(
    Edit(f"overlays/{name}/values/cube.yaml", "hostname: ", "hostname: cube.floe.internal # ")
    for name in ("staging", "prod")
)

SYNTHETIC = {name: Edit(PLATFORM.format(name), "\nmarts:", "\nsynthetic: true\nmarts:") for name in ("staging", "prod")}
SAYS_SO = "says `synthetic: true`, so its apps load generated data"

EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE026": {
        "as-shipped": good(ANY, environment="staging"),
        "namespace": bad(
            "floe-dev is the namespace of dev", staging("values/kustomization.yaml", "floe-staging", "floe-dev")
        ),
        "annotation": bad(
            "the annotation floe-runtime.io/environment is not staging",
            staging("objects/namespace.yaml", "environment: staging", "environment: dev"),
        ),
        "one-value-at-several-places": bad(
            "postgresql.floe-dev is metadata.host of dev; also in overlays/staging/values/dagster.yaml line ",
            staging("platform.yaml", "postgresql.floe-staging", "postgresql.floe-dev"),
            staging("values/dagster.yaml", "postgresql.floe-staging", "postgresql.floe-dev"),
        ),
        "warehouse": bad("floe_dev is catalog.warehouse of dev", staging("platform.yaml", "floe_staging", "floe_dev")),
        "bucket": bad(
            "floe-dev is the namespace of dev", staging("platform.yaml", "bucket: floe-staging", "bucket: floe-dev")
        ),
        "comments-are-not-read": good(
            ANY, environment="staging", edits=(staging("platform.yaml", "# Staging:", "# Like floe-dev:"),)
        ),
        "a-longer-word": good(
            ANY,
            environment="staging",
            edits=(staging("platform.yaml", "- floe-cube\n", "- floe-dev-eu\n  - my-floe-dev\n"),),
        ),
        "a-shared-catalog-with-another-warehouse": good(
            ANY,
            environment="staging",
            edits=(staging("platform.yaml", "https://polaris.floe-staging", "http://polaris.floe-dev"),),
        ),
        "a-shared-engine-with-another-catalog": good(
            ANY,
            environment="staging",
            edits=(
                staging("platform.yaml", "host: trino.floe-staging", "catalog: staging\n  host: trino.floe-prod"),
                staging("values/cube.yaml", "trino.floe-staging", "trino.floe-prod"),
            ),
        ),
        "a-shared-engine-with-the-same-catalog": bad(
            "trino.floe-prod is compute.host of prod", staging("platform.yaml", "trino.floe-staging", "trino.floe-prod")
        ),
        "a-shared-bucket-with-the-same-prefix": bad(
            "storage.bucket, storage.prefix name a place that prod", *ONE_BUCKET
        ),
        "a-shared-bucket-of-the-later-environment": good(ANY, environment="prod", edits=ONE_BUCKET),
        "a-shared-bucket-with-another-prefix": good(
            ANY,
            environment="staging",
            edits=(*ONE_BUCKET, staging("platform.yaml", "prefix: warehouse", "prefix: staging")),
        ),
        "a-host-without-a-name": bad("cube.floe.internal is the host of the Ingress of cube of prod", *ONE_HOST),
        "a-host-of-the-later-environment": good(ANY, environment="prod", edits=ONE_HOST),
    },
    "FLOE030": {
        "in-no-file": failing(config("a", "CHANGEME"), says="CHANGEME is a placeholder", environment="prod"),
        "in-the-first-environment": good(config("a", "CHANGEME"), environment="dev"),
        "outside-of-the-promotion-order": good(config("a", "CHANGEME"), environment="demo"),
        "a-host": failing(
            config("a", "https://cube.example.com/"), says="example.com is a placeholder", environment="prod"
        ),
        "from-another-file": failing(
            config("arn", "arn:aws:iam::123456789012:role/x"), says="123456789012 is a placeholder", environment="prod"
        ),
        "several": failing(
            config("a", "<owner> change-me <your-domain>"), says=("<owner>", "change-me", "<your-"), environment="prod"
        ),
        "similar-words": good(
            config("a", "myexample.com example.community 1234567890123 <b> 00000000-0000-0000-0000-000000000000"),
            environment="prod",
        ),
    },
    "FLOE031": {
        "production": bad(f"platform.yaml of prod {SAYS_SO}", SYNTHETIC["prod"], environment="prod"),
        "an-environment-before-production": good(ANY, environment="staging", edits=(SYNTHETIC["staging"],)),
        "another-one-that-waits-for-a-person": bad(
            f"platform.yaml of dev {SAYS_SO}",
            Edit("clusters/base/argocd/applicationset.yaml", '$production := list "prod"', '$production := list "dev"'),
            environment="dev",
        ),
        "production-that-is-not-the-last-one": bad(
            f"platform.yaml of prod {SAYS_SO}",
            SYNTHETIC["prod"],
            Edit("floe.toml", '"staging", "prod"', '"prod", "staging"'),
            environment="prod",
        ),
    },
}
