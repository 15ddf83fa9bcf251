"""The policy on Secrets that are encrypted in Git: whether they are applied, and have what others take from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from floe.errors import FloeError
from floe.kubernetes.objects import Object, mapping, mappings, objects, text, texts
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.yaml import documents


@Policy(
    code="FLOE029",
    stage=Stage.REPOSITORY,
    severity="error",
    title="A Secret in Git lacks a key, or is not applied or not used",
    why="A pod that takes a missing key from a Secret waits in CreateContainerConfigError, and a file that "
    "kustomization.yaml does not list is never applied. SOPS encrypts only the values, so the keys can be compared. "
    "A Secret that nothing refers to is a warning.",
    remedy="Add the key to the Secret with `sops edit`, or list the file under `resources` in "
    "`overlays/<env>/secrets/kustomization.yaml`. Delete a Secret that nothing needs any more.",
    fails="""
        # overlays/dev/secrets/kustomization.yaml
        resources: [floe-postgres.yaml]
        ---
        # overlays/dev/secrets/floe-postgres.yaml
        kind: Secret
        metadata: {name: floe-postgres}
        data: {password: "ENC[AES256_GCM,data:cGFzc3dvcmQ=]"}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
    passes="""
        # overlays/dev/secrets/kustomization.yaml
        resources: [floe-postgres.yaml]
        ---
        # overlays/dev/secrets/floe-postgres.yaml
        kind: Secret
        metadata: {name: floe-postgres}
        data: {postgresql-password: "ENC[AES256_GCM,data:cGFzc3dvcmQ=]"}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
)
def secrets_in_git(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Compare the Secrets in overlays/<env>/secrets with the kustomization there, platform.yaml and the pods.

    Files that are not valid are left to FLOE011. Raises LeftOut if there is no platform.yaml for the environment.
    """
    overlay = stream.overlay()
    folder = overlay.checkout.overlay(overlay.environment) / "secrets"
    prefix = overlay.checkout.relative(folder)
    of_file = {file.name: [*_objects(stream, f"{prefix}/{file.name}")] for file in sorted(folder.glob("*.yaml"))}
    kustomization = f"{prefix}/kustomization.yaml"
    head = next((one.line for one in stream.written.places(kustomization) if one.path == ("resources",)), 0)
    listed = _listed(of_file.pop("kustomization.yaml", []))
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*")}
    outside = ("../", "http:", "https:", "ssh:", "git")  # these are not files of the folder
    for name in sorted(name for name in listed - there if not name.startswith(outside)):
        yield Hit(stream.holder, f"resources lists {name}, which does not exist", file=kustomization, file_line=head)
    wanted, used = _wanted(stream), None
    for name, items in of_file.items():
        secrets = [item for item in items if item.kind == "Secret"]
        if secrets and name not in listed:
            words = f"resources does not list {name}, so nothing applies its Secret {secrets[0].name}"
            yield Hit(stream.holder, words, file=kustomization, file_line=head)
        for secret in secrets:
            keys = {*mapping(secret.value.get("data")), *mapping(secret.value.get("stringData"))}
            line = next(
                (one.line for one in stream.written.places(f"{prefix}/{name}") if one.path in _HEADS), secret.line
            )
            if missing := sorted(wanted.get(secret.name, set()) - keys):
                words = f"the Secret {secret.name} has no key {', '.join(missing)}"
                yield Hit(stream.holder, words, file=f"{prefix}/{name}", file_line=line)
            if stream.pods and not stream.unrendered:
                used = used or overlay.platform.secret_names() | {
                    word for item in stream.objects for word in texts(item.value)
                }
                if secret.name not in used:
                    words = f"nothing refers to the Secret {secret.name}"
                    yield Hit(stream.holder, words, file=f"{prefix}/{name}", file_line=1, severity="warning")


_HEADS = (("data",), ("stringData",))


def _objects(stream: Stream, file: str) -> Iterator[Object]:
    try:
        yield from objects(documents(stream.written.texts.get(file, ""), file), file)
    except FloeError:
        return


def _listed(kustomization: list[Object]) -> set[str]:
    lists = [item.value.get("resources") for item in kustomization]
    names = {text(name).removeprefix("./") for names in lists if isinstance(names, list) for name in names}
    return names - {""}


def _wanted(stream: Stream) -> dict[str, set[str]]:
    """By name of a Secret, the keys that platform.yaml or a container takes from it."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for ref in stream.overlay().platform.refs():
        if ref.secret:
            wanted[ref.secret].add(ref.key or ref.env)
    for pod in stream.pods:
        for container in pod.containers:
            for variable in mappings(container.value.get("env")):
                source = mapping(mapping(variable.get("valueFrom")).get("secretKeyRef"))
                if text(source.get("key")) and source.get("optional") is not True:
                    wanted[text(source.get("name"))].add(text(source.get("key")))
        for volume in mappings(pod.spec.get("volumes")):
            source = mapping(volume.get("secret"))
            if source.get("optional") is not True:
                keys = {text(one.get("key")) for one in mappings(source.get("items"))} - {""}
                wanted[text(source.get("secretName"))] |= keys
    return wanted
