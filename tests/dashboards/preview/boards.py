"""Boards and panels for tests, as Grafana's JSON has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dashboards.preview.board_json import BoardJson, PanelJson, field_of, read_board
from dashboards.preview.results import Result

SMALL = Path(__file__).parent / "small_board.json"


def small() -> BoardJson:
    """A board with a panel of every type."""
    return read_board(json.loads(SMALL.read_text()))


def panel(
    kind: str, defaults: dict[str, Any] | None = None, overrides: list[Any] | None = None, **more: Any
) -> PanelJson:
    """One panel."""
    config = {"defaults": defaults or {}, "overrides": overrides or []}
    (only,) = read_board({"title": "T", "panels": [{"type": kind, "fieldConfig": config, **more}]}).panels
    return only


def result(
    panel: PanelJson, name: str, *values: float | None, labels: dict[str, str] | None = None, ref_id: str = "A"
) -> Result:
    """A series that a panel's query gave."""
    return Result(name, labels or {}, values, field_of(panel, name, ref_id), ref_id)


def steps(*pairs: tuple[float | None, str]) -> dict[str, Any]:
    """Thresholds."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in pairs]}
