"""One number a series, large."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attr

from dashboards.panels.panel import BoardPanel

__all__ = ["Stat"]


@attr.s(auto_attribs=True, kw_only=True)
class Stat(BoardPanel):
    """The last value, with its course behind it. `plain` leaves the course out; `text` says what is written."""

    kind: ClassVar[str] = "stat"

    plain: bool = False
    text: Literal["auto", "name", "value_and_name"] = "auto"
    columns: int = 4
    lines: int = 4

    def options(self) -> dict[str, Any]:
        """Return how the number is written."""
        return {
            "colorMode": "value",
            "graphMode": "none" if self.plain else "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showPercentChange": False,
            "textMode": self.text,
            "wideLayout": True,
        }
