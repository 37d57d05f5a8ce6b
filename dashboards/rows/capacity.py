"""How much more fits, and what autoscaling did about it."""

from __future__ import annotations

from catalog import boards
from catalog.recorded.levels import MODEL, by
from dashboards.board import Row
from dashboards.colours import BAD, WARN, colours
from dashboards.links import from_series
from dashboards.panels import BoardPanel, TimeSeries, steps_from
from dashboards.promql import Selector, mean, ratio
from dashboards.query import line
from dashboards.scope import Scope

__all__ = ["SATURATION_STEPS", "autoscaling_row", "headroom_row", "saturation_panel"]

SATURATION_STEPS = steps_from((0.85, WARN), (0.95, BAD))

_PLACE = Selector(("cluster", "namespace"))
_RUNNING = "model:llm_requests_running:sum"
_SATURATION = "model:llm_saturation:ratio"


def headroom_row(scope: Scope) -> Row:
    """Return how full models are, and how many more requests like these they take."""
    return Row("How much more fits", (saturation_panel(scope), _headroom(scope), _cache_headroom(scope)))


def autoscaling_row(scope: Scope) -> Row:
    """Return what the autoscaler wanted, what came of it, and what no node has room for."""
    return Row("Autoscaling", (_autoscaler(), _replicas(scope), _pending()))


def saturation_panel(scope: Scope) -> TimeSeries:
    """Return the fullest of what limits each model."""
    return TimeSeries(
        title="Saturation",
        what="The fullest of what limits a model: KV cache in use, or running requests of those that may run.",
        good="Below 85 %, so that a burst finds room.",
        act="Add replicas, or raise the limit that is full.",
        targets=[line(scope.select(_SATURATION), scope.legend)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=SATURATION_STEPS,
        leads=(from_series(boards.MODEL, MODEL),),
    )


def _headroom(scope: Scope) -> BoardPanel:
    fit = f"{ratio(scope.select(_RUNNING), scope.select(_SATURATION))} - {scope.select(_RUNNING)}"
    return TimeSeries(
        title="More requests that fit",
        what="Running requests at full saturation less those that run, if further ones are like these.",
        good="More than a burst brings.",
        act="Near zero: the next requests wait. Compare with the queue.",
        targets=[
            line(f"clamp_min({fit}, 0)", scope.legend),
            line(scope.select("model:llm_requests_waiting:sum"), f"waiting {scope.legend}"),
        ],
        unit="short",
        minimum=0,
        colours=colours("waiting"),
    )


def _cache_headroom(scope: Scope) -> BoardPanel:
    level = tuple(label for label in MODEL if label != "model")
    capacity = f"sum {by(level)} ({scope.serving(scope.process('llm_kv_cache_capacity_tokens'))})"
    used = f"avg {by(level)} ({scope.select('llm_kv_cache_usage_ratio')})"
    lengths = (
        mean(scope.select, "llm_request_prompt_tokens", level),
        mean(scope.select, "llm_request_generation_tokens", level),
    )
    free = f"{capacity} * (1 - {used})"
    return TimeSeries(
        title="More requests that the KV cache holds",
        what="Free tokens of the KV cache, divided by the mean prompt and answer of a request; by engine, all its models.",
        good="More than a burst brings.",
        act="Fewer than wait: the cache is the limit; more replicas, a shorter context or a quantised cache.",
        targets=[line(f"({free}) / (({lengths[0]}) + ({lengths[1]}) > 0)", "{{cluster}} {{namespace}} {{engine}}")],
        unit="short",
        minimum=0,
    )


def _autoscaler() -> BoardPanel:
    names = {
        "replicas": "kube_horizontalpodautoscaler_status_current_replicas",
        "wanted": "kube_horizontalpodautoscaler_status_desired_replicas",
        "limit": "kube_horizontalpodautoscaler_spec_max_replicas",
    }
    level = ("cluster", "namespace", "horizontalpodautoscaler")
    return TimeSeries(
        title="What autoscaling did",
        what="Replicas that are there, those that the autoscaler wants, and the most that it may want.",
        good="Replicas follow what is wanted, below the limit.",
        act="At the limit with a queue: raise it. Wanted above what is there for long: no node has room.",
        targets=[
            line(
                f"max {by(level)} ({_PLACE(name)})",
                f"{word} {{{{cluster}}}} {{{{namespace}}}} {{{{horizontalpodautoscaler}}}}",
            )
            for word, name in names.items()
        ],
        unit="short",
        decimals=0,
        minimum=0,
        colours=colours("limit"),
    )


def _replicas(scope: Scope) -> BoardPanel:
    return TimeSeries(
        title="Replicas and waiting requests",
        what="Replicas that answer, and requests waiting for each of them.",
        good="More replicas soon after requests wait.",
        act="A queue without new replicas: the autoscaler's metric, its limit, or no GPU to be had.",
        targets=[
            line(scope.select("model:llm_replicas_up:count"), f"replicas {scope.legend}"),
            line(scope.select("model:llm_requests_waiting:per_replica"), f"waiting {scope.legend}"),
        ],
        unit="short",
        minimum=0,
        colours=colours("waiting"),
    )


def _pending() -> BoardPanel:
    return TimeSeries(
        title="Pods without a node",
        what="Pods that no node has room for.",
        good="Zero within minutes of a scale-up.",
        act="No GPU free: a node autoscaler, another zone, or a smaller request.",
        targets=[
            line(
                f"sum by (cluster, namespace) ({_PLACE('kube_pod_status_unschedulable')})",
                "{{cluster}} {{namespace}}",
            )
        ],
        unit="short",
        decimals=0,
        minimum=0,
    )
