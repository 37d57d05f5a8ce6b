"""A panel's queries, asked: series over time, or values at its end, each with the name that the legend gives it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.preview.appearance import legend
from dashboards.preview.board_json import Field, PanelJson, Target, field_of
from dashboards.preview.prometheus import Source
from dashboards.preview.variables import Period, Scope

__all__ = ["Asker", "Result", "queries", "reduced"]

_METRIC = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{|\[)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MOST_NAMES = 3

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """One series of a panel. An instant query's has its one value, at the period's end."""

    name: str
    labels: Mapping[str, str]
    values: Values
    field: Field
    ref_id: str


@dataclass(frozen=True)
class Asker:
    """Asks a panel's queries of one Prometheus, over one period."""

    source: Source
    period: Period
    scope: Scope

    def results(self, panel: PanelJson) -> list[Result]:
        """Return the series of all of a panel's queries. Raises QueryError, PrometheusError, BoardError."""
        return [result for target in queries(panel) for result in self._of_target(panel, target)]

    def why_empty(self, panel: PanelJson) -> str:
        """Say why a panel's queries found nothing, as far as the series' names tell."""
        wanted = dict.fromkeys(name for target in queries(panel) for name in _metrics(self.scope.query(target.expr)))
        there = self.source.names(self.period)
        missing = [name for name in wanted if name not in there]
        if not missing:
            return "No data: the series are there, but none is left for these variables and this time."
        more = f" and {len(missing) - _MOST_NAMES} more" if len(missing) > _MOST_NAMES else ""
        found = f"No data: in this time, Prometheus has no {', no '.join(missing[:_MOST_NAMES])}{more}."
        is_recorded = any(":" in name for name in missing)
        return f"{found} Names with colons are recorded by rules: are they loaded?" if is_recorded else found

    def _of_target(self, panel: PanelJson, target: Target) -> list[Result]:
        expression = self.scope.query(target.expr)
        template = self.scope.words(target.legend_format)
        if target.instant:
            pairs = self.source.instant(expression, self.period.end)
            rows: list[tuple[Mapping[str, str], Values]] = [(labels, (value,)) for labels, value in pairs]
        else:
            rows = [(one.labels, one.values) for one in self.source.range(expression, self.period)]
        found = []
        for labels, values in rows:
            name = legend(template, labels)
            field = field_of(panel, name, target.ref_id)
            shown = self.scope.words(field.display_name)
            found.append(Result(legend(shown, labels) if shown else name, labels, values, field, target.ref_id))
        return found


def queries(panel: PanelJson) -> list[Target]:
    """Return the queries that a Prometheus can answer."""
    return [
        target
        for target in panel.targets
        if target.expr and not target.hide and panel.datasource_type(target) in ("", "prometheus")
    ]


def reduced(values: Values, calculation: str) -> float | None:
    """Return one value for many, as a stat panel's `calcs` names it; the last one for a name that is not known."""
    there = [value for value in values if value is not None and not math.isnan(value)]
    if not there:
        return None
    match calculation:
        case "mean":
            return math.fsum(there) / len(there)
        case "max":
            return max(there)
        case "min":
            return min(there)
        case "sum":
            return math.fsum(there)
        case "first" | "firstNotNull":
            return there[0]
        case "last":
            return values[-1]
        case "count":
            return float(len(there))
        case "range":
            return max(there) - min(there)
        case _:
            return there[-1]


def _metrics(expression: str) -> list[str]:
    """The names of the series in a query: what a selector or a window follows."""
    return [match[1] for match in _METRIC.finditer(_STRING.sub('""', expression))]
