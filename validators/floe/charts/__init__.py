"""Upstream charts that overlays pin, how they are pulled, and floe's own charts in charts/."""

from floe.charts.chart import MIRROR, Chart, pinned
from floe.charts.pulling import Pulled, pull

__all__ = ["MIRROR", "Chart", "Pulled", "pinned", "pull"]
