"""What happened, as marks on every panel: deployments, restarts, OOM kills, firing alerts.

Prometheus annotations mark the times at which a query is 1.
"""

from __future__ import annotations

from typing import Any

from catalog.boards import GPU, Board
from catalog.recorded.levels import by
from dashboards.colours import BAD, MEANINGS, WARN
from dashboards.metrics import FIRING_ALERTS, OUR_ALERTS
from dashboards.promql import Selector
from dashboards.variables import PROMETHEUS

__all__ = ["board_annotations"]

_STEP = "60s"
_RECENT = "5m"
_CONTAINER = ("cluster", "namespace", "pod", "container")


def board_annotations(board: Board, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a board's annotations; `names` are its variables, which narrow them."""
    place = Selector(tuple(name for name in names if name in {"cluster", "namespace", "pod"}))
    if board == GPU:
        return [_firing(Selector(("cluster", "gpu")))]
    engines = Selector(tuple(name for name in names if name != "model"))
    # Many alerts are a model's and carry no pod.
    models = Selector(tuple(name for name in names if name in {"cluster", "namespace"}))
    return [_deployed(engines), _restarted(place), _oom_killed(place), _firing(models)]


def _deployed(select: Selector) -> dict[str, Any]:
    """Pods in their first five minutes. One that any scrape of the quarter of an hour before saw is not new."""
    level = ("cluster", "namespace", "pod")
    there = select("llm_up")
    new = f"{there} unless on ({', '.join(level)}) last_over_time({there}[15m] offset {_RECENT})"
    return _annotation(
        "Deployments",
        f"group {by((*level, 'engine'))} ({new})",
        MEANINGS["running"],
        "New replica {{pod}}",
        "{{engine}}",
    )


def _restarted(select: Selector) -> dict[str, Any]:
    rose = f"increase({select('kube_pod_container_status_restarts_total')}[{_RECENT}]) > 0"
    return _annotation(
        "Restarts", f"group {by(_CONTAINER)} ({rose})", WARN, "Restart of {{pod}}", "{{namespace}} {{container}}"
    )


def _oom_killed(select: Selector) -> dict[str, Any]:
    rose = f"increase({select('kube_pod_container_status_restarts_total')}[{_RECENT}]) > 0"
    ended = select("kube_pod_container_status_last_terminated_reason", 'reason="OOMKilled"')
    killed = f"{rose} and on ({', '.join(_CONTAINER)}) ({ended} == 1)"
    return _annotation(
        "OOM kills", f"group {by(_CONTAINER)} ({killed})", BAD, "OOM kill in {{pod}}", "{{namespace}} {{container}}"
    )


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
