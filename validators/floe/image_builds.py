"""Build the production images with any supported engine, and report their sizes and largest packages."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.markup import escape

from floe import console, process
from floe.errors import FloeError
from floe.repo import Checkout
from floe.yaml import edit

Engine = Literal["docker", "podman", "buildah"]
ENGINES: tuple[Engine, ...] = ("docker", "podman", "buildah")
_SECONDS = 3600
_INFO_SECONDS = 60


@dataclass(frozen=True)
class Image:
    """One image of this repository."""

    name: str  # as overlays refer to it
    dockerfile: str
    target: str = ""


IMAGES = {
    "dagster": Image("floe-dagster", "images/dagster/Dockerfile"),
    "cube": Image("floe-cube", "images/cube/Dockerfile", "cube"),
    "store": Image("floe-cubestore", "images/cube/Dockerfile", "store"),
}


def images(checkout: Checkout) -> dict[str, Image]:
    """The images that can be built, by name: those of this repository, and one for each app that has a Dockerfile."""
    own = {
        name: Image(f"floe-{name}", f"apps/{name}/Dockerfile")
        for name in checkout.apps()
        if (checkout.app(name) / "Dockerfile").is_file()
    }
    return own | IMAGES


ADAPTERS = ("trino", "snowflake", "bigquery")
"""The dbt adapters in images/dagster/requirements.lock besides DuckDB's."""

PLACES = {
    "dagster": ("dagster.yaml", ("valuesInline", "dagsterWebserver", "image", "tag")),
    "cube": ("cube.yaml", ("valuesInline", "image", "tag")),
}
"""Where an overlay's values have the tag of an image: file in `values/`, and path in the file."""

WHY = {
    "pyarrow": "raw batches, Iceberg's files and marts are Arrow",
    "duckdb": "the engine of compute.target duckdb",
    "numpy": "random numbers of the generator",
    "pandas": "google-cloud-bigquery's results in dbt-bigquery",
    "kubernetes": "dagster-k8s launches runs with it",
    "google-cloud-aiplatform": "dbt-bigquery imports its notebook API; the rest is left out",
    "dagster-webserver": "the web page",
    "botocore": "S3; the data of AWS's other services is left out",
    "snowflake-connector-python": "dbt-snowflake",
    "faker": "names in the generated data",
    "sqlalchemy": "Dagster's database",
    "dagster": "orchestration",
    "grpcio": "the protocol of code locations",
    "zstandard": "Iceberg's and dbt's compression",
    "networkx": "dbt's graph",
}
"""Why the largest packages are in the image."""


@dataclass(frozen=True)
class Built:
    """An image that was built: build time in seconds, unpacked size in bytes, and layers as (bytes, build step)."""

    reference: str
    seconds: float
    size: int
    layers: list[tuple[int, str]]


_PULLED = re.compile(r"(?:initializing source docker://|failed to resolve source metadata for )(\S+?):?\s")
"""The engines' messages about a base image that they could not pull."""
_LOADED: dict[Engine, str] = {
    "docker": "docker load --input FILE",
    "podman": "podman load --input FILE",
    "buildah": "buildah pull docker-archive:FILE",
}


@dataclass(frozen=True)
class Builder:
    """A container engine, with the options that this machine needs: `globally` on every call, `building` on builds."""

    engine: Engine
    program: str
    globally: tuple[str, ...] = ()
    building: tuple[str, ...] = ()

    def call(self, *arguments: str) -> str:
        """Run a command of the engine; returns its standard output. Raises FloeError with the engine's last message."""
        command = [self.program, *self.globally, *arguments]
        done = process.run(command, seconds=_SECONDS, check=False)
        if done.returncode:
            lines = process.complaint(done, 15).splitlines()
            remedy = "\n".join(lines[:-1]) or f"Run `{self.engine} {arguments[0]}` by hand."
            if base := _PULLED.search(done.stderr):
                remedy = (
                    f"Check that the registry of {base[1]} can be reached, or log in with `{self.engine} login`, or "
                    f"load the image from a file: `{_LOADED[self.engine]}`."
                )
            raise FloeError(f"{self.engine} {arguments[0]} failed: {lines[-1].strip()}", remedy)
        return done.stdout

    def build(
        self, checkout: Checkout, image: Image, tag: str, arguments: dict[str, str], reference: str = ""
    ) -> Built:
        """Build an image of a checkout, named `reference` or by default as overlays name it.

        `arguments`: the build arguments. Raises FloeError if the build fails.
        """
        reference = reference or f"{checkout.settings.registry}/{image.name}:{tag}"
        started = time.monotonic()
        options = ["--file", str(checkout.root / image.dockerfile), "--tag", reference]
        options += ["--target", image.target] if image.target else []
        if self.engine != "docker":
            options += ["--layers", "--format", "docker"]  # the OCI format has no health check
        for name, value in {"SOURCE": checkout.settings.repository, **arguments}.items():
            options += ["--build-arg", f"{name}={value}"]
        self.call("build", *self.building, *options, str(checkout.root))
        return Built(reference, time.monotonic() - started, *self.weigh(reference))

    def weigh(self, reference: str) -> tuple[int, list[tuple[int, str]]]:
        """The unpacked size of an image in bytes, and its layers as (bytes, build step).

        Raises FloeError if the engine's description of the image has an unknown format.
        """
        with self._format_errors(reference):
            return self._size_and_layers(reference)

    def _size_and_layers(self, reference: str) -> tuple[int, list[tuple[int, str]]]:
        if self.engine == "buildah":
            description = json.loads(self.call("inspect", "--type", "image", reference))
            sizes = [layer["size"] for layer in json.loads(description["Manifest"])["layers"]]
            steps = [step["created_by"] for step in description["OCIv1"]["history"] if not step.get("empty_layer")]
            layers = [*zip(sizes, steps, strict=False)]
            return sum(sizes), layers
        if self.engine == "podman":  # its templates print only rounded sizes
            steps = json.loads(self.call("history", "--no-trunc", "--format=json", reference))
            newest_first = [(step["size"], step["CreatedBy"]) for step in steps]
        else:
            lines = self.call("history", "--no-trunc", "--human=false", "--format={{.Size}}\t{{.CreatedBy}}", reference)
            newest_first = [(int(size), step) for size, _, step in map(_columns, lines.splitlines())]
        layers = [(size, step) for size, step in reversed(newest_first) if size]
        return int(self.call("image", "inspect", "--format", "{{.Size}}", reference)), layers

    @contextmanager
    def running(self, reference: str) -> Iterator[Sequence[str]]:
        """The engine's arguments that run a command in the image; the command follows them.

        The container that buildah needs for it is removed after the block.
        """
        if self.engine != "buildah":
            yield ["run", "--rm", "--network=none", "--entrypoint=", reference]
            return
        container = self.call("from", "--pull-never", reference).strip()
        try:
            yield ["run", "--isolation=chroot", "--user=1000:1000", container, "--"]
        finally:
            self.call("rm", container)

    def packages(self, reference: str) -> list[tuple[int, str]]:
        """(bytes, name) of each Python package in the Dagster image, largest first. Raises FloeError as `weigh`."""
        with self.running(reference) as run:
            lines = self.call(*run, "/opt/venv/bin/python", "-c", _LIST_PACKAGES).splitlines()
        with self._format_errors(reference):
            return sorted(((int(size), name) for name, size in map(str.split, lines)), reverse=True)

    @contextmanager
    def _format_errors(self, reference: str) -> Iterator[None]:
        """Turn errors from reading the engine's output into a FloeError."""
        try:
            yield
        except (LookupError, TypeError, ValueError) as error:
            raise FloeError(
                f"{self.engine} describes {reference} in an unknown format ({type(error).__name__})",
                f"Check `{self.engine} version`, or choose another engine with --engine.",
            ) from error


_LIST_PACKAGES = """
import importlib.metadata as m, os
for d in m.distributions():
    files = [d.locate_file(f) for f in d.files or ()]
    print(d.metadata["Name"].lower(), sum(os.path.getsize(f) for f in files if os.path.isfile(f)))
"""


def builder(engine: str | None = None) -> Builder:
    """The named engine, or by default the first of ENGINES that works. Raises FloeError if none works."""
    if engine and engine not in ENGINES:
        raise FloeError(f"there is no engine {engine!r}", f"Use one of these engines: {', '.join(ENGINES)}.")
    for candidate in ENGINES:
        if engine not in (None, candidate):
            continue
        program = shutil.which(candidate)
        if program is None:
            continue
        if candidate == "docker":  # the client works only with a running service
            try:
                done = process.run([program, "info"], seconds=_INFO_SECONDS)
            except FloeError:
                continue
            if "Server Version" not in done.stdout:
                continue
        return Builder(candidate, program)
    raise FloeError(
        f"{engine or 'no container engine'} {'does not work' if engine else 'works'} here",
        "Install Docker, Podman or buildah. For Docker, also start its service.",
    )


def pin(checkout: Checkout, environment: str, name: str, tag: str) -> Path:
    """Write an image's tag and digest into an overlay, without changing any other byte; returns the file.

    Raises FloeError if the tag has no digest, or the overlay has no value for it.
    """
    if not re.fullmatch(r"[\w][\w.-]{0,127}@sha256:[0-9a-f]{64}", tag):
        raise FloeError(
            f"{tag!r} is not a tag with a digest", "Give both, as in 0.1.0@sha256:… (64 hexadecimal digits)."
        )
    if name not in PLACES:
        raise FloeError(f"overlays pin no image {name!r}", f"Use one of these images: {', '.join(PLACES)}.")
    file, place = checkout.overlay(environment) / "values" / PLACES[name][0], ".".join(PLACES[name][1])
    console.write(file, edit.replace(console.read(file), {place: tag}, str(file)))
    return file


def check(tag: str, adapters: str) -> None:
    """Raise FloeError for an invalid tag or an adapter that is not locked, before a build would fail on it."""
    if not re.fullmatch(r"[\w][\w.-]{0,127}", tag, re.ASCII):
        raise FloeError(f"{tag!r} is not a valid image tag", "Use only letters, digits, `_`, `.` and `-`, as in 0.2.0.")
    if unknown := [name for name in adapters.split() if name not in ADAPTERS]:
        raise FloeError(
            f"there is no adapter {unknown[0]!r}",
            f"Use any of these adapters: {' '.join(ADAPTERS)}. DuckDB's is always installed.",
        )


def report(
    checkout: Checkout, builder: Builder, names: Sequence[str], tag: str, adapters: str, *, as_json: bool
) -> None:
    """Build the images one by one, and print time, size, layers and the five largest packages of each."""
    out, err = console.out(), console.err()
    built: dict[str, dict[str, object]] = {}
    for name in names:
        err.print(f"[dim]building {name} with {builder.engine}[/]")
        arguments = {"ADAPTERS": adapters} if name == "dagster" else {}
        done = builder.build(checkout, images(checkout)[name], tag, arguments)
        largest = builder.packages(done.reference)[:5] if name == "dagster" else []
        built[name] = {
            "reference": done.reference,
            "seconds": round(done.seconds, 1),
            "bytes": done.size,
            "layers": [{"bytes": size, "step": step} for size, step in done.layers],
            "packages": [{"name": n, "bytes": size, "why": WHY.get(n, "")} for size, n in largest],
        }
        if as_json:
            continue
        out.print(f"[green]✓[/] {done.reference}  {_mb(done.size)}  in {done.seconds:.0f} s")
        for size, step in done.layers:
            out.print(f"    {_mb(size):>8}  [dim]{escape(' '.join(step.split())[:90])}[/]")
        for size, package in largest:
            out.print(f"    {_mb(size):>8}  {package} [dim]{WHY.get(package, '')}[/]")
    if as_json:
        print(json.dumps(built, indent=2))


def _columns(line: str) -> tuple[str, str, str]:
    return line.partition("\t")


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
