"""LLMPodPendingForGPU."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.engine.containers import GPU_REQUESTS, KUBE_STATE_METRICS
from catalog.boards import COST
from catalog.recorded.levels import POD, by, labels

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on pods that ask for a GPU and that no node has room for."""
    pending = config.thresholds.engine.pending_for
    return (
        Alert(
            name="LLMPodPendingForGPU",
            expr=f"sum {by(POD)} ({GPU_REQUESTS})\nand on ({labels(POD)}) kube_pod_status_unschedulable > 0",
            pending=pending,
            severity="warning",
            summary="{{ $labels.namespace }}/{{ $labels.pod }}: no node has the GPUs that it asks for",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} waits: no node that it may run on has had its GPUs to give "
                f"(it asks for {{{{ $value }}}}) for {pending}."
            ),
            why=(
                "GPU nodes are scarce and come late or not at all: a scale-up that never lands looks like an "
                "autoscaler that did its work."
            ),
            board=COST,
            requires={
                "kube_pod_container_resource_requests": KUBE_STATE_METRICS,
                "kube_pod_status_unschedulable": KUBE_STATE_METRICS,
            },
        ),
    )
