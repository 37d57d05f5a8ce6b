"""LLMRoleImbalance."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import labels

__all__ = ["alerts"]

_PRESSURE = "role:llm_requests_waiting:per_running"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits, queue = config.thresholds.efficiency, config.thresholds.saturation
    window, times = limits.role_imbalance_window, limits.role_imbalance_times
    prefill, decode = (f'avg_over_time({_PRESSURE}{{role="{role}"}}[{window}])' for role in ("prefill", "decode"))
    other = f"> on ({labels(MODEL_LABELS)}) group_left () {times:g} *"
    floor = f"avg_over_time(role:llm_requests_waiting:sum[{window}]) > {queue.queue_floor_requests:g}"
    return (
        Alert(
            name="LLMRoleImbalance",
            expr=(
                f"(\n  {prefill}\n    {other} {decode}\n  or {decode}\n    {other} {prefill}\n"
                f") > {queue.queue_waiting_per_running:g}\n"
                f"and {floor}"
            ),
            pending=limits.role_imbalance_for,
            severity="warning",
            summary="{{ $labels.model }}: the {{ $labels.role }} replicas queue while the other role has room",
            description=(
                '{{ printf "%.1f" $value }} requests wait for each one that runs on the {{ $labels.role }} replicas '
                "of {{ $labels.model }} ({{ $labels.engine }}, namespace {{ $labels.namespace }}), "
                f"more than {times:g} times as many as on the other role's."
            ),
            why=(
                "Where prefill and decode run on replicas of their own, the smaller role sets the speed and the other "
                "one's GPUs wait for it."
            ),
            board=MODEL,
            requires={
                _PRESSURE: (
                    "kube_pod_labels of kube-state-metrics with --metric-labels-allowlist=pods=[llm-d.ai/role,"
                    "nvidia.com/dynamo-sub-component-type,role-name], those of them that the pods have"
                ),
            },
        ),
    )
