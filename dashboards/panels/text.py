"""Words on a board."""

from __future__ import annotations

from typing import Any, ClassVar

import attr

from dashboards.panels.panel import BoardPanel

__all__ = ["Text"]


@attr.s(auto_attribs=True, kw_only=True)
class Text(BoardPanel):
    """Markdown."""

    kind: ClassVar[str] = "text"

    content: str
    unit: str = "string"

    def options(self) -> dict[str, Any]:
        """Return the words."""
        return {"content": self.content, "mode": "markdown"}
