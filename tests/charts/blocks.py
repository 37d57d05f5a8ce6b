"""Blocks that the tests of charts draw."""

from __future__ import annotations

from math import inf

from charts.blocks import (
    BarGauge,
    Block,
    Column,
    Heatmap,
    Moment,
    Notice,
    Segment,
    Series,
    Stat,
    StateTimeline,
    Table,
    Text,
    Threshold,
    TimeSeries,
    Value,
)

HOSTILE = "</script><script>window.struck=1</script><img src=x onerror='window.struck=1'>\"'&lt; %{y} <b>b</b> {{x}}"
TIMES = (100.0, 115.0, 130.0, 145.0)


def one_of_each(name: str) -> dict[str, Block]:
    """Every kind of block, with a name from data wherever one can stand."""
    series = (Series(name, (0.1, 0.2, None, 0.4)), Series("p95", (0.5, 0.6, 0.7, 0.8), colour="#E69F00"))
    marks = (Moment(115.0, name),)
    return {
        "time series": TimeSeries(TIMES, series, "s", (Threshold(0.3, "#D55E00", name),), marks),
        "heatmap": Heatmap(TIMES, (0.1, 1.0, inf), ((1.0, 2.0, 3.0, 0.0),) * 3, "s", moments=marks),
        "stat": Stat((Value(0.93, name, "percentunit", trend=(0.1, 0.5, 0.9)), Value(None, text=name))),
        "bar gauge": BarGauge((Value(0.5, name, "percentunit"),), maximum=1.0),
        "table": Table((Column(name), Column("TTFT", "s")), ((name, 0.25), ("b", None)), {(0, 1): "#D55E00"}),
        "state timeline": StateTimeline(100.0, 145.0, ((name, (Segment(100.0, 130.0, name),)),)),
        "plain text": Text(name),
        "code": Text(name, "code"),
        "markdown": Text(name, "markdown"),
        "notice": Notice(name),
    }
