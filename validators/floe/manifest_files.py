"""Write a rendered stream to a folder, one file per object. The folder is replaced as a whole or not at all."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from floe.errors import FloeError
from floe.kubernetes.objects import Object, mapping
from floe.yaml import documents

LIST = ".floe-render"
"""The file that lists what floe wrote, in the format of `sha256sum --check`. kubectl ignores a file of this name."""


def write(stream: bytes, folder: Path) -> int:
    """Replace the content of `folder` with the objects of a stream; returns the number of objects.

    Raises FloeError if the folder holds a file that floe did not write or that was edited since, or if it cannot be
    written.
    """
    folder = folder.expanduser().absolute()
    if folder.is_symlink():
        folder = folder.resolve()
    try:
        _refuse_foreign(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            new, old = Path(temporary) / "new", Path(temporary) / "old"
            new.mkdir()
            lines = []
            for name, content in _files(stream):
                (new / name).write_bytes(content)
                lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
            (new / LIST).write_text("".join(lines))
            if folder.exists():
                folder.rename(old)
            try:
                new.rename(folder)
            except BaseException:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise FloeError(
            f"cannot write {error.filename or folder}: {error.strerror}", "Choose another folder with -o."
        ) from error
    return len(lines)


def _refuse_foreign(folder: Path) -> None:
    """Raise FloeError if replacing the folder would lose a file that floe cannot write again."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FloeError(f"{folder} is a file, and -o takes a folder", "Name a folder that does not exist yet.")
    listed = folder / LIST
    lines = listed.read_text(errors="replace").splitlines() if listed.is_file() else []
    ours = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for path in sorted(folder.iterdir()):
        if path.name == LIST and ours:
            continue
        if path.name not in ours or path.is_symlink() or not path.is_file():
            what = f"holds {path.name}, which floe render did not write"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != ours[path.name]:
            what = f"holds {path.name}, which has changed since floe render wrote it"
        else:
            continue
        raise FloeError(
            f"{folder} {what}, so nothing is written", "Move that file away, or choose another folder with -o."
        )


def _files(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, content) of each object, in the stream's order."""
    taken: set[str] = set()
    for content in re.split(rb"(?m)^---\n", stream):  # such a line cannot occur within a document
        for document in documents(content, "what kustomize rendered"):
            item = Object("", document.number, document.line, mapping(document.value))
            name, number = _name(item), 1
            while name.casefold() in taken:  # two API groups may have the same kind; some file systems ignore case
                number += 1
                name = f"{_name(item)}-{number}"
            taken.add(name.casefold())
            yield f"{name}.yaml", content


def _name(item: Object) -> str:
    """The file name without suffix: `deployment-floe-prod_cube-api`. Namespaces, and almost all names, have no `_`."""
    parts = [quote(part, safe="") for part in (item.namespace, item.name) if part]
    return f"{quote(item.kind.lower(), safe='')}-{'_'.join(parts)}"
