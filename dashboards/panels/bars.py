"""One bar a series."""

from __future__ import annotations

from typing import Any, ClassVar

import attr

from dashboards.panels.panel import BoardPanel

__all__ = ["BarGauge"]


@attr.s(auto_attribs=True, kw_only=True)
class BarGauge(BoardPanel):
    """Horizontal bars of the last values, between `minimum` and `maximum`."""

    kind: ClassVar[str] = "bargauge"

    def options(self) -> dict[str, Any]:
        """Return how bars are drawn."""
        return {
            "displayMode": "basic",
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
            "maxVizHeight": 32,
            "minVizHeight": 16,
            "minVizWidth": 8,
            "namePlacement": "auto",
            "orientation": "horizontal",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showUnfilled": True,
            "sizing": "auto",
            "valueMode": "color",
        }
