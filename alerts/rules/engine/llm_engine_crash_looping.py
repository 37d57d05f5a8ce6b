"""LLMEngineCrashLooping."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.engine.containers import CONTAINER, GPU_REQUESTS, KUBE_STATE_METRICS, engines_with, on_container
from alerts.thresholds import Engine
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import by

__all__ = ["alerts"]

_NAME = "LLMEngineCrashLooping"
_RESTARTS = "kube_pod_container_status_restarts_total"
_WAITING = "kube_pod_container_status_waiting_reason"
_REQUIRES = {_RESTARTS: KUBE_STATE_METRICS, _WAITING: KUBE_STATE_METRICS}


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert for engines that have answered before, and a milder one for those that never came up."""
    limits = config.thresholds.engine
    looping = _looping(limits)
    return (
        Alert(
            name=_NAME,
            expr=engines_with(looping),
            pending=limits.counted_for,
            severity="critical",
            summary="{{ or $labels.model $labels.engine }}: a replica that served crashes at every start",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} (container {{ $labels.container }}, {{ $labels.engine }}, "
                "node {{ $labels.node }}) ended {{ $value }} times in the last "
                f"{limits.crash_loop_back_off_window}."
            ),
            why="An engine that served and now ends at every start does not come back by itself.",
            board=REPLICA_BOARD,
            requires=_REQUIRES,
        ),
        Alert(
            name=_NAME,
            expr=f"{looping}\nand {on_container} {GPU_REQUESTS}\nunless {on_container} llm_up",
            pending=limits.counted_for,
            severity="warning",
            summary="{{ $labels.namespace }}/{{ $labels.pod }}: a container with a GPU crashes at every start",
            description=(
                "Container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} holds GPUs, has not "
                f"answered as an engine yet and ended {{{{ $value }}}} times in the last "
                f"{limits.crash_loop_back_off_window}."
            ),
            why=(
                "A new deployment that cannot start harms nobody while the old replicas serve, but it holds GPUs and "
                "will not heal."
            ),
            board=REPLICA_BOARD,
            requires={**_REQUIRES, "kube_pod_container_resource_requests": KUBE_STATE_METRICS},
        ),
    )


def _looping(limits: Engine) -> str:
    """Restarts of containers that restart quickly, or that Kubernetes holds back because they did."""
    return (
        f"max {by(CONTAINER)} (\n"
        f"  changes({_RESTARTS}[{limits.crash_loop_back_off_window}]) > {limits.crash_loop_restarts}\n"
        f"  and {on_container} (\n"
        f"    changes({_RESTARTS}[{limits.crash_loop_window}]) > {limits.crash_loop_restarts}\n"
        f'    or max_over_time({_WAITING}{{reason="CrashLoopBackOff"}}[{limits.crash_loop_window}]) > 0\n'
        "  )\n"
        ")"
    )
