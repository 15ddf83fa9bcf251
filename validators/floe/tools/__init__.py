"""The one resolver of command-line tools: PATH, else a pinned package of a registry, else a build of its Go module.

What it fetches lies in the cache folder outside the checkout, so a fresh clone finds it again. Adding a tool is one
entry in `table` (and, for a package, a line in packages.in). Tests `register` those that only they run.
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

__all__ = ["TOOLS", "Found", "Tool", "find", "get", "register", "resolve", "ways"]


_VERSION_SECONDS = 30  # for a program to say its version; one that takes longer is not used


@dataclass(frozen=True)
class Found:
    """A tool that is there."""

    path: Path
    version: str
    source: Literal["PATH", "package", "go"]


def register(*more: Tool) -> None:
    """Let the resolver know further tools, which whoever registers them needs."""
    TOOLS.update({tool.name: tool for tool in more})


def find(name: str) -> Found | None:
    """The tool where it already is (PATH, then the cache), without fetching anything.

    Raises FloeError for a name that TOOLS does not hold.
    """
    tool = _tool(name)
    folders = [Path(folder) for folder in os.get_exec_path()]
    for pattern in tool.also:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    for folder in folders:
        for program in (tool.name, *tool.aliases):
            if found := _probe(tool, folder / program, "PATH"):
                return found
    for source in tool.sources:
        kind: Literal["package", "go"] = "package" if isinstance(source, Package) else "go"
        if source.where().is_dir() and (found := _probe(tool, source.where() / source.path, kind)):
            return found
    return None


def get(name: str) -> Found:
    """The tool, fetched if it is nowhere yet. Raises FloeError that says how to get it by hand."""
    tool = _tool(name)
    if found := find(name):
        return found
    reasons = []
    for source in tool.sources:
        err().print(f"[dim]getting {name}: {source.words()}[/]")
        try:
            source.get()
        except (FloeError, OSError) as error:  # a cache that cannot be written, a full disk
            reasons.append(f"{source.words()}: {error.message if isinstance(error, FloeError) else error}")
            continue
        if found := find(name):
            return found
        reasons.append(f"{source.words()}: what it brought does not run here")
    wanted = ".".join(map(str, tool.minimum))
    raise FloeError(
        f"{name} {wanted} or newer is missing ({tool.why})" + "".join(f"; {reason}" for reason in reasons), tool.hint
    )


@cache
def resolve(name: str) -> Path:
    """Path of a tool that runs and is new enough; fetched if need be."""
    return get(name).path


def ways(name: str) -> list[str]:
    """The ways to get a tool, in words, best first."""
    tool = _tool(name)
    return [source.words() for source in tool.sources] + [tool.hint]


def _tool(name: str) -> Tool:
    if name not in TOOLS:
        raise FloeError(f"there is no tool {name!r}", f"tools: {', '.join(TOOLS)}")
    return TOOLS[name]


def _probe(tool: Tool, path: Path, source: Literal["PATH", "package", "go"]) -> Found | None:
    """The tool at this very path, if it runs and is new enough."""
    if not (os.access(path, os.X_OK) and path.is_file()):  # in this order: a folder of PATH may be closed to us
        return None
    version = _version(tool, path)
    if version is None or tuple(int(part) for part in version.split(".")) < tool.minimum:
        return None
    return Found(path, version, source)


def _version(tool: Tool, path: Path) -> str | None:
    """What a program says its version is, remembered until its file changes: asking takes longer than some commands."""
    about = path.stat()
    key, state = f"{path} {' '.join(tool.version) or tool.module}", [about.st_mtime_ns, about.st_size, about.st_ino]
    known = _known_versions()
    if key in known and known[key][:-1] == state:
        return str(known[key][-1])
    said = _built_of(path, tool.module) if tool.module else _printed([str(path), *tool.version])
    match = re.search(r"\d+(\.\d+)+", said)
    if match is None:
        return None
    # A script of PATH may start another program tomorrow (asdf, mise); what we fetched is one pinned whole.
    if path.is_relative_to(repo.cache_dir()) or not _is_script(path):
        known[key] = [*state, match[0]]
        with suppress(OSError):  # a cache that cannot be written is no cache
            write(_versions_file(), json.dumps(known))
    return match[0]


def _printed(command: list[str]) -> str:
    """What a program prints; nothing where it fails or hangs."""
    try:
        done = process.run(command, seconds=_VERSION_SECONDS)
    except FloeError:
        return ""
    return done.stdout + done.stderr


def _built_of(path: Path, module: str) -> str:
    """The version of a module that a program in Go was built of, as Go notes it in the file."""
    found = re.search(rb"\t%s\tv([\d.]+)" % re.escape(module.encode()), path.read_bytes())
    return found[1].decode() if found else ""


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _versions_file() -> Path:
    return repo.cache_dir() / "tools" / "versions.json"


def _known_versions() -> dict[str, list[int | str]]:
    """By path and arguments: the file's time, size and number, and the version. Empty where the file says nothing."""
    try:
        known = json.loads(_versions_file().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and all(isinstance(value, list) for value in known.values()) else {}
