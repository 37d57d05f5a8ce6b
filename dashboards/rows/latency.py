"""Where the time of a request goes."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.recorded.latency import mean_of
from dashboards.board import Row
from dashboards.colours import colours
from dashboards.panels import BoardPanel, Heatmap, TimeSeries
from dashboards.promql import mean, quantile, spread
from dashboards.query import buckets, line
from dashboards.scope import Scope

__all__ = ["latency_row", "phases_row"]

_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}


@dataclass(frozen=True, slots=True)
class _Latency:
    histogram: str
    title: str
    what: str
    good: str
    act: str
    slo: str = ""


_TTFT = _Latency(
    "llm_time_to_first_token_seconds",
    "Time to first token",
    "Arrival of a request to its first token: queue, then prefill.",
    "p95 under the target.",
    "See below which of queue and prefill it is.",
    "time_to_first_token",
)
_TPOT = _Latency(
    "llm_time_per_output_token_seconds",
    "Time per output token",
    "Each request's mean time a token; one observation a request.",
    "p95 under the target; 100 ms is ten tokens a second, faster than people read.",
    "Larger batches make it slower: lower the most sequences at once, or add replicas. If the batch did not grow: clocks.",
    "time_per_output_token",
)
_ITL = _Latency(
    "llm_inter_token_latency_seconds",
    "Inter-token latency",
    "Gap between two tokens; one observation a gap. Never to be mixed with time per output token.",
    "p99 within a few times p50.",
    "A p99 far above p50 is prefills of others that stop decoding: turn on chunked prefill or make its chunks smaller.",
)
_DURATION = _Latency(
    "llm_request_duration_seconds",
    "Request duration",
    "Arrival of a request to its last token.",
    "Moves with the number of generated tokens alone.",
    "If the lengths below did not change, look at queue, prefill and decode.",
)
_QUEUE = _Latency(
    "llm_request_queue_seconds",
    "Queue time",
    "Time a request waited to be scheduled.",
    "Near zero.",
    "With a free KV cache raise the most sequences at once; with a full one add replicas.",
)
_PREFILL = _Latency(
    "llm_request_prefill_seconds",
    "Prefill time",
    "Scheduled to the first token.",
    "Grows with prompt length alone.",
    "Look at prompt lengths and the prefix cache's hits; then at chunked prefill.",
)
_DECODE = _Latency(
    "llm_request_decode_seconds",
    "Decode time",
    "First to last token.",
    "Grows with the number of generated tokens alone.",
    "Look at time per output token, preemptions and the GPU's clocks.",
)


def latency_row(scope: Scope) -> Row:
    """Return quantiles beside the whole distribution, with exemplars."""
    panels: list[BoardPanel] = []
    for latency in (_TTFT, _TPOT, _ITL, _DURATION):
        panels += [_quantiles(scope, latency, columns=12), _heatmap(scope, latency)]
    return Row("Latency", tuple(panels))


def phases_row(scope: Scope) -> Row:
    """Return queue, prefill and decode, and how they add up."""
    parts = {"queue": _QUEUE, "prefill": _PREFILL, "decode": _DECODE}
    split = TimeSeries(
        title="Mean request: queue, prefill, decode",
        what="What the mean request spent its time on, stacked.",
        good="Mostly decode.",
        act="Queue: capacity. Prefill: prompts and the prefix cache. Decode: batch size, clocks, preemptions.",
        targets=[line(_mean(scope, part.histogram), f"{name} {scope.legend}") for name, part in parts.items()],
        unit="s",
        minimum=0,
        stacked=True,
        colours=colours(*parts),
        columns=6,
    )
    return Row("Queue, prefill, decode", (split, *(_quantiles(scope, part, columns=6) for part in parts.values())))


def _mean(scope: Scope, histogram: str) -> str:
    return scope.recorded_or(mean_of(histogram), mean(scope.select, histogram, scope.level))


def _quantiles(scope: Scope, latency: _Latency, columns: int) -> TimeSeries:
    targets = [
        line(
            quantile(q, scope.select, latency.histogram, scope.level), f"{name} {scope.legend}", exemplar=name == "p95"
        )
        for name, q in _QUANTILES.items()
    ]
    known = list(_QUANTILES)
    if latency.slo:
        target = scope.select("model:llm_slo_threshold:seconds", f'slo="{latency.slo}"', without=("pod",))
        targets.append(line(target, "target {{cluster}} {{namespace}} {{engine}} {{model}}"))
        known.append("target")
    return TimeSeries(
        title=latency.title,
        what=latency.what,
        good=latency.good,
        act=latency.act,
        targets=targets,
        unit="s",
        minimum=0,
        colours=colours(*known),
        columns=columns,
    )


def _heatmap(scope: Scope, latency: _Latency) -> Heatmap:
    return Heatmap(
        title=f"{latency.title}, all requests",
        what=f"{latency.what} Every request, by bucket; dots are single requests with their trace.",
        good="One band. Two bands are two kinds of requests, or a part of the replicas that is slower.",
        act="Open a dot's trace, or compare the replicas.",
        targets=[buckets(spread(scope.select, latency.histogram, ()))],
        unit="s",
        columns=12,
    )
