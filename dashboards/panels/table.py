"""Tables: a row for each set of labels, a column a query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import attr

from dashboards.links import DataLink
from dashboards.panels.panel import BoardPanel, Step
from dashboards.query import column

__all__ = ["Column", "Label", "Table"]


@dataclass(frozen=True, slots=True)
class Label:
    """A label as a column; `leads` go from its cells to other boards."""

    name: str
    title: str
    leads: tuple[DataLink, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A query as a column. `bar` draws values between 0 and `maximum` as bars; steps colour the text."""

    title: str
    expr: str
    unit: str
    decimals: int | None = None
    maximum: float | None = None
    steps: tuple[Step, ...] = ()
    bar: bool = False


@attr.s(auto_attribs=True, kw_only=True)
class Table(BoardPanel):
    """Labels, then values, as they are at the end of the time range. All queries keep exactly these labels.

    `sort` is the title of the column to sort by, largest first.
    """

    kind: ClassVar[str] = "table"

    labels: tuple[Label, ...]
    values: tuple[Column, ...]
    sort: str = ""
    unit: str = "string"
    columns: int = 24

    def to_json_data(self) -> dict[str, Any]:
        """Return its JSON, with a query a column and the transformations that put them side by side."""
        self.targets = [column(value.expr) for value in self.values]
        order = [*(label.name for label in self.labels), *self._value_names()]
        titles = [*(label.title for label in self.labels), *(value.title for value in self.values)]
        self.transformations = [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "includeByName": {},
                    "indexByName": {name: number for number, name in enumerate(order)},
                    "renameByName": dict(zip(order, titles, strict=True)),
                },
            },
        ]
        return super().to_json_data()

    def options(self) -> dict[str, Any]:
        """Return header, footer and order."""
        return {
            "cellHeight": "sm",
            "frameIndex": 0,
            "showHeader": True,
            "sortBy": [{"desc": True, "displayName": self.sort}] if self.sort else [],
        }

    def colour_mode(self) -> dict[str, Any]:
        """Columns have colours of their own."""
        return {"mode": "thresholds"}

    def custom(self) -> dict[str, Any]:
        """Return how cells are drawn."""
        return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True, "inspect": False}

    def overrides(self) -> Iterator[dict[str, Any]]:
        """Yield units, colours and links of columns."""
        for label in self.labels:
            if label.leads:
                yield _of_column(label.title, links=[link.to_json_data() for link in label.leads])
        for value in self.values:
            yield _of_column(value.title, **dict(_value_properties(value)))

    def _value_names(self) -> list[str]:
        """Grafana numbers value columns by their query, but not the only one."""
        if len(self.values) == 1:
            return ["Value"]
        return [f"Value #{chr(ord('A') + number)}" for number in range(len(self.values))]


def _value_properties(value: Column) -> Iterator[tuple[str, Any]]:
    yield "unit", value.unit
    if value.decimals is not None:
        yield "decimals", value.decimals
    if value.steps:
        yield (
            "thresholds",
            {"mode": "absolute", "steps": [{"color": step.colour, "value": step.value} for step in value.steps]},
        )
        yield "color", {"mode": "thresholds"}
    if value.bar:
        yield "min", 0
        yield "max", 1 if value.maximum is None else value.maximum
        yield "custom.cellOptions", {"mode": "basic", "type": "gauge", "valueDisplayMode": "text"}
    elif value.steps:
        yield "custom.cellOptions", {"type": "color-text"}


def _of_column(title: str, **properties: Any) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": title},
        "properties": [{"id": name, "value": value} for name, value in properties.items()],
    }
