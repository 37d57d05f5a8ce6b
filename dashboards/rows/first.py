"""What a person looks at first: requests, time to first token, tokens, KV cache, cost."""

from __future__ import annotations

from catalog.recorded.latency import quantile_of
from catalog.recorded.levels import POD, by
from dashboards.board import Row
from dashboards.colours import BAD, WARN, colours
from dashboards.links import DataLink
from dashboards.panels import TimeSeries, steps_from
from dashboards.promql import quantile, ratio, sum_rate
from dashboards.query import line
from dashboards.scope import Scope

__all__ = ["first_row"]

_TTFT = "llm_time_to_first_token_seconds"
_LINES = 7


def first_row(scope: Scope, *leads: DataLink, every_quantile: bool = True) -> Row:
    """Return the row of the five figures; `leads` go from a series to another board."""
    panels = (
        _requests(scope),
        _time_to_first_token(scope, every_quantile=every_quantile),
        _tokens(scope),
        _kv_cache(scope),
        _cost(scope),
    )
    for panel in panels:
        panel.lines, panel.leads = _LINES, leads
    return Row("At a glance", panels)


def _requests(scope: Scope) -> TimeSeries:
    finished = scope.recorded_or("model:llm_requests:rate5m", sum_rate(scope.select("llm_requests_total"), scope.level))
    return TimeSeries(
        title="Requests per second",
        what="Requests that finished, for any reason.",
        good="Follows demand, with the rhythm of the day.",
        act="A fall with requests waiting is a lack of capacity; one without them is demand, or a gateway before it.",
        targets=[line(f"sum {by(scope.level)} ({finished})", scope.legend)],
        unit="reqps",
        minimum=0,
        columns=5,
    )


def _time_to_first_token(scope: Scope, *, every_quantile: bool) -> TimeSeries:
    if every_quantile:
        targets = [
            line(quantile(q, scope.select, _TTFT, scope.level), f"{name} {scope.legend}", exemplar=name == "p95")
            for name, q in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99"))
        ]
    else:
        targets = [line(scope.select(quantile_of(_TTFT, "p95")), scope.legend)]
    return TimeSeries(
        title="Time to first token" if every_quantile else "Time to first token, p95",
        what="Arrival of a request to its first token.",
        good="p95 under the target of the SLO board.",
        act="Split it: queue time asks for capacity, prefill time for shorter prompts, chunked prefill or a faster GPU.",
        targets=targets,
        unit="s",
        minimum=0,
        columns=5,
        colours=colours("p50", "p95", "p99") if every_quantile else {},
    )


def _tokens(scope: Scope) -> TimeSeries:
    made = sum_rate(scope.select("llm_generation_tokens_total"), scope.level)
    return TimeSeries(
        title="Generated tokens per second",
        what="Tokens generated, all requests together.",
        good="Rises with the number of running requests until memory bandwidth is used up.",
        act="Flat with requests waiting: the batch is full. Falling with the batch full: look at preemptions and clocks.",
        targets=[line(scope.recorded_or("model:llm_generation_tokens:rate5m", made), scope.legend)],
        unit="count:tok/s",
        minimum=0,
        columns=5,
    )


def _kv_cache(scope: Scope) -> TimeSeries:
    fullest = f"max {by(scope.level)} ({scope.select('llm_kv_cache_usage_ratio')})"
    return TimeSeries(
        title="KV cache in use" + (", fullest replica" if scope.is_model else ""),
        what="Share of the KV cache in use.",
        good="Any value, also near 100 %, as long as nothing waits and nothing is preempted.",
        act="Full with requests waiting: add replicas, or make room by a shorter context or a quantised cache.",
        targets=[line(scope.recorded_or("model:llm_kv_cache_usage:max", fullest), scope.legend)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=steps_from((0.9, WARN), (0.97, BAD)),
        columns=5,
    )


def _cost(scope: Scope) -> TimeSeries:
    legend = scope.legend
    expr = scope.select("model:llm_cost_dollars_per_million_tokens")
    if not scope.is_model:
        tokens = f"sum {by(POD)} ({scope.select('replica:llm_generation_tokens:rate5m')}) * 3600 / 1e6"
        price = f"sum {by(POD)} ({scope.pod('pod:inferwatch_cost:dollars_per_hour')})"
        expr, legend = ratio(price, tokens), "{{cluster}} {{pod}}"
    return TimeSeries(
        title="Cost per million tokens",
        what="Price of the GPUs held, for each million tokens generated.",
        good="Steady by day. It rises when GPUs are held for little traffic.",
        act="Scale down at night, fill the batch, or serve small models on a part of a GPU.",
        targets=[line(expr, legend)],
        unit="currencyUSD",
        decimals=2,
        minimum=0,
        columns=4,
    )
