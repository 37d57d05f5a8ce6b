"""Log lines beside the metrics."""

from __future__ import annotations

from typing import Any, ClassVar

import attr

from dashboards.panels.panel import BoardPanel
from dashboards.variables import LOKI

__all__ = ["Logs"]


@attr.s(auto_attribs=True, kw_only=True)
class Logs(BoardPanel):
    """Lines of a Loki, newest first."""

    kind: ClassVar[str] = "logs"

    unit: str = "string"
    columns: int = 24
    lines: int = 12

    def to_json_data(self) -> dict[str, Any]:
        """Return its JSON; its data source is a Loki."""
        return {**super().to_json_data(), "datasource": dict(LOKI)}

    def options(self) -> dict[str, Any]:
        """Return how lines are written."""
        return {
            "dedupStrategy": "none",
            "enableLogDetails": True,
            "prettifyLogMessage": False,
            "showCommonLabels": False,
            "showLabels": False,
            "showLogContextToggle": False,
            "showTime": True,
            "sortOrder": "Descending",
            "wrapLogMessage": True,
        }
