"""A histogram over time."""

from __future__ import annotations

from typing import Any, ClassVar

import attr

from dashboards.colours import BAD, HEATMAP_SCHEME
from dashboards.panels.panel import BoardPanel

__all__ = ["Heatmap"]


@attr.s(auto_attribs=True, kw_only=True)
class Heatmap(BoardPanel):
    """Bucket rates as they are (never calculated anew), `unit` on the axis, `cells` in the cells, exemplars on top."""

    kind: ClassVar[str] = "heatmap"

    cells: str = "reqps"

    def options(self) -> dict[str, Any]:
        """Return axis, scale and tooltip."""
        return {
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": self.cells},
            "color": {
                "exponent": 0.5,
                "fill": "dark-orange",
                "mode": "scheme",
                "reverse": False,
                "scale": "exponential",
                "scheme": HEATMAP_SCHEME,
                "steps": 64,
            },
            "exemplars": {"color": BAD},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": self.unit},
        }

    def custom(self) -> dict[str, Any]:
        """Return the scale of the fields."""
        return {"scaleDistribution": {"type": "linear"}}
