"""The pod around an engine: CPU, memory, restarts, what it waits for."""

from __future__ import annotations

from catalog.recorded.levels import by
from dashboards.board import Row
from dashboards.colours import BAD, GOOD, WARN, colours
from dashboards.panels import BoardPanel, StateTimeline, TimeSeries, steps_from
from dashboards.promql import increase, rate, ratio
from dashboards.query import line
from dashboards.scope import Scope

__all__ = ["pod_row"]

_CONTAINER = ("cluster", "namespace", "pod", "container")
_NAME = "{{cluster}} {{pod}} {{container}}"
# cAdvisor has a series for the pod's whole cgroup and for its pause container too.
_REAL = 'container!="", container!="POD"'


def pod_row(scope: Scope) -> Row:
    """Return what Kubernetes says of the replicas' pods."""
    panels = (_cpu(scope), _throttled(scope), _memory(scope), _restarts(scope), _ready(scope), _waits(scope))
    return Row("Pod", panels)


def _cpu(scope: Scope) -> BoardPanel:
    used = scope.of_pods(rate(scope.pod("container_cpu_usage_seconds_total", _REAL)))
    return TimeSeries(
        title="CPU",
        what="CPU time used, in cores, and the limit.",
        good="Below the limit; about one core a GPU.",
        act="At the limit the engine's scheduler starves: raise the limit, or take it away.",
        targets=[
            line(f"sum {by(_CONTAINER)} ({used})", f"used {_NAME}"),
            line(f"sum {by(_CONTAINER)} ({scope.limit('cpu')})", f"limit {_NAME}"),
        ],
        unit="suffix:cores",
        minimum=0,
        colours=colours("used", "limit"),
    )


def _throttled(scope: Scope) -> BoardPanel:
    periods = scope.of_pods(rate(scope.pod("container_cpu_cfs_periods_total", _REAL)))
    throttled = scope.of_pods(rate(scope.pod("container_cpu_cfs_throttled_periods_total", _REAL)))
    return TimeSeries(
        title="CPU throttling",
        what="Scheduling periods that the CPU limit cut short.",
        good="Near zero.",
        act="Above a few percent, every step of the engine waits for the CPU: raise the limit.",
        targets=[line(ratio(f"sum {by(_CONTAINER)} ({throttled})", f"sum {by(_CONTAINER)} ({periods})"), _NAME)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=steps_from((0.05, WARN), (0.25, BAD)),
    )


def _memory(scope: Scope) -> BoardPanel:
    used = scope.of_pods(scope.pod("container_memory_working_set_bytes", _REAL))
    return TimeSeries(
        title="Memory",
        what="Memory that the OOM killer looks at, and the limit.",
        good="Well below the limit, also while weights are loaded.",
        act="Near the limit: raise it; loading takes the largest weight file beside what is there.",
        targets=[
            line(f"sum {by(_CONTAINER)} ({used})", f"used {_NAME}"),
            line(f"sum {by(_CONTAINER)} ({scope.limit('memory')})", f"limit {_NAME}"),
        ],
        unit="bytes",
        minimum=0,
        colours=colours("used", "limit"),
    )


def _restarts(scope: Scope) -> BoardPanel:
    restarts = scope.of_pods(increase(scope.pod("kube_pod_container_status_restarts_total")))
    killed = scope.of_pods(increase(scope.pod("container_oom_events_total", _REAL)))
    return TimeSeries(
        title="Restarts and OOM kills",
        what="Restarts of containers, and OOM kills in them; a kill's series often vanishes with its container.",
        good="None.",
        act="The log before a restart names the cause; `inferwatch diagnose --log` reads it.",
        targets=[
            line(f"sum {by(_CONTAINER)} ({restarts})", f"restarts {_NAME}"),
            line(f"sum {by(_CONTAINER)} ({killed})", f"failed OOM {_NAME}"),
        ],
        unit="short",
        minimum=0,
        points=True,
        colours=colours("failed"),
    )


def _ready(scope: Scope) -> BoardPanel:
    ready = scope.of_pods(scope.pod("kube_pod_status_ready", 'condition="true"'))
    return StateTimeline(
        title="Ready",
        what="Whether the pod is ready, so that it gets requests.",
        good="ready throughout.",
        act="Not ready while the engine answers: look at the readiness probe and its timeout.",
        targets=[line(f"max by (cluster, namespace, pod) ({ready})", "{{cluster}} {{pod}}")],
        unit="bool_yes_no",
        words={"1": ("ready", GOOD), "0": ("not ready", BAD)},
        lines=6,
    )


def _waits(scope: Scope) -> BoardPanel:
    level = (*_CONTAINER, "reason")
    waits = scope.of_pods(scope.pod("kube_pod_container_status_waiting_reason"))
    ended = scope.of_pods(scope.pod("kube_pod_container_status_last_terminated_reason"))
    return StateTimeline(
        title="Why a container waits, how it last ended",
        what="Reasons of Kubernetes: CrashLoopBackOff, ImagePullBackOff; OOMKilled, Error, Completed.",
        good="Empty.",
        act="CrashLoopBackOff: the log. OOMKilled: the memory limit. ImagePullBackOff: the registry or its secret.",
        targets=[
            line(f"max {by(level)} ({waits}) == 1", f"waits {_NAME} {{{{reason}}}}"),
            line(f"max {by(level)} ({ended}) == 1", f"ended {_NAME} {{{{reason}}}}"),
        ],
        unit="bool_yes_no",
        words={"1": ("yes", BAD)},
        columns=16,
        lines=6,
    )
