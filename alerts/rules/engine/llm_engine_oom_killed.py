"""LLMEngineOOMKilled."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.engine.containers import CONTAINER, GPU_REQUESTS, KUBE_STATE_METRICS, engines_with, on_container
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import by

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on engines, and containers that request a GPU, which the kernel killed for host memory."""
    limits = config.thresholds.engine
    window = limits.oom_killed_window
    kills = (
        f"max {by(CONTAINER)} (\n"
        f"  changes(kube_pod_container_status_restarts_total[{window}]) > 0\n"
        f'    and {on_container} kube_pod_container_status_last_terminated_reason{{reason="OOMKilled"}} > 0\n'
        "  # A worker that was killed while the container's first process lives on.\n"
        f"  or changes(container_oom_events_total[{window}]) > 0\n"
        ")"
    )
    return (
        Alert(
            name="LLMEngineOOMKilled",
            expr=engines_with(kills, f"\n  llm_up\n  or {on_container} {GPU_REQUESTS}\n"),
            pending=limits.counted_for,
            severity="warning",
            summary="{{ $labels.namespace }}/{{ $labels.pod }}: killed for host memory",
            description=(
                "The kernel killed a process of container {{ $labels.container }} in {{ $labels.namespace }}/"
                "{{ $labels.pod }} because the container reached its memory limit or the node ran out "
                f"(kills in the last {window}: {{{{ $value }}}}). This is host memory, not the GPU's."
            ),
            why=(
                "The log of a killed engine just ends, so people look for a fault of the GPU. Loading weights, swap "
                "space and page-locked buffers take host memory that limits often forget."
            ),
            board=REPLICA_BOARD,
            requires={
                "kube_pod_container_status_restarts_total": KUBE_STATE_METRICS,
                "kube_pod_container_status_last_terminated_reason": KUBE_STATE_METRICS,
                "kube_pod_container_resource_requests": KUBE_STATE_METRICS,
                "container_oom_events_total": "the kubelet's cAdvisor; it adds kills that leave the container running",
            },
        ),
    )
