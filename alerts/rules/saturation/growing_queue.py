"""What it means that a queue grows, for the alerts that ask for it."""

from __future__ import annotations

from alerts.thresholds import Saturation

__all__ = ["growing_queue"]


def growing_queue(limits: Saturation) -> str:
    """Return the waiting requests of models whose queue is long for their size, and grows."""
    waiting = "model:llm_requests_waiting:sum"
    return (
        f"{waiting} > {limits.queue_waiting_per_running:g} * model:llm_requests_running:sum\n"
        f"and {waiting} > {limits.queue_floor_requests:g}\n"
        f"and deriv({waiting}[{limits.queue_growing_window}]) > 0"
    )
