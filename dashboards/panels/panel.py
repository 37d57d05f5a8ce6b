"""What all panels have: a title, a unit, words on what good looks like and what to do, thresholds, colours, links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import attr
from grafanalib import core

from dashboards.colours import GOOD
from dashboards.links import DataLink
from dashboards.metrics import metrics_in
from dashboards.variables import PROMETHEUS

__all__ = ["BoardPanel", "Step", "by_regexp", "steps_from"]

_BY_NAME = "palette-classic-by-name"


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` up a value has this colour; the first step of a table has no value."""

    value: float | None
    colour: str


_NO_STEPS = (Step(None, GOOD),)


@attr.s(auto_attribs=True, kw_only=True)
class BoardPanel(core.Panel):
    """A panel. `what` it shows, what `good` looks like and what to do (`act`) become its description.

    `columns` and `lines` are its size in the grid. `colours` goes by the first word of a legend. `leads` go from a
    value to another board. `units` of single series go by the first word of their legend too.
    """

    kind: ClassVar[str] = ""

    unit: str
    what: str
    good: str
    act: str
    columns: int = 8
    lines: int = 8
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None
    steps: tuple[Step, ...] = ()
    colours: Mapping[str, str] = MappingProxyType({})
    leads: tuple[DataLink, ...] = ()
    words: Mapping[str, tuple[str, str]] = MappingProxyType({})
    no_value: str = ""
    units: Mapping[str, str] = MappingProxyType({})

    def to_json_data(self) -> dict[str, Any]:
        """Return its JSON; grafanalib's keys of older Grafanas fall away when the board is finished."""
        self.dataSource = dict(PROMETHEUS)
        for number, query in enumerate(self.targets):
            query.refId = chr(ord("A") + number)
        data: dict[str, Any] = self.panel_json({"type": self.kind, "options": self.options()})  # type: ignore[no-untyped-call]
        data["description"] = self.advice()
        data["fieldConfig"] = {"defaults": self.field(), "overrides": list(self.overrides())}
        return data

    def advice(self) -> str:
        """Return the description; it ends with the series that the panel reads."""
        named = dict.fromkeys(name for query in self.targets for name in metrics_in(query.expr))
        parts = [self.what, f"**Good:** {self.good}", f"**If not:** {self.act}"]
        if named:
            parts.append(f"Metric: {', '.join(f'`{name}`' for name in named)}")
        return "\n\n".join(parts)

    def field(self) -> dict[str, Any]:
        """Return how values are written and coloured."""
        return {
            "color": self.colour_mode(),
            "custom": self.custom() or None,
            "decimals": self.decimals,
            "links": [link.to_json_data() for link in self.leads] or None,
            "mappings": self._mappings() or None,
            "max": self.maximum,
            "min": self.minimum,
            "noValue": self.no_value or None,
            "thresholds": {
                "mode": "absolute",
                "steps": [{"color": step.colour, "value": step.value} for step in self.steps or _NO_STEPS],
            },
            "unit": self.unit,
        }

    def colour_mode(self) -> dict[str, Any]:
        """Return where colours come from: the thresholds where there are some, else the series' own names."""
        return {"mode": "thresholds" if self.steps else _BY_NAME}

    def overrides(self) -> Iterator[dict[str, Any]]:
        """Yield what differs for some series."""
        for meaning, colour in self.colours.items():
            yield by_regexp(f"/^{re.escape(meaning)}\\b/", color={"fixedColor": colour, "mode": "fixed"})
        for meaning, unit in self.units.items():
            yield by_regexp(f"/^{re.escape(meaning)}\\b/", unit=unit)

    def custom(self) -> dict[str, Any]:
        """Return what only this kind of panel has in its fields."""
        return {}

    def options(self) -> dict[str, Any]:
        """Return what only this kind of panel has."""
        return {}

    def _mappings(self) -> list[dict[str, Any]]:
        if not self.words:
            return []
        said = {
            value: {"color": colour, "index": number, "text": word}
            for number, (value, (word, colour)) in enumerate(self.words.items())
        }
        return [{"options": said, "type": "value"}]


def by_regexp(pattern: str, **properties: Any) -> dict[str, Any]:
    """Return an override for the series whose name matches; "__" in a property's name stands for a dot."""
    return {
        "matcher": {"id": "byRegexp", "options": pattern},
        "properties": [{"id": name.replace("__", "."), "value": value} for name, value in properties.items()],
    }


def steps_from(*bounds: tuple[float, str], base: str = GOOD) -> tuple[Step, ...]:
    """Return steps from a base colour up: ((0.9, WARN), (0.95, BAD))."""
    return (Step(None, base), *(Step(value, colour) for value, colour in bounds))
