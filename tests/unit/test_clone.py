"""A clone has the same bytes on every machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rendering import ROOT


def test_a_clone_with_autocrlf_has_lf_line_ends(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    command = ["git", "-c", "core.autocrlf=true", "clone", "--quiet", "--depth=1", ROOT.as_uri(), str(clone)]
    subprocess.run(command, check=True)
    command = ["git", "-c", "core.autocrlf=true", "ls-files", "--eol"]
    listed = subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(listed) > 100
    assert not [line for line in listed if "w/crlf" in line or "w/mixed" in line]
