"""The series that recording rules make, `level:metric:operation`: rules, alerts and boards spell them from here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from catalog.recorded import cost, latency, saturation, slo, traffic
from catalog.recorded.levels import RecordedSeries

__all__ = ["RECORDED", "RecordedSeries"]

RECORDED: Mapping[str, RecordedSeries] = MappingProxyType(
    {
        series.name: series
        for table in (traffic.SERIES, latency.SERIES, saturation.SERIES, slo.SERIES, cost.SERIES)
        for series in table
    }
)
"""Recorded series by name."""
