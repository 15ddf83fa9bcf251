"""Bar charts of a profile, as SVG and PNG."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from floe.generate.profile import Panel

_COLUMNS, _WIDTH, _HEIGHT = 2, 11.0, 1.5  # of a panel, in inches
_SHORT = 5  # a label takes the place of so many letters at least
_MOST_LETTERS = 72  # of the labels of a panel, so that they do not overlap
_STYLE: Any = {  # the keys are words of matplotlib
    "font.size": 8,
    "svg.fonttype": "none",  # text stays text, which can be searched
    "svg.hashsalt": "floe",  # the same counts give the same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}


def draw(title: str, panels: Sequence[Panel], folder: Path) -> None:
    """Write the panels as profile.svg and profile.png. Raises OSError if a file cannot be written."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # at first it says that it looks for fonts
    rows = -(-len(panels) // _COLUMNS)
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT * rows + 0.5), layout="constrained")
        figure.suptitle(title, fontsize=11)
        places = figure.subplots(rows, _COLUMNS, squeeze=False).flat
        for panel, axes in zip(panels, places, strict=False):
            positions = range(len(panel.counts))
            axes.bar(positions, list(panel.counts.values()), width=0.8, color="#3b78b5")
            axes.set_title(panel.title, loc="left", fontsize=8)
            letters = max(map(len, panel.counts), default=1)
            most = _MOST_LETTERS // max(letters, _SHORT)
            step = 1 if panel.is_mix else -(-len(panel.counts) // most) or 1
            axes.set_xticks(positions[::step], list(panel.counts)[::step])
            axes.set_yticks([])
        for axes in places:  # without a panel
            axes.set_axis_off()
        figure.savefig(folder / "profile.svg", metadata={"Date": None})
        figure.savefig(folder / "profile.png", dpi=110)
