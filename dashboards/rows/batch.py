"""How full the engine is: its batch, its cache, what had to make room."""

from __future__ import annotations

from catalog.recorded.levels import by
from dashboards.board import Row
from dashboards.colours import BAD, WARN, colours
from dashboards.panels import BoardPanel, TimeSeries, steps_from
from dashboards.promql import mean, ratio, sum_rate
from dashboards.query import line
from dashboards.scope import Scope

__all__ = ["batch_row", "cache_row"]


def batch_row(scope: Scope) -> Row:
    """Return running and waiting requests, engine steps, and what fills them."""
    panels = (_running(scope), _waiting_reasons(scope), _steps(scope), _step_tokens(scope))
    return Row("Batch and queue", (*panels, _step_duration(scope), _slots(scope)))


def cache_row(scope: Scope) -> Row:
    """Return the KV cache, the prefix cache and preemptions."""
    return Row("KV cache", (_usage(scope), _cached(scope), _preemptions(scope), _capacity(scope)))


def _running(scope: Scope) -> BoardPanel:
    def summed(state: str) -> str:
        series = f"sum {by(scope.level)} ({scope.select(f'llm_requests_{state}')})"
        if state in {"running", "waiting"}:
            return scope.recorded_or(f"model:llm_requests_{state}:sum", series)
        return series

    states = ("running", "waiting", "swapped")
    limit = f"sum {by(scope.level)} ({scope.select('llm_requests_running_limit')})"
    return TimeSeries(
        title="Running and waiting requests",
        what="Requests in the running batch, in the queue, and moved out of GPU memory; the dashed line is the engine's "
        "own limit, where it tells one.",
        good="Waiting near zero.",
        act="Waiting with running at a constant and a free KV cache is a cap on sequences; with a full cache add replicas.",
        targets=[
            *(line(summed(state), f"{state} {scope.legend}") for state in states),
            line(limit, f"limit {scope.legend}"),
        ],
        unit="short",
        minimum=0,
        colours=colours(*states, "limit"),
    )


def _waiting_reasons(scope: Scope) -> BoardPanel:
    level = (*scope.level, "reason")
    return TimeSeries(
        title="Waiting requests by reason",
        what="capacity: there is no room. deferred: they wait for something else, such as an adapter or a remote cache.",
        good="Neither for longer than a burst.",
        act="capacity: add replicas or cache. deferred: look at what the requests wait for in the engine's log.",
        targets=[
            line(
                f"sum {by(level)} ({scope.select('llm_requests_waiting_by_reason')})", f"{{{{reason}}}} {scope.legend}"
            )
        ],
        unit="short",
        minimum=0,
        stacked=True,
        colours=colours("capacity", "deferred"),
    )


def _steps(scope: Scope) -> BoardPanel:
    return TimeSeries(
        title="Engine steps per second",
        what="Forward passes of the engine.",
        good="Above zero whenever a request runs.",
        act="Zero with requests running or waiting: the engine hangs, whatever its health check says; restart it.",
        targets=[line(sum_rate(scope.select("llm_engine_steps_total"), scope.level), scope.legend)],
        unit="ops",
        minimum=0,
    )


def _step_tokens(scope: Scope) -> BoardPanel:
    tokens = line(mean(scope.select, "llm_step_tokens", scope.level), scope.legend)
    return TimeSeries(
        title="Tokens per engine step",
        what="Mean tokens scheduled in a step: one for each decoding request, and the chunks of prefills.",
        good="Well above one: each step reads all weights, so every further token is nearly free.",
        act="Near one: a single client, or too small a batch. Let more requests in, or use a smaller GPU.",
        targets=[tokens],
        unit="short",
        minimum=0,
    )


def _step_duration(scope: Scope) -> BoardPanel:
    level = (*scope.level, "phase")
    return TimeSeries(
        title="Step duration",
        what="Mean duration of a batch step by phase, where the engine measures it; a decode step is the token gap of the "
        "whole batch.",
        good="Decode steps of some tens of milliseconds.",
        act="Long decode steps: the batch is large, or clocks are low. Long prefills: make their chunks smaller.",
        targets=[line(mean(scope.select, "llm_step_duration_seconds", level), f"{{{{phase}}}} {scope.legend}")],
        unit="s",
        minimum=0,
        colours=colours("prefill", "decode"),
    )


def _slots(scope: Scope) -> BoardPanel:
    busy = f"avg {by(scope.level)} ({scope.select('llm_slots_busy_mean')})"
    return TimeSeries(
        title="Busy slots in a decode call",
        what="Mean sequences in one decode call since the server started: what llama.cpp tells of its batch.",
        good="Near the number of slots under load.",
        act="Near one with several clients: start the server with more slots.",
        targets=[line(busy, scope.legend)],
        unit="short",
        minimum=0,
    )


def _usage(scope: Scope) -> BoardPanel:
    usage = scope.select("llm_kv_cache_usage_ratio")
    mean_use = scope.recorded_or("model:llm_kv_cache_usage:avg", f"avg {by(scope.level)} ({usage})")
    fullest = scope.recorded_or("model:llm_kv_cache_usage:max", f"max {by(scope.level)} ({usage})")
    return TimeSeries(
        title="KV cache in use",
        what="Share of the KV cache in use: the mean over replicas and the fullest one.",
        good="Both near each other; near 100 % only while nothing waits.",
        act="Far apart: the load balancer. Full with a queue: more replicas, a shorter context, a quantised cache.",
        targets=[line(mean_use, f"mean {scope.legend}"), line(fullest, f"fullest {scope.legend}")],
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=steps_from((0.9, WARN), (0.97, BAD)),
        colours=colours("mean", "fullest"),
        columns=6,
    )


def _cached(scope: Scope) -> BoardPanel:
    hits = sum_rate(scope.select("llm_prefix_cache_hits_total"), scope.level)
    asked = sum_rate(scope.select("llm_prefix_cache_queries_total"), scope.level)
    told = f"avg {by(scope.level)} ({scope.select('llm_prefix_cache_hit_ratio')})"
    return TimeSeries(
        title="Prefix cache hits",
        what="Prompt tokens found in the prefix cache, of those looked up; engine: as the engine averages it by itself.",
        good="As high as the traffic allows: near zero for prompts that share nothing, above half with a system prompt.",
        act="A fall: prompts changed at their start, or requests of a session go to changing replicas.",
        targets=[
            line(
                scope.recorded_or("model:llm_prefix_cache_hit:ratio_rate5m", ratio(hits, asked)), f"hit {scope.legend}"
            ),
            line(told, f"engine {scope.legend}"),
        ],
        unit="percentunit",
        minimum=0,
        maximum=1,
        colours=colours("hit"),
        columns=6,
    )


def _preemptions(scope: Scope) -> BoardPanel:
    raw = sum_rate(scope.select("llm_preemptions_total"), scope.level)
    return TimeSeries(
        title="Preemptions per second",
        what="Running requests that lost their KV cache to others and are computed again.",
        good="Zero.",
        act="Lower the most sequences at once, or give the cache more room; vLLM does not log preemptions.",
        targets=[line(scope.recorded_or("model:llm_preemptions:rate5m", raw), scope.legend)],
        unit="ops",
        minimum=0,
        columns=6,
    )


def _capacity(scope: Scope) -> BoardPanel:
    level = tuple(label for label in scope.level if label != "model")
    capacity = scope.serving(scope.process("llm_kv_cache_capacity_tokens"))
    used = scope.select("llm_kv_cache_used_tokens")
    legend = scope.legend.replace(" {{model}}", "")
    return TimeSeries(
        title="KV cache size",
        what="Tokens that the KV cache holds at most, and those held now where the engine counts them.",
        good="The longest context fits many times over.",
        act="Too small: more GPU memory for the engine, fewer weights on this GPU, or a quantised cache.",
        targets=[
            line(f"sum {by(level)} ({capacity})", f"limit {legend}"),
            line(f"sum {by(scope.level)} ({used})", f"used {scope.legend}"),
        ],
        unit="count:tok",
        minimum=0,
        colours=colours("limit", "used"),
        columns=6,
    )
