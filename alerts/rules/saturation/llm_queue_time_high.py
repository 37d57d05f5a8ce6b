"""LLMQueueTimeHigh."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import MODEL
from catalog.recorded.latency import quantile_of
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.saturation
    share = limits.queue_time_share_of_ttft_target
    target = 'model:llm_slo_threshold:seconds{slo="time_to_first_token"}'
    return (
        Alert(
            name="LLMQueueTimeHigh",
            expr=(
                f"{quantile_of('llm_request_queue_seconds', 'p95')}\n"
                f"  > on ({labels(MODEL_LABELS)}) (\n"
                f"    {share:g} * max {by(MODEL_LABELS)} ({target})\n"
                "  )"
            ),
            pending=limits.queue_time_for,
            severity="warning",
            summary="{{ $labels.model }}: requests spend the time for their first token in the queue",
            description=(
                "One in twenty requests to {{ $labels.model }} ({{ $labels.engine }}, namespace "
                "{{ $labels.namespace }}) waits longer than {{ $value | humanizeDuration }} before its prefill starts: "
                f"over {share * 100:g} % of the target for the first token."
            ),
            why=(
                "Time to first token is queue and prefill. When the queue alone takes the half of it, capacity is what "
                "is missing, and nothing that makes prefill faster will help enough."
            ),
            board=MODEL,
        ),
    )
