"""LLMAutoscalerAtMax."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.saturation.growing_queue import growing_queue
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import POD, by, labels

__all__ = ["alerts"]

_AUTOSCALER = ("cluster", "namespace", "horizontalpodautoscaler")
_WORKLOAD = ("cluster", "namespace", "workload")
_GIVEN_BY = "kube-state-metrics, scraped with honor_labels"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.saturation
    return (
        Alert(
            name="LLMAutoscalerAtMax",
            expr=(
                f"{_workloads_of_models()}\n"
                f"* on ({labels(_WORKLOAD)}) group_left ()\n"
                f"{_workloads_at_maximum()}\n"
                f"and on ({labels(MODEL_LABELS)}) (\n"
                f"{growing_queue(limits)}\n"
                ")"
            ),
            pending=limits.autoscaler_at_max_for,
            severity="warning",
            summary="{{ $labels.model }}: the autoscaler is at its maximum and the queue still grows",
            description=(
                "{{ $labels.workload }} in namespace {{ $labels.namespace }} has the {{ $value }} replicas that its "
                "autoscaler may ask for, and the queue of {{ $labels.model }} ({{ $labels.engine }}) has grown for "
                f"{limits.autoscaler_at_max_for}."
            ),
            why="The autoscaler has done what it may. Nothing else will add capacity, so a person must.",
            board=MODEL,
            requires={
                "kube_horizontalpodautoscaler_info": _GIVEN_BY,
                "kube_horizontalpodautoscaler_status_current_replicas": _GIVEN_BY,
                "kube_horizontalpodautoscaler_spec_max_replicas": _GIVEN_BY,
                "pod:inferwatch_workload:info": f"kube_pod_owner of {_GIVEN_BY}",
            },
        ),
    )


def _workloads_of_models() -> str:
    """1 for each workload whose pods serve a model."""
    return (
        f"group {by((*MODEL_LABELS, 'workload'))} (\n"
        f"  llm_requests_running * on ({labels(POD)}) group_left (workload) pod:inferwatch_workload:info\n"
        ")"
    )


def _workloads_at_maximum() -> str:
    """Replicas of each workload whose autoscaler has as many as it may."""
    replicas = f"max {by(_AUTOSCALER)} (kube_horizontalpodautoscaler_status_current_replicas)"
    most = f"max {by(_AUTOSCALER)} (kube_horizontalpodautoscaler_spec_max_replicas)"
    return (
        f"max {by(_WORKLOAD)} (label_replace(\n"
        f"  kube_horizontalpodautoscaler_info * on ({labels(_AUTOSCALER)}) group_left () (\n"
        f"    {replicas}\n"
        f"    >= on ({labels(_AUTOSCALER)}) {most}\n"
        "  ),\n"
        '  "workload", "$1", "scaletargetref_name", "(.+)"\n'
        "))"
    )
