"""One query of a panel."""

from __future__ import annotations

from typing import Any

import attr
from grafanalib import core

from dashboards.variables import LOKI, PROMETHEUS

__all__ = ["LogQuery", "Query", "buckets", "column", "line", "now"]


@attr.s(auto_attribs=True, kw_only=True)
class Query(core.Target):
    """A query to Prometheus. `instant` asks for the end of the time range alone."""

    exemplar: bool = False

    def to_json_data(self) -> dict[str, Any]:
        """Return its JSON, without the keys that other data sources have, and of what is yes or no only the yes."""
        return {
            "datasource": dict(PROMETHEUS),
            "editorMode": "code",
            "expr": self.expr,
            "format": self.format,
            "legendFormat": self.legendFormat,
            "refId": self.refId,
            "instant" if self.instant else "range": True,
            **({"exemplar": True} if self.exemplar else {}),
        }


@attr.s(auto_attribs=True, kw_only=True)
class LogQuery(core.Target):
    """A query to Loki."""

    def to_json_data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {
            "datasource": dict(LOKI),
            "editorMode": "code",
            "expr": self.expr,
            "queryType": "range",
            "refId": self.refId,
        }


def line(expr: str, legend: str, *, exemplar: bool = False) -> Query:
    """Return a query of series over time. `exemplar` shows single requests beside them."""
    return Query(expr=expr, legendFormat=legend, exemplar=exemplar)


def now(expr: str, legend: str) -> Query:
    """Return a query of the values at the end of the time range."""
    return Query(expr=expr, legendFormat=legend, instant=True)


def column(expr: str) -> Query:
    """Return a query whose labels are columns of a table."""
    return Query(expr=expr, legendFormat="", instant=True, format="table")


def buckets(expr: str) -> Query:
    """Return a query of a histogram's buckets, by `le` alone, with exemplars."""
    return Query(expr=expr, legendFormat="{{le}}", format="heatmap", exemplar=True)
