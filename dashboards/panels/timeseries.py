"""Lines over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import attr

from dashboards.panels.panel import BoardPanel, by_regexp

__all__ = ["TimeSeries"]

_LINES_ONLY = ("target", "limit")


@attr.s(auto_attribs=True, kw_only=True)
class TimeSeries(BoardPanel):
    """Lines, or stacked areas. `table` shows the legend as a table with these figures of each series.

    Series whose legend starts with target or limit are drawn dashed. `steps` draw their bounds as lines.
    """

    kind: ClassVar[str] = "timeseries"

    stacked: bool = False
    points: bool = False
    table: tuple[str, ...] = ()
    logarithmic: bool = False

    def options(self) -> dict[str, Any]:
        """Return legend and tooltip."""
        legend = {
            "calcs": list(self.table),
            "displayMode": "table" if self.table else "list",
            "placement": "bottom",
            "showLegend": True,
        }
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}

    def colour_mode(self) -> dict[str, Any]:
        """Lines are told apart by their names, whatever the thresholds."""
        return {"mode": "palette-classic-by-name"}

    def custom(self) -> dict[str, Any]:
        """Return how lines are drawn. Gaps stay gaps: what is not known is not drawn."""
        scale: dict[str, Any] = {"log": 10, "type": "log"} if self.logarithmic else {"type": "linear"}
        return {
            "axisPlacement": "auto",
            "drawStyle": "points" if self.points else "line",
            "fillOpacity": 60 if self.stacked else 8,
            "gradientMode": "none",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "pointSize": 6 if self.points else 4,
            "scaleDistribution": scale,
            "showPoints": "always" if self.points else "auto",
            "spanNulls": False,
            "stacking": {"group": "A", "mode": "normal" if self.stacked else "none"},
            "thresholdsStyle": {"mode": "dashed" if self.steps else "off"},
        }

    def overrides(self) -> Iterator[dict[str, Any]]:
        """Yield colours, and dashes for what is no measurement."""
        yield from super().overrides()
        for meaning in _LINES_ONLY:
            if meaning in self.colours:
                yield by_regexp(
                    f"/^{meaning}\\b/",
                    custom__lineStyle={"dash": [8, 8], "fill": "dash"},
                    custom__fillOpacity=0,
                    custom__stacking={"group": "B", "mode": "none"},
                )
