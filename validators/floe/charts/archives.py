"""Archives of charts: from a repository, a mirror or the cache, and what of them is unpacked."""

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
_MAX_BYTES = 100 << 20  # of an unpacked chart: Helm's own limit
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


class UnreachableError(FloeError):
    """A chart that could not be fetched, as against one that was fetched and is not what it should be."""


@dataclass(frozen=True)
class Found:
    """A chart as somebody serves it: an archive, or a folder that must not be changed."""

    path: Path
    origin: Origin
    location: str
    sha256: str | None  # of the archive


def fetch(chart: Chart, mirror: str | None, folder: Path) -> Found:
    """The chart from a mirror or, without one, its repository; an archive comes into `folder`.

    Raises UnreachableError where it cannot be had there.
    """
    if mirror and "://" not in mirror:
        try:
            return _from_folder(chart, Path(mirror).expanduser())
        except OSError as error:
            raise UnreachableError(f"cannot read the chart mirror {mirror}: {error}", "mend its permissions") from error
    url = (mirror or chart.repository).rstrip("/")
    location = _CREDENTIALS.sub("", url)
    with console.progress(f"charts: {chart} from {location}"):
        archive = _helm_pull(chart, url, folder)
    return Found(archive, "mirror" if mirror else "repository", location, sha256(archive))


def _from_folder(chart: Chart, mirror: Path) -> Found:
    if not mirror.is_dir():
        raise UnreachableError(f"the chart mirror {mirror} is not a folder", f"mend {MIRROR} or --mirror")
    archive = mirror / f"{chart.name}-{chart.version}.tgz"
    if archive.is_file():
        return Found(archive, "mirror", str(archive), sha256(archive))
    unpacked = [mirror / archive.stem / chart.name, mirror / chart.name]
    for folder in unpacked:
        if (folder / "Chart.yaml").is_file():
            return Found(folder, "mirror", str(folder), None)
    raise UnreachableError(
        f"the mirror {mirror} does not hold the chart {chart}",
        f"put {archive.name} there, or the unpacked chart as {chart.name}/",
    )


def _helm_pull(chart: Chart, url: str, folder: Path) -> Path:
    try:
        helm = str(tools.resolve("helm"))
    except FloeError as error:
        raise UnreachableError(f"cannot pull the chart {chart}: {error.message}", error.hint) from error
    target = folder / "served"
    target.mkdir()
    # Helm's state goes to the same temporary folder: what a person configured for Helm has no say in what is pulled …
    env = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    try:
        if url.startswith("oci://"):
            # … but for `helm registry login`.
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
        reason = "helm brought no archive"
    if reason:
        reason = _CREDENTIALS.sub("", reason.removeprefix("Error: "))
        raise UnreachableError(
            f"cannot pull the chart {chart} from {_CREDENTIALS.sub('', url)}: {reason}",
            f"on a machine that reaches no chart repository, name a folder or URL that mirrors it: {MIRROR}=…",
        )
    return archives[0]


def _is_loopback(url: str) -> bool:
    """Whether a registry is on this machine: the only ones spoken to without TLS, as docker does."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def sha256(archive: Path) -> str:
    """Digest of a file."""
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(chart: Chart, found: Found, folder: Path) -> Path:
    """A folder of the chart's own name in `folder`, to be changed at will.

    Raises FloeError where what was served is not that chart in that version.
    """
    target = folder / chart.name
    unpacked = found.path.is_dir()
    try:
        if unpacked:
            shutil.copytree(found.path, target)
        else:
            _extract(found.path, chart.name, folder)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise FloeError(
            f"what {found.location} serves as {chart} is not a {'chart' if unpacked else 'chart archive'}: {error}",
            "look at what is served there, or pull from a mirror that is whole: --mirror",
        ) from error
    try:
        meta = load_file(target / "Chart.yaml")
    except FloeError:
        meta = {}
    holds = f"{meta.get('name')} {meta.get('version')}" if meta else "something without a readable Chart.yaml"
    if holds != str(chart):
        raise FloeError(
            f"{found.location} serves {holds} for the chart {chart}",
            "mend what is served there, or the version in the overlay's values",
        )
    return target


def _extract(archive: Path, name: str, folder: Path) -> None:
    """Write an archive's plain files. Raises ValueError for whatever a chart of this name has no use for."""
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
                raise ValueError(f"{member.name!r} is no plain file")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())


def _cache(chart: Chart) -> Path:
    # Two repositories may serve the same name and version.
    repository = hashlib.sha256(chart.repository.encode()).hexdigest()[:12]
    return repo.cache_dir() / "charts" / f"{chart.name}-{chart.version}-{repository}.tgz"


def cached(chart: Chart) -> Found | None:
    """The archive that an earlier pull kept."""
    path = _cache(chart)
    with suppress(OSError):
        return Found(path, "repository", chart.repository, sha256(path))
    return None


def keep(chart: Chart, found: Found, locked: str | None) -> None:
    """Keep an archive for other checkouts: the repository's own, or one that charts.lock vouches for."""
    if found.sha256 is None or not (found.origin == "repository" or found.sha256 == locked):
        return
    path = _cache(chart)
    with suppress(OSError):  # a cache that cannot be written costs time, no more
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            shutil.copyfile(found.path, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
