"""A board's JSON, read into what the preview draws: rows of panels, their queries, fields and variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = [
    "Annotation",
    "BoardError",
    "BoardJson",
    "Field",
    "PanelJson",
    "Row",
    "Target",
    "Transformation",
    "Variable",
    "field_of",
    "panels_of",
    "read_board",
]


class BoardError(Exception):
    """JSON that is no dashboard; the message is one line that says where."""


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """A mapping of a dashboard; keys that the preview does not use are left out."""


class _Datasource(_Part, frozen=True):
    type: str = ""
    uid: str = ""


class Target(_Part, frozen=True):
    """One query of a panel."""

    ref_id: str = "A"
    expr: str = ""
    legend_format: str = ""
    format: str = "time_series"
    instant: bool = False
    hide: bool = False
    datasource: _Datasource | str = ""


class Transformation(_Part, frozen=True):
    """What is done to the results before they are drawn."""

    id: str
    options: dict[str, Any] = {}


class _Place(_Part, frozen=True):
    x: int = 0
    y: int = 0
    w: int = 12
    h: int = 8


class _Matcher(_Part, frozen=True):
    id: str
    options: Any = None


class _Property(_Part, frozen=True):
    id: str
    value: Any = None


class _Override(_Part, frozen=True):
    matcher: _Matcher
    properties: tuple[_Property, ...] = ()


class _FieldConfig(_Part, frozen=True):
    defaults: dict[str, Any] = {}
    overrides: tuple[_Override, ...] = ()


class Step(_Part, frozen=True):
    """From `value` up the colour holds; the first step of a table has no value."""

    value: float | None = None
    color: str = ""


class _Thresholds(_Part, frozen=True):
    mode: str = "absolute"
    steps: tuple[Step, ...] = ()


class _Colour(_Part, frozen=True):
    mode: str = ""
    fixed_color: str = ""


class _Mode(_Part, frozen=True):
    mode: str = ""
    fill: str = ""
    type: str = ""


class _Drawing(_Part, frozen=True):
    draw_style: str = "line"
    line_interpolation: str = "linear"
    fill_opacity: float = 0
    line_width: float = 1
    stacking: _Mode = _Mode()
    thresholds_style: _Mode = _Mode()
    line_style: _Mode = _Mode()
    scale_distribution: _Mode = _Mode()


class _ValueMapping(_Part, frozen=True):
    type: str
    options: dict[str, Any] = {}


class Field(_Part, frozen=True):
    """How the values of one series or column are written and coloured."""

    unit: str = ""
    decimals: int | None = None
    min: float | None = None
    max: float | None = None
    display_name: str = ""
    no_value: str = ""
    color: _Colour = _Colour()
    thresholds: _Thresholds = _Thresholds()
    mappings: tuple[_ValueMapping, ...] = ()
    custom: _Drawing = _Drawing()


class PanelJson(_Part, frozen=True, kw_only=True):
    """One panel, or a row, which holds panels while it is folded."""

    id: int = 0
    type: str
    title: str = ""
    description: str = ""
    grid_pos: _Place = _Place()
    targets: tuple[Target, ...] = ()
    field_config: _FieldConfig = _FieldConfig()
    options: dict[str, Any] = {}
    transformations: tuple[Transformation, ...] = ()
    panels: tuple[PanelJson, ...] = ()
    datasource: _Datasource | str = ""

    def datasource_type(self, target: Target) -> str:
        """Return the kind of a query's data source: its own, or else the panel's; "" when neither says."""
        of_target = target.datasource
        if isinstance(of_target, _Datasource) and of_target.type:
            return of_target.type
        return self.datasource.type if isinstance(self.datasource, _Datasource) else ""


class _Current(_Part, frozen=True):
    value: Any = None


class Variable(_Part, frozen=True):
    """A variable of the board."""

    name: str
    type: str = "query"
    label: str = ""
    query: Any = ""
    include_all: bool = False
    all_value: str = ""
    multi: bool = False
    current: _Current = _Current()


class Annotation(_Part, frozen=True):
    """A query whose results are marks on every time axis."""

    name: str = ""
    expr: str = ""
    enable: bool = True
    icon_color: str = ""
    title_format: str = ""
    text_format: str = ""
    datasource: _Datasource | str = ""


class _Templating(_Part, frozen=True):
    list: tuple[Variable, ...] = ()


class _Annotations(_Part, frozen=True):
    list: tuple[Annotation, ...] = ()


class BoardJson(_Part, frozen=True, kw_only=True):
    """A dashboard."""

    title: str
    uid: str = ""
    description: str = ""
    panels: tuple[PanelJson, ...]
    templating: _Templating = _Templating()
    annotations: _Annotations = _Annotations()


class Row(msgspec.Struct, frozen=True):
    """Panels under one heading, their places counted from the row's own top; the first row may lack a title."""

    title: str
    panels: tuple[PanelJson, ...]


def read_board(board: object) -> BoardJson:
    """Read a dashboard as Grafana's API and its export have it. Raises BoardError."""
    if isinstance(board, Mapping) and "panels" not in board and isinstance(board.get("dashboard"), Mapping):
        board = board["dashboard"]
    try:
        return msgspec.convert(_without_nulls(board), BoardJson, strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        where = place.rstrip("`").lstrip(".")
        raise BoardError(f"no dashboard of Grafana: {where + ': ' if where else ''}{text}") from error


def panels_of(board: BoardJson) -> tuple[Row, ...]:
    """Return a board's rows in the order in which a person reads them; folded rows are unfolded."""
    rows: list[Row] = []
    title, panels = "", list[PanelJson]()
    for panel in sorted(board.panels, key=lambda panel: (panel.grid_pos.y, panel.grid_pos.x)):
        if panel.type == "row":
            rows.append(_row(title, panels))
            title, panels = panel.title, list(panel.panels)
        else:
            panels.append(panel)
    rows.append(_row(title, panels))
    return tuple(row for row in rows if row.panels)


def field_of(panel: PanelJson, name: str, ref_id: str = "A") -> Field:
    """Return how a series of this name (as the legend shows it) is written. Raises BoardError."""
    merged = {**panel.field_config.defaults, "custom": {**panel.field_config.defaults.get("custom", {})}}
    for override in panel.field_config.overrides:
        if not _matches(override.matcher, name, ref_id):
            continue
        for one in override.properties:
            part, _, key = one.id.partition(".")
            if part == "custom":
                merged["custom"][key] = one.value
            else:
                merged[one.id] = one.value
    try:
        return msgspec.convert(merged, Field, strict=False)
    except msgspec.ValidationError as error:
        raise BoardError(f"panel {panel.title!r}: {error}") from error


def _matches(matcher: _Matcher, name: str, ref_id: str) -> bool:
    from re import error, search

    match matcher.id, matcher.options:
        case "byName", str() as wanted:
            return name == wanted
        case "byFrameRefID", str() as wanted:
            return ref_id == wanted
        case "byRegexp", str() as pattern:
            try:
                return search(pattern.removeprefix("/").removesuffix("/"), name) is not None
            except error:
                return False
        case _:
            return False


def _row(title: str, panels: Sequence[PanelJson]) -> Row:
    top = min((panel.grid_pos.y for panel in panels), default=0)
    moved = (
        msgspec.structs.replace(panel, grid_pos=msgspec.structs.replace(panel.grid_pos, y=panel.grid_pos.y - top))
        for panel in panels
    )
    return Row(title, tuple(moved))


def _without_nulls(value: Any) -> Any:
    """Nulls stand for defaults: Grafana writes either."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(one) for one in value]
    return value
