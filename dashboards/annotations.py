"""What happened, as marks on every panel: deployments, restarts, OOM kills, firing alerts.

Prometheus annotations mark the times at which a query is 1.
"""

from __future__ import annotations

from typing import Any

from catalog.boards import GPU, Board
from catalog.recorded.levels import POD, by, labels
from dashboards.colours import BAD, MEANINGS, WARN
from dashboards.metrics import FIRING_ALERTS, OUR_ALERTS
from dashboards.promql import Selector
from dashboards.variables import PROMETHEUS

__all__ = ["board_annotations"]

_STEP = "60s"
_RECENT = "5m"
_CONTAINER = (*POD, "container")


def board_annotations(board: Board, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a board's annotations; `names` are its variables, which narrow them.

    Pods know nothing of GPUs: on the GPU board those count that hold one of the chosen.
    """

    def narrowed_by(*wanted: str) -> Selector:
        return Selector(tuple(name for name in names if name in wanted))

    held = f" and on ({labels(POD)}) {narrowed_by('cluster', 'node', 'gpu')('inferwatch_pod_gpu_info')}"
    only = held if board == GPU else ""
    place = narrowed_by("cluster", "namespace", "pod")
    return [
        _deployed(narrowed_by("cluster", "namespace", "engine", "pod"), only),
        _restarted(place, only),
        _oom_killed(place, only),
        # Many alerts are a model's and carry no pod.
        _firing(narrowed_by("cluster", "namespace", "gpu")),
    ]


def _deployed(select: Selector, only: str) -> dict[str, Any]:
    """Pods in their first five minutes. One that any scrape of the quarter of an hour before saw is not new."""
    there = select("llm_up")
    new = f"{there} unless on ({labels(POD)}) last_over_time({there}[15m] offset {_RECENT})"
    expr = f"group {by((*POD, 'engine'))} (({new}){only})"
    return _annotation("Deployments", expr, MEANINGS["running"], "New replica {{pod}}", "{{engine}}")


def _restarted(select: Selector, only: str) -> dict[str, Any]:
    """Restarts as Kubernetes counts them, or, outside it, as a process's start shows."""
    counted = f"increase({select('kube_pod_container_status_restarts_total')}[{_RECENT}]) > 0"
    started = f"changes({select('llm_process_start_time_seconds')}[{_RECENT}]) > 0"
    expr = f"group {by(_CONTAINER)} (({counted} or {started}){only})"
    return _annotation("Restarts", expr, WARN, "Restart of {{pod}}", "{{namespace}} {{container}}")


def _oom_killed(select: Selector, only: str) -> dict[str, Any]:
    rose = f"increase({select('kube_pod_container_status_restarts_total')}[{_RECENT}]) > 0"
    ended = select("kube_pod_container_status_last_terminated_reason", 'reason="OOMKilled"')
    killed = f"{rose} and on ({labels(_CONTAINER)}) ({ended} == 1)"
    expr = f"group {by(_CONTAINER)} (({killed}){only})"
    return _annotation("OOM kills", expr, BAD, "OOM kill in {{pod}}", "{{namespace}} {{container}}")


def _firing(select: Selector) -> dict[str, Any]:
    level = ("alertname", "severity", "cluster", "namespace", "model", "pod", "UUID")
    firing = f"group {by(level)} ({select(FIRING_ALERTS, OUR_ALERTS)})"
    return _annotation("Firing alerts", firing, BAD, "{{alertname}}", "{{severity}} {{model}} {{pod}} {{UUID}}")


def _annotation(name: str, expr: str, colour: str, title: str, text: str) -> dict[str, Any]:
    return {
        "datasource": dict(PROMETHEUS),
        "enable": True,
        "expr": expr,
        "hide": False,
        "iconColor": colour,
        "name": name,
        "step": _STEP,
        "tagKeys": "",
        "textFormat": text,
        "titleFormat": title,
        "useValueForTime": False,
    }
