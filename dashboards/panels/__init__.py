"""Thin panels: grafanalib's container with the JSON that Grafana writes today."""

from __future__ import annotations

from dashboards.panels.bars import BarGauge
from dashboards.panels.heatmap import Heatmap
from dashboards.panels.logs import Logs
from dashboards.panels.panel import BoardPanel, Step, steps_from
from dashboards.panels.stat import Stat
from dashboards.panels.table import Column, Label, Table
from dashboards.panels.timeline import StateTimeline
from dashboards.panels.timeseries import TimeSeries

__all__ = [
    "BarGauge",
    "BoardPanel",
    "Column",
    "Heatmap",
    "Label",
    "Logs",
    "Stat",
    "StateTimeline",
    "Step",
    "Table",
    "TimeSeries",
    "steps_from",
]
