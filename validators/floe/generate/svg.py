"""Bar charts as SVG, one below the other. No library that draws is installed with floe."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from floe.generate.profile import Panel

_WIDTH, _HEIGHT, _LEFT, _TOP = 760, 90, 20, 34


def drawn(title: str, panels: Iterable[Panel]) -> str:
    """An SVG image of the panels as text."""
    parts, top = [], _TOP
    for panel in panels:
        parts.append(_panel(panel, top))
        top += _HEIGHT + 44
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + 2 * _LEFT}" height="{top}"'
    style = "text{font:11px sans-serif;fill:#333}rect{fill:#3b78b5}"
    body = [f"<style>{style}</style>", '<rect width="100%" height="100%" style="fill:#fff"/>']
    return f"{head}>{''.join([*body, _text(_LEFT, 20, title, 'start'), *parts])}</svg>\n"


def _panel(panel: Panel, top: int) -> str:
    most = max(panel.counts.values(), default=0) or 1
    step = _WIDTH / max(len(panel.counts), 1)
    shown_every = -(-len(panel.counts) // 12)  # labels, so that they do not overlap
    parts = [_text(_LEFT, top + 10, panel.title, "start")]
    for index, (label, count) in enumerate(panel.counts.items()):
        height, left = _HEIGHT * 0.8 * count / most, _LEFT + index * step
        parts.append(
            f'<rect x="{left:.1f}" y="{top + _HEIGHT - height:.1f}" width="{step * 0.8:.1f}" height="{height:.1f}">'
            f"<title>{escape(label)}: {count}</title></rect>"
        )
        if index % shown_every == 0:
            parts.append(_text(left + step * 0.4, top + _HEIGHT + 14, label, "middle"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
