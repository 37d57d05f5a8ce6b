"""The charts of the HTML report: serving over time, each drawn only where its figures are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from catalog.gpu import GPU_FIELDS, is_blank
from charts.blocks import Cell, Moment, Panel, Series, Span, Threshold, TimeSeries
from troubleshoot.curves import Shown, Values, levels, means, per_second, quantiles, rates
from troubleshoot.evidence import KV_FULL_RATIO
from troubleshoot.findings import Family
from troubleshoot.metrics.timeline import Series as Points
from troubleshoot.redact import quote

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#9467BD"
_MIB = 2.0**20
_MOST_GPUS = 6
_HEIGHT, _WIDTH = 7, 12


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with the name by which a kind of trouble asks for it first."""

    key: str
    title: str
    series: tuple[Series, ...]
    unit: str = ""
    stacked: bool = False
    maximum: float | None = None
    thresholds: tuple[Threshold, ...] = ()
    notes: tuple[str, ...] = ()


FIRST: dict[Family | None, tuple[str, ...]] = {
    "hang": ("steps", "tokens", "queue"),
    "throughput": ("preemptions", "kv", "queue", "tokens"),
    "ttft": ("ttft", "queue", "kv"),
    "oom": ("gpu_memory", "kv"),
    "crash": ("requests", "queue"),
}
"""The charts that show a family's kind of trouble best; the others follow in their own order."""


def cells(shown: Shown, marks: Sequence[Moment], span: Span | None, family: Family | None) -> tuple[Cell, ...]:
    """Every chart that the figures allow, two a row. `marks` and `span` are in the clock of the moments."""
    first = FIRST.get(family, ())
    charts = [chart for chart in charts_of(shown) if any(_has_values(series) for series in chart.series)]
    charts.sort(key=lambda chart: first.index(chart.key) if chart.key in first else len(first))
    origin = shown.moments[0].start_seconds if shown.source == "log" else 0.0
    times = tuple(time - origin for time in shown.times)
    moments = tuple(Moment(mark.time - origin, mark.text, mark.colour) for mark in marks)
    spans = (Span(span.start - origin, span.end - origin, span.colour),) if span else ()
    return tuple(
        Cell(
            Panel(
                TimeSeries(
                    times,
                    tuple(series for series in chart.series if _has_values(series)),
                    chart.unit,
                    chart.thresholds,
                    moments,
                    stacked=chart.stacked,
                    minimum=0.0,
                    maximum=chart.maximum,
                    spans=spans,
                    elapsed=shown.source == "log",
                ),
                chart.title,
                notes=chart.notes,
            ),
            # An odd chart at the end has the row for itself.
            _WIDTH if number < len(charts) or number % 2 == 0 else 2 * _WIDTH,
            _HEIGHT,
        )
        for number, chart in enumerate(charts, 1)
    )


def _has_values(series: Series) -> bool:
    return any(value is not None for value in series.values)


def charts_of(shown: Shown) -> Iterator[Chart]:
    """The charts in their usual order: what users feel, what the engine does, what the GPU does."""
    yield from _first_token(shown)
    yield from _serving(shown)
    yield from _requests(shown)
    yield from _gpu(shown)


def _first_token(shown: Shown) -> Iterator[Chart]:
    timeline, moments = shown.timeline, shown.moments
    if timeline is None:
        return
    queue = means(timeline, "llm_request_queue_seconds", moments)
    prefill = means(timeline, "llm_request_prefill_seconds", moments)
    first = "llm_time_to_first_token_seconds"
    is_split = any(value is not None for value in queue) and any(value is not None for value in prefill)
    mean = Series("mean", means(timeline, first, moments), GREEN, width=2)
    p95 = Series("p95 of both", quantiles(timeline, first, 0.95, moments), RED, draw="points", apart=True)
    measured = (p95,) if is_split else (mean, replace(p95, name="p95"))
    parts = (
        Series("queue, mean", queue, ORANGE, draw="bars" if is_split else "line"),
        Series("prefill, mean", prefill, BLUE, draw="bars" if is_split else "line"),
    )
    yield Chart(
        "ttft",
        "Time to first token: queue and prefill" if is_split else "Time to first token",
        (*parts, *measured),
        "s",
        stacked=is_split,
        notes=("An engine may count queue and prefill when a request ends, the first token when it comes.",)
        if is_split
        else (),
    )


def _serving(shown: Shown) -> Iterator[Chart]:
    moments = shown.moments
    running = tuple(moment.running for moment in moments)
    waiting = tuple(moment.waiting for moment in moments)
    yield Chart(
        "queue",
        "Requests running and waiting",
        (Series("waiting", waiting, ORANGE, fill=0.15, width=2), Series("running", running, BLUE, width=2)),
        "short",
    )
    usage = tuple(moment.kv_usage_ratio for moment in moments)
    yield Chart(
        "kv",
        "KV cache use",
        (Series("used", usage, BLUE, fill=0.15, width=2),),
        "percentunit",
        maximum=1.05,
        thresholds=(Threshold(KV_FULL_RATIO, RED, "full"),),
    )
    generated = tuple(moment.generation_rate for moment in moments)
    prompt = tuple(moment.prompt_rate for moment in moments)
    yield Chart(
        "tokens",
        "Tokens per second",
        (Series("generated", generated, GREEN, width=2), Series("prompt", prompt, PURPLE)),
        "count:tok/s",
    )
    preempted = per_second([moment.preemptions for moment in moments], moments)
    if any(preempted):
        yield Chart(
            "preemptions", "Preemptions per second", (Series("preemptions", preempted, RED, draw="bars"),), "cps"
        )
    steps = per_second([moment.steps for moment in moments], moments)
    yield Chart("steps", "Engine steps per second", (Series("steps", steps, BLUE, fill=0.15, width=2),), "cps")


def _requests(shown: Shown) -> Iterator[Chart]:
    timeline, moments = shown.timeline, shown.moments
    if timeline is None:
        return
    reasons = sorted({series.labels.get("reason", "") for series in timeline.all("llm_requests_total")})
    ended = [
        Series(_named(reason, "ended"), rates(timeline, "llm_requests_total", moments, **_match(reason)))
        for reason in reasons
    ]
    refused = Series("refused", rates(timeline, "llm_requests_rejected_total", moments), RED)
    told = tuple(series for series in (*ended, refused) if any(series.values))
    yield Chart("requests", "Requests ended per second, by reason", told, "reqps")


def _match(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _gpu(shown: Shown) -> Iterator[Chart]:
    activity = tuple(_of_gpus(shown, "DCGM_FI_DEV_GPU_UTIL", "kernel resident", 0.01))
    memory_bus = tuple(_of_gpus(shown, "DCGM_FI_PROF_DRAM_ACTIVE", "memory bandwidth"))
    tensor = tuple(_of_gpus(shown, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "tensor cores"))
    yield Chart(
        "gpu_activity",
        "GPU activity",
        (*activity, *memory_bus, *tensor),
        "percentunit",
        maximum=1.05,
        notes=("A resident kernel is not a busy GPU: one serial client keeps this at 100 %.",) if activity else (),
    )
    clocks = tuple(_of_gpus(shown, "DCGM_FI_DEV_SM_CLOCK", "SM clock"))
    yield Chart("gpu_clock", "GPU clock", clocks, "mhertz")
    yield Chart("gpu_power", "GPU power", tuple(_of_gpus(shown, "DCGM_FI_DEV_POWER_USAGE", "power")), "watt")
    used = tuple(_of_gpus(shown, "DCGM_FI_DEV_FB_USED", "used", _MIB))
    free = tuple(_of_gpus(shown, "DCGM_FI_DEV_FB_FREE", "free", _MIB))
    total = max((sum(pair) for one, rest in zip(used, free, strict=False) for pair in _both(one, rest)), default=None)
    yield Chart("gpu_memory", "GPU memory used", used, "bytes", maximum=total)


def _both(one: Series, other: Series) -> Iterator[tuple[float, float]]:
    """The values of two lines at the times at which both have one."""
    for pair in zip(one.values, other.values, strict=True):
        if pair[0] is not None and pair[1] is not None:
            yield pair[0], pair[1]


def _of_gpus(shown: Shown, field: str, title: str, scale: float = 1.0) -> Iterator[Series]:
    """A line for each GPU; of many, their lowest, mean and highest."""
    if shown.timeline is None:
        return
    name = next((name for name in GPU_FIELDS[field].names if shown.timeline.has(name)), field)
    rows = {
        _gpu_name(series, number): _scaled(levels(series, shown.moments), scale)
        for number, series in enumerate(shown.timeline.all(name))
    }
    if len(rows) > _MOST_GPUS:
        columns = [[value for value in column if value is not None] for column in zip(*rows.values(), strict=True)]
        rows = {
            f"lowest of {len(rows)} GPUs": tuple(min(column, default=None) for column in columns),
            "mean": tuple(sum(column) / len(column) if column else None for column in columns),
            "highest": tuple(max(column, default=None) for column in columns),
        }
    for row, values in rows.items():
        yield Series(title if len(rows) == 1 else f"{title}, {row}", values, width=2)


def _scaled(values: Values, scale: float) -> Values:
    return tuple(None if value is None or is_blank(value) else value * scale for value in values)


def _gpu_name(series: Points, number: int) -> str:
    host = series.labels.get("Hostname") or series.labels.get("hostname") or ""
    instance = series.labels.get("GPU_I_ID", "")
    parts = (f"GPU {series.labels.get('gpu', number)}", instance and f"instance {instance}", host)
    return _named(" ".join(part for part in parts if part), f"GPU {number}")


def _named(label: str, otherwise: str) -> str:
    """A label's value as a name: clean, without secrets, short."""
    return quote(label, 60) or otherwise
