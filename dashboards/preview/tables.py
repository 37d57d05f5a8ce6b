"""Table panels: queries side by side, one row for each set of labels, columns renamed, hidden and ordered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from charts.blocks import Column, Table
from dashboards.preview.appearance import mapped, state_colour
from dashboards.preview.board_json import PanelJson, field_of
from dashboards.preview.results import Result, queries, reduced

__all__ = ["table", "unknown_transformations"]

_KNOWN = frozenset(
    {"merge", "organize", "joinByField", "sortBy", "labelsToFields", "filterFieldsByName", "seriesToColumns"}
)

Cell = str | float | None
Record = dict[str, Cell]


def unknown_transformations(panel: PanelJson) -> list[str]:
    """Return the transformations that the preview leaves out."""
    return [one.id for one in panel.transformations if one.id not in _KNOWN]


def table(panel: PanelJson, results: Sequence[Result]) -> Table:
    """Return a table panel's table. Raises BoardError for a field that cannot be read."""
    asked = dict.fromkeys([*(target.ref_id for target in queries(panel)), *(result.ref_id for result in results)])
    records = _records(results, {ref: "Value" if len(asked) == 1 else f"Value #{ref}" for ref in asked}, panel)
    names = list(dict.fromkeys(name for record in records for name in record))
    renames: dict[str, str] = {}
    for transformation in panel.transformations:
        options = transformation.options
        match transformation.id:
            case "organize":
                names = _organised(names, options)
                renames |= {str(old): str(new) for old, new in options.get("renameByName", {}).items() if new}
            case "filterFieldsByName":
                kept = options.get("include", {}).get("names", names)
                names = [name for name in names if name in kept]
            case "sortBy":
                records = _sorted(records, options.get("sort", []), {new: old for old, new in renames.items()})
    order = panel.options.get("sortBy")
    records = _sorted(records, order if isinstance(order, list) else [], {new: old for old, new in renames.items()})
    return _drawn(panel, records, names, renames)


def _records(results: Iterable[Result], columns: Mapping[str, str], panel: PanelJson) -> list[Record]:
    """Rows by their labels, or, where a join names a field, by that label alone."""
    joins = [
        str(one.options.get("byField", ""))
        for one in panel.transformations
        if one.id in ("joinByField", "seriesToColumns")
    ]
    key_label = joins[0] if joins else ""
    rows: dict[tuple[tuple[str, str], ...], Record] = {}
    for result in results:
        labels = {name: value for name, value in sorted(result.labels.items()) if name != "__name__"}
        key = ((key_label, labels[key_label]),) if key_label in labels else tuple(labels.items())
        record = rows.setdefault(key, {})
        for name, value in labels.items():
            record.setdefault(name, value)
        record[columns[result.ref_id]] = reduced(result.values, "lastNotNull")
    return list(rows.values())


def _organised(names: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    hidden = {name for name, is_hidden in options.get("excludeByName", {}).items() if is_hidden}
    places = options.get("indexByName", {})
    kept = [name for name in names if name not in hidden]
    return sorted(kept, key=lambda name: places.get(name, len(kept) + len(places)))


def _sorted(records: list[Record], order: Sequence[Any], originals: Mapping[str, str]) -> list[Record]:
    for one in order[:1]:
        if not isinstance(one, Mapping):
            continue
        shown = str(one.get("field", one.get("displayName", "")))
        name = originals.get(shown, shown)
        there = [record for record in records if record.get(name) is not None]
        rest = [record for record in records if record.get(name) is None]
        there.sort(key=lambda record: _sort_key(record[name]), reverse=bool(one.get("desc")))
        return [*there, *rest]
    return records


def _sort_key(cell: Cell) -> tuple[int, float, str]:
    return (1, 0.0, cell) if isinstance(cell, str) else (0, cell or 0.0, "")


def _drawn(panel: PanelJson, records: Sequence[Record], names: Sequence[str], renames: Mapping[str, str]) -> Table:
    shown = [renames.get(name, name) for name in names]
    fields = [field_of(panel, title, name.removeprefix("Value #")) for title, name in zip(shown, names, strict=True)]
    rows: list[tuple[Cell, ...]] = []
    colours: dict[tuple[int, int], str] = {}
    for i, record in enumerate(records):
        cells: list[Cell] = []
        for j, (name, field) in enumerate(zip(names, fields, strict=True)):
            value = record.get(name)
            if isinstance(value, float):
                colour = state_colour(field, value) if len(field.thresholds.steps) > 1 or field.mappings else ""
                if colour:
                    colours[i, j] = colour
                cells.append(mapped(field, value) or value)
            else:
                cells.append(value)
        rows.append(tuple(cells))
    columns = tuple(
        Column(field.display_name or title, field.unit, field.decimals)
        for title, field in zip(shown, fields, strict=True)
    )
    return Table(columns, tuple(rows), colours)
