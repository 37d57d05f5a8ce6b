"""Series that are merged of several lines, or converted: their values gathered, then written."""

from __future__ import annotations

from catalog.translate import Part, gather, merged
from exporter.engines.layout import Merge, Series
from exporter.engines.resolver import Resolver
from exporter.exposition import Family, number_text

__all__ = ["Parts", "gather_value", "merged_lines"]

Parts = dict[Series, dict[Part, float]]
"""Of each series, the values that landed on it in one scrape."""


def gather_value(parts: Parts, merge: Merge, raw: float, resolver: Resolver) -> None:
    """Put one raw value among the parts of the series that it feeds."""
    for series, route in merge.targets:
        value = route.value(raw)
        if value is not None and route.factor is not None:
            value = resolver.product(route, value)
        if value is not None:
            gather(parts.setdefault(series, {}), route, value)


def merged_lines(parts: Parts, place_text: bytes) -> dict[Family, bytes]:
    """Return the lines of these series, by family."""
    lines: dict[Family, bytes] = {}
    for series, found in parts.items():
        line = b"%b%b%b\n" % (series.text, place_text, number_text(merged(series.name, found)).encode())
        lines[series.family] = lines.get(series.family, b"") + line
    return lines
