"""Upstream charts: which ones overlays pin, and how they get to where kustomize looks for them."""

from floe.charts.chart import MIRROR, Chart, pinned
from floe.charts.pulling import Pulled, pull

__all__ = ["MIRROR", "Chart", "Pulled", "pinned", "pull"]
