"""From a board to the JSON that Grafana 10.4 and later import without a migration.

grafanalib writes the JSON of 2017: keys that Grafana renamed since, and a null for all that is not set. What it holds
is kept; its old keys and nulls are not, and only then is the schema's version stated, since Grafana skips the
migrations to a version that a board already has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grafanalib import core

from dashboards.annotations import board_annotations
from dashboards.board import Board
from dashboards.layout import place
from dashboards.links import board_links
from dashboards.variables import board_variables

__all__ = ["SCHEMA_VERSION", "board_json"]

SCHEMA_VERSION = 39
"""That of Grafana 10.4."""

_OLD_BOARD_KEYS = frozenset({"__inputs", "gnetId", "hideControls", "id", "rows", "sharedCrosshair", "style"})
_OLD_PANEL_KEYS = frozenset(
    {"cacheTimeout", "editable", "error", "height", "hideTimeOverride", "links", "maxDataPoints", "minSpan", "span"}
)
_UNSET: tuple[Any, ...] = (None, False, [])
_ROW_KEYS = frozenset({"collapsed", "gridPos", "id", "panels", "title", "type"})
_REFRESH_INTERVALS = ["30s", "1m", "5m", "15m", "1h"]


def board_json(board: Board) -> dict[str, Any]:
    """Return a board as Grafana's API takes it: keys sorted, panels numbered in order."""
    built = core.Dashboard(
        title=board.identity.title,
        uid=board.identity.uid,
        description=board.description,
        annotations=core.Annotations(list=board_annotations(board.identity, board.variables)),
        editable=False,
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
        links=board_links(board.identity),
        panels=place(board.rows),
        refresh=board.refresh,
        schemaVersion=SCHEMA_VERSION,
        tags=["inferwatch", "llm", board.identity.name],
        templating=core.Templating(list=board_variables(board.variables, logs=board.logs)),
        time=core.Time(board.since, "now"),
        timezone="browser",
        version=1,
    ).auto_panel_ids()  # type: ignore[no-untyped-call]
    data = {key: value for key, value in _plain(built).items() if key not in _OLD_BOARD_KEYS}
    data["panels"] = [_panel(panel) for panel in data["panels"]]
    data["timepicker"] = {"refresh_intervals": _REFRESH_INTERVALS}
    stripped: dict[str, Any] = _stripped(data)
    return stripped


def _plain(value: Any) -> Any:
    """Turn grafanalib's objects into mappings and lists."""
    if hasattr(value, "to_json_data"):
        value = value.to_json_data()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _panel(panel: dict[str, Any]) -> dict[str, Any]:
    if panel["type"] == "row":
        row = {key: value for key, value in panel.items() if key in _ROW_KEYS}
        return {**row, "panels": [_panel(inner) for inner in panel["panels"]]}
    kept = {key: value for key, value in panel.items() if key not in _OLD_PANEL_KEYS}
    return {key: value for key, value in kept.items() if value not in _UNSET}


def _stripped(value: Any) -> Any:
    """Drop nulls and sort keys. A threshold's first step is known by its null."""
    if isinstance(value, dict):
        is_step = set(value) == {"color", "value"}
        return {key: _stripped(value[key]) for key in sorted(value) if value[key] is not None or is_step}
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    return value
