"""Chart archives: fetch them from a repository, a mirror or the cache, and unpack them."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import shutil
import tarfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from floe import console, process, repo, tools
from floe.charts.chart import MIRROR, Chart, Origin
from floe.errors import FloeError
from floe.yaml import load_file

_HELM_SECONDS = 120
_MAX_BYTES = 100 << 20  # size limit of an unpacked chart, the same as Helm's
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


class UnreachableError(FloeError):
    """A chart could not be fetched. A chart that was fetched but is wrong raises a plain FloeError instead."""


@dataclass(frozen=True)
class Fetched:
    """A chart as a repository or mirror serves it: an archive, or a folder, which must not be changed."""

    path: Path
    origin: Origin
    location: str
    sha256: str | None  # of the archive; None for a folder


def fetch(chart: Chart, mirror: str | None, folder: Path) -> Fetched:
    """Fetch a chart from a mirror or, without one, from its repository. An archive is downloaded to `folder`.

    Raises UnreachableError if the chart cannot be fetched from there.
    """
    if mirror and "://" not in mirror:
        try:
            return _from_folder(chart, Path(mirror).expanduser())
        except OSError as error:
            raise UnreachableError(f"cannot read the chart mirror {mirror}: {error}", "Fix its permissions.") from error
    url = (mirror or chart.repository).rstrip("/")
    location = _CREDENTIALS.sub("", url)
    with console.progress(f"charts: {chart} from {location}"):
        archive = _helm_pull(chart, url, folder)
    return Fetched(archive, "mirror" if mirror else "repository", location, sha256(archive))


def _from_folder(chart: Chart, mirror: Path) -> Fetched:
    if not mirror.is_dir():
        raise UnreachableError(f"the chart mirror {mirror} is not a folder", f"Correct {MIRROR} or --mirror.")
    archive = mirror / f"{chart.name}-{chart.version}.tgz"
    if archive.is_file():
        return Fetched(archive, "mirror", str(archive), sha256(archive))
    unpacked = [mirror / archive.stem / chart.name, mirror / chart.name]
    for folder in unpacked:
        if (folder / "Chart.yaml").is_file():
            return Fetched(folder, "mirror", str(folder), None)
    raise UnreachableError(
        f"the chart mirror {mirror} does not contain the chart {chart}",
        f"Put {archive.name} there, or the unpacked chart as {chart.name}/.",
    )


def _helm_pull(chart: Chart, url: str, folder: Path) -> Path:
    try:
        helm = str(tools.resolve("helm"))
    except FloeError as error:
        raise UnreachableError(f"cannot pull the chart {chart}: {error.message}", error.hint) from error
    target = folder / "served"
    target.mkdir()
    # Helm's state goes to the same temporary folder, so that the user's Helm configuration has no effect on the pull …
    env = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    try:
        if url.startswith("oci://"):
            # … except for the credentials of `helm registry login`.
            asked = process.run([helm, "env", "HELM_REGISTRY_CONFIG"], seconds=_HELM_SECONDS)
            env["HELM_REGISTRY_CONFIG"] = asked.stdout.strip()
            what = [f"{url}/{chart.name}", *(["--plain-http"] if _is_loopback(url) else [])]
        else:
            what = [chart.name, "--repo", url]
        command = [helm, "pull", *what, "--version", chart.version, "--destination", str(target)]
        done = process.run(command, seconds=_HELM_SECONDS, env=env, check=False)
        reason = process.complaint(done) if done.returncode else ""
    except FloeError as error:
        reason = error.message
    archives = list(target.glob("*.tgz"))
    if not reason and len(archives) != 1:
        reason = "helm downloaded no archive"
    if reason:
        reason = _CREDENTIALS.sub("", reason.removeprefix("Error: "))
        raise UnreachableError(
            f"cannot pull the chart {chart} from {_CREDENTIALS.sub('', url)}: {reason}",
            f"If this machine cannot reach the chart repository, set {MIRROR} to a folder or URL that mirrors it.",
        )
    return archives[0]


def _is_loopback(url: str) -> bool:
    """Whether a registry is on this machine. Only such a registry is accessed without TLS, as in docker."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def sha256(archive: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(chart: Chart, fetched: Fetched, folder: Path) -> Path:
    """Unpack or copy a chart to a subfolder of `folder` with the chart's name; returns it. The copy may be changed.

    Raises FloeError if the content is not that chart in that version.
    """
    target = folder / chart.name
    unpacked = fetched.path.is_dir()
    try:
        if unpacked:
            shutil.copytree(fetched.path, target)
        else:
            _extract(fetched.path, chart.name, folder)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise FloeError(
            f"what {fetched.location} serves as {chart} is not a {'chart' if unpacked else 'chart archive'}: {error}",
            "Check what is served there, or pull from another mirror with --mirror.",
        ) from error
    try:
        meta = load_file(target / "Chart.yaml")
    except FloeError:
        meta = {}
    holds = f"{meta.get('name')} {meta.get('version')}" if meta else "something without a readable Chart.yaml"
    if holds != str(chart):
        raise FloeError(
            f"{fetched.location} serves {holds} for the chart {chart}",
            "Correct what is served there, or the version in the overlay's values.",
        )
    return target


def _extract(archive: Path, name: str, folder: Path) -> None:
    """Extract an archive. Raises ValueError for paths outside the chart's folder, for links, and above Helm's size."""
    size = 0
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            parts = member.name.split("/")
            if parts[0] != name or ".." in parts:
                raise ValueError(f"it holds {member.name!r}, which is not in {name}/")
            size += member.size
            if size > _MAX_BYTES:
                raise ValueError(f"it unpacks to more than {_MAX_BYTES >> 20} MiB")
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                raise ValueError(f"{member.name!r} is not a regular file")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())


def _cache_file(chart: Chart) -> Path:
    # The repository is part of the name, since two repositories may serve the same chart name and version.
    repository = hashlib.sha256(chart.repository.encode()).hexdigest()[:12]
    return repo.cache_dir() / "charts" / f"{chart.name}-{chart.version}-{repository}.tgz"


def cached(chart: Chart) -> Fetched | None:
    """The archive that an earlier pull kept in the cache; None if there is none."""
    path = _cache_file(chart)
    with suppress(OSError):
        return Fetched(path, "repository", chart.repository, sha256(path))
    return None


def keep(chart: Chart, fetched: Fetched, locked: str | None) -> None:
    """Keep an archive in the cache for other checkouts, if its repository served it or charts.lock has its sha256.

    `locked`: the sha256 in charts.lock, if any.
    """
    if fetched.sha256 is None or not (fetched.origin == "repository" or fetched.sha256 == locked):
        return
    path = _cache_file(chart)
    with suppress(OSError):  # the cache only saves time; without it a pull still works
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            shutil.copyfile(fetched.path, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
