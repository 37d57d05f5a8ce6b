"""States over time."""

from __future__ import annotations

from typing import Any, ClassVar

import attr

from dashboards.panels.panel import BoardPanel

__all__ = ["StateTimeline"]


@attr.s(auto_attribs=True, kw_only=True)
class StateTimeline(BoardPanel):
    """A band a series; `words` says which value is called what, and its colour."""

    kind: ClassVar[str] = "state-timeline"

    def options(self) -> dict[str, Any]:
        """Return how bands are drawn."""
        return {
            "alignValue": "left",
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        }

    def custom(self) -> dict[str, Any]:
        """Return how a band is filled."""
        return {"fillOpacity": 70, "lineWidth": 0}

    def colour_mode(self) -> dict[str, Any]:
        """Colours are those of the states."""
        return {"mode": "thresholds"}
