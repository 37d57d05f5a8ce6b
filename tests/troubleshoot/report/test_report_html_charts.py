"""Which charts the figures allow, and what their lines are."""

from __future__ import annotations

import pytest

from charts.blocks import Moment as Line
from charts.blocks import Span, TimeSeries
from troubleshoot.curves import Shown
from troubleshoot.metrics.timeline import Timeline
from troubleshoot.moments import Moment
from troubleshoot.report.html_charts import Chart, cells, charts_of

MOMENTS = tuple(Moment(1000.0 + 2 * n, 1002.0 + 2 * n, 4.0, 0.0, 0.5, 100.0, 50.0, 0.0, 30.0) for n in range(5))


def gpus(*labels: dict[str, str], field: str = "DCGM_FI_DEV_FB_USED") -> Timeline:
    """A gauge of each GPU that is read at every moment's end: 100, 200, ..."""
    timeline = Timeline()
    for number, found in enumerate(labels, 1):
        for moment in MOMENTS:
            timeline.add(field, found, moment.end_seconds, 100.0 * number)
    return timeline


def chart(key: str, timeline: Timeline | None, moments: tuple[Moment, ...] = MOMENTS) -> Chart:
    shown = Shown("metrics" if timeline else "log", moments, moments, None, timeline)
    return next(found for found in charts_of(shown) if found.key == key)


def test_one_gpu_needs_no_name() -> None:
    (line,) = chart("gpu_memory", gpus({"gpu": "0"})).series
    assert (line.name, line.values) == ("used", (100.0 * 2**20,) * 5)


def test_several_gpus_and_instances_are_told_apart() -> None:
    timeline = gpus({"gpu": "0", "GPU_I_ID": "7"}, {"gpu": "1", "Hostname": "node-a"})
    assert [line.name for line in chart("gpu_memory", timeline).series] == [
        "used, GPU 0 instance 7",
        "used, GPU 1 node-a",
    ]


def test_of_many_gpus_the_lowest_the_mean_and_the_highest_are_drawn() -> None:
    lines = chart("gpu_clock", gpus(*({"gpu": str(n)} for n in range(8)), field="DCGM_FI_DEV_SM_CLOCK")).series
    assert {line.name: line.values[0] for line in lines} == {
        "SM clock, lowest of 8 GPUs": 100.0,
        "SM clock, mean": 450.0,
        "SM clock, highest": 800.0,
    }


@pytest.mark.parametrize("field", ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_UTIL_RATIO"])
def test_a_gpus_series_are_known_by_each_of_their_names(field: str) -> None:
    (line,) = chart("gpu_activity", gpus({"gpu": "0"}, field=field)).series
    assert line.values == (1.0,) * 5


def test_what_a_gpu_does_not_measure_is_a_gap() -> None:
    timeline = Timeline()
    for moment in MOMENTS:
        timeline.add("DCGM_FI_DEV_FB_USED", {"gpu": "0"}, moment.end_seconds, 9223372036854775794.0)
    assert [line.values for line in chart("gpu_memory", timeline).series] == [(None,) * 5]


def test_memory_is_drawn_up_to_what_the_card_has() -> None:
    timeline = gpus({"gpu": "0"})
    for moment in MOMENTS:
        timeline.add("DCGM_FI_DEV_FB_FREE", {"gpu": "0"}, moment.end_seconds, 300.0)
    assert chart("gpu_memory", timeline).maximum == 400.0 * 2**20


def test_requests_are_told_apart_by_how_they_ended() -> None:
    timeline = Timeline()
    for number, moment in enumerate(MOMENTS):
        for reason, each in (("stop", 4.0), ("abort", 2.0), ("error", 0.0)):
            timeline.add("llm_requests_total", {"reason": reason}, moment.end_seconds, each * number)
        timeline.add("llm_requests_rejected_total", {}, moment.end_seconds, 6.0 * number)
    lines = chart("requests", timeline).series
    assert {line.name: line.values[-1] for line in lines} == {"abort": 1.0, "stop": 2.0, "refused": 3.0}


def test_a_log_has_the_charts_of_its_statistics_lines_alone() -> None:
    shown = Shown("log", MOMENTS, MOMENTS)
    assert [found.key for found in charts_of(shown) if any(any(line.values) for line in found.series)] == [
        "queue",
        "kv",
        "tokens",
        "steps",
    ]


def test_times_of_a_log_count_from_its_first_moment() -> None:
    drawn = cells(Shown("log", MOMENTS, MOMENTS), [Line(1004.0, "x")], Span(1002.0, 1006.0), None)
    block = drawn[0].panel.block
    assert isinstance(block, TimeSeries)
    assert (block.times, block.elapsed) == ((2.0, 4.0, 6.0, 8.0, 10.0), True)
    assert (block.moments[0].time, block.spans[0].start, block.spans[0].end) == (4.0, 2.0, 6.0)


def test_an_odd_chart_at_the_end_has_the_row_for_itself() -> None:
    timeline = gpus({"gpu": "0"})
    widths = [cell.width for cell in cells(Shown("metrics", MOMENTS, MOMENTS, None, timeline), [], None, "oom")]
    assert widths == [12, 12, 12, 12, 24]
