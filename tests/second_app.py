"""Makes a second app from the first one, for tests of two apps side by side."""

from __future__ import annotations

import re
import shutil
from pathlib import Path


def copy_app(apps: Path, old: str, new: str) -> Path:
    """Copy the folder of an app and give everything in it that two apps must not share another name."""
    folder = apps / new
    shutil.copytree(apps / old, folder, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    (folder / old).rename(folder / new)
    replacements = {
        folder / "floe.yaml": [(rf"(?m)^name: {old}$", f"name: {new}"), (r"(_namespace: )", rf"\1{new}_")],
        folder / "deploy/code-location.yaml": [(old, new)],
        folder / "dbt/dbt_project.yml": [(rf"\b{old}\b", new)],
    }
    cubes = sorted(file.stem for file in (folder / "cube/model/cubes").glob("*.yml"))
    for file in (folder / "cube/model").rglob("*.yml"):
        replacements[file] = [
            (r"'marts'", f"'{new}_marts'"),
            (r"(?m)^(  - name: )", rf"\1{new}_"),
            (rf"(?m)^(      - name: )({'|'.join(cubes)})$(?=\n +sql: \"{{CUBE}})", rf"\1{new}_\2"),
            (rf"(join_path: |\.|{{|\[)({'|'.join(cubes)})(?=[.}}\n])", rf"\1{new}_\2"),
        ]
    for file, pairs in replacements.items():
        text = file.read_text()
        for pattern, replacement in pairs:
            text = re.sub(pattern, replacement, text)
        file.write_text(text)
    return folder
