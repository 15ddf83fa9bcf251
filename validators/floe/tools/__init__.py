"""Find or fetch command-line tools: on PATH, otherwise from a pinned package or by building its Go module.

Fetched tools are kept in the cache folder outside the checkout, so that a fresh clone finds them again. To add a tool,
add an entry to `table` and, for a package, a line to packages.in. Tests `register` further tools.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from floe import process, repo
from floe.console import err, write
from floe.errors import FloeError
from floe.tools.sources import Package
from floe.tools.table import TOOLS, Tool

__all__ = ["TOOLS", "Installed", "Tool", "find", "get", "register", "resolve", "ways"]


_VERSION_SECONDS = 30  # for a program to print its version; one that takes longer is not used


@dataclass(frozen=True)
class Installed:
    """A tool on this machine. `source`: where it comes from."""

    path: Path
    version: str
    source: Literal["PATH", "package", "go"]


def register(*more: Tool) -> None:
    """Add tools to TOOLS, such as those that only tests need."""
    TOOLS.update({tool.name: tool for tool in more})


def find(name: str) -> Installed | None:
    """A tool on PATH or in the cache, without fetching it; None if it is missing or too old.

    Raises FloeError for a name that is not in TOOLS.
    """
    tool = _tool_named(name)
    folders = [Path(folder) for folder in os.get_exec_path()]
    for pattern in tool.also:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    for folder in folders:
        for program in (tool.name, *tool.aliases):
            if installed := _usable_tool(tool, folder / program, "PATH"):
                return installed
    for source in tool.sources:
        kind: Literal["package", "go"] = "package" if isinstance(source, Package) else "go"
        if source.where().is_dir() and (installed := _usable_tool(tool, source.where() / source.path, kind)):
            return installed
    return None


def get(name: str) -> Installed:
    """A tool, fetched if it is missing. Raises FloeError, with the way to install it by hand, if no source works."""
    tool = _tool_named(name)
    if installed := find(name):
        return installed
    reasons = []
    for source in tool.sources:
        err().print(f"[dim]getting {name}: {source.words()}[/]")
        try:
            source.get()
        except (FloeError, OSError) as error:  # OSError: the cache cannot be written, or the disk is full
            reasons.append(f"{source.words()}: {error.message if isinstance(error, FloeError) else error}")
            continue
        if installed := find(name):
            return installed
        reasons.append(f"{source.words()}: the fetched program does not run here")
    wanted = ".".join(map(str, tool.minimum))
    raise FloeError(
        f"{name} {wanted} or newer is missing ({tool.why})" + "".join(f"; {reason}" for reason in reasons),
        f"To continue, {tool.hint}.",
    )


@cache
def resolve(name: str) -> Path:
    """The path of a tool that runs and is new enough, fetched if necessary. Raises FloeError if that fails."""
    return get(name).path


def ways(name: str) -> list[str]:
    """Descriptions of the ways to get a tool, best first."""
    tool = _tool_named(name)
    return [source.words() for source in tool.sources] + [tool.hint]


def _tool_named(name: str) -> Tool:
    if name not in TOOLS:
        raise FloeError(f"there is no tool {name!r}", f"Use one of these tools: {', '.join(TOOLS)}.")
    return TOOLS[name]


def _usable_tool(tool: Tool, path: Path, source: Literal["PATH", "package", "go"]) -> Installed | None:
    """The tool at this path, if it runs and is new enough."""
    if not (
        os.access(path, os.X_OK) and path.is_file()
    ):  # in this order, since is_file fails in a folder that cannot be read
        return None
    version = _version_of(tool, path)
    if version is None or tuple(int(part) for part in version.split(".")) < tool.minimum:
        return None
    return Installed(path, version, source)


def _version_of(tool: Tool, path: Path) -> str | None:
    """The version that a program prints. It is cached until the file changes, since asking can take a second."""
    stat = path.stat()
    key, state = f"{path} {' '.join(tool.version) or tool.module}", [stat.st_mtime_ns, stat.st_size, stat.st_ino]
    known = _known_versions()
    if key in known and known[key][:-1] == state:
        return str(known[key][-1])
    output = _module_version(path, tool.module) if tool.module else _output_of([str(path), *tool.version])
    match = re.search(r"\d+(\.\d+)+", output)
    if match is None:
        return None
    # The version of a script on PATH (asdf, mise) may change without its file, so it is cached only for fetched tools.
    if path.is_relative_to(repo.cache_dir()) or not _is_script(path):
        known[key] = [*state, match[0]]
        with suppress(OSError):  # without a writable cache the version is asked again
            write(_versions_file(), json.dumps(known))
    return match[0]


def _output_of(command: list[str]) -> str:
    """The output of a program; empty if it fails or hangs."""
    try:
        done = process.run(command, seconds=_VERSION_SECONDS)
    except FloeError:
        return ""
    return done.stdout + done.stderr


def _module_version(path: Path, module: str) -> str:
    """The version of a module in a Go program, from the build information in the file; empty if there is none."""
    match = re.search(rb"\t%s\tv([\d.]+)" % re.escape(module.encode()), path.read_bytes())
    return match[1].decode() if match else ""


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _versions_file() -> Path:
    return repo.cache_dir() / "tools" / "versions.json"


def _known_versions() -> dict[str, list[int | str]]:
    """The cached versions: by path and arguments, the file's time, size and inode, and the version."""
    try:
        known = json.loads(_versions_file().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and all(isinstance(value, list) for value in known.values()) else {}
