"""LLMTrafficDropped."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import MODEL as MODEL_BOARD
from catalog.recorded.levels import MODEL, by

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on a model that is there and is asked far less than a week ago."""
    limits = config.thresholds.availability
    return (
        Alert(
            name="LLMTrafficDropped",
            expr=(
                "(\n"
                f"  sum {by(MODEL)} (model:llm_requests:rate5m)\n"
                "  # Some engines show no counter before the first request after a restart.\n"
                "  or 0 * model:llm_replicas:count\n"
                ")\n"
                "/ (\n"
                f"  sum {by(MODEL)} (avg_over_time(model:llm_requests:rate5m[1h] offset 1w))\n"
                f"  > {limits.traffic_floor_requests_per_second:g}\n"
                ")\n"
                f"< {limits.traffic_dropped_ratio:g}"
            ),
            pending=limits.traffic_dropped_for,
            severity="warning",
            summary="{{ or $labels.model $labels.engine }}: far fewer requests than a week ago",
            description=(
                "{{ or $labels.model $labels.engine }} ({{ $labels.engine }}, namespace {{ $labels.namespace }}) "
                "finishes {{ $value | humanizePercentage }} of the requests of the same hour last week."
            ),
            why=(
                "Requests that never arrive fail nowhere: a broken route, an expired certificate or a client's "
                "deployment shows as quiet, and every other alert likes quiet."
            ),
            board=MODEL_BOARD,
        ),
    )
