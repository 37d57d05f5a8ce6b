"""LLMEngineRestarted."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.engine.containers import CONTAINER, KUBE_STATE_METRICS, engines_with
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import by

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on an engine that is started anew again and again."""
    limits = config.thresholds.engine
    restarts = (
        f"max {by(CONTAINER)} (\n"
        "  changes(llm_process_start_time_seconds[1h])\n"
        "  or changes(kube_pod_container_status_restarts_total[1h])\n"
        ")"
    )
    return (
        Alert(
            name="LLMEngineRestarted",
            expr=engines_with(f"({restarts} >= {limits.restarts_per_hour})"),
            pending=limits.counted_for,
            severity="warning",
            summary="{{ or $labels.model $labels.engine }}: a replica restarts again and again",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} ({{ $labels.engine }}, node {{ $labels.node }}) was started "
                "anew {{ $value }} times in the last hour. Each start loses all requests in it and its caches."
            ),
            why=(
                "An engine that comes back within minutes shows in no other alert, though each end cuts off every "
                "request in it. Process start times see restarts inside a container, Kubernetes those of it."
            ),
            board=REPLICA_BOARD,
            requires={
                "kube_pod_container_status_restarts_total": (
                    f"{KUBE_STATE_METRICS}; without it, only engines that show their process's start time are watched"
                )
            },
        ),
    )
