"""LLMQueueGrowing."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.saturation.growing_queue import growing_queue
from catalog.boards import MODEL

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.saturation
    return (
        Alert(
            name="LLMQueueGrowing",
            expr=growing_queue(limits),
            pending=limits.queue_growing_for,
            severity="warning",
            summary="{{ $labels.model }}: more requests arrive than are served, and the queue grows",
            description=(
                "{{ $value | humanize }} requests wait for {{ $labels.model }} ({{ $labels.engine }}, "
                f"namespace {{{{ $labels.namespace }}}}): over {limits.queue_waiting_per_running:g} times those that "
                f"run, and growing over {limits.queue_growing_window}."
            ),
            why=(
                "A queue that grows has no end. It is measured by the running batch: 50 waiting requests are nothing "
                "for 64 replicas and death for one."
            ),
            board=MODEL,
        ),
    )
