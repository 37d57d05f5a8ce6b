"""LLMTargetDown."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import REPLICA, by

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on a replica that does not answer, once it has had the time to load its model."""
    limits = config.thresholds.engine
    slowest = max(limits.cold_start_seconds, *(model.cold_start_seconds or 0 for model in config.models), 1)
    window = f"{slowest:.0f}s"
    return (
        Alert(
            name="LLMTargetDown",
            expr=(
                f"max {by(REPLICA)} (\n"
                "  llm_up < 1\n"
                "  # It answered before, or it has been there for longer than loading a model takes.\n"
                f"  and (max_over_time(llm_up[{window}]) > 0 or llm_up offset {window})\n"
                ")"
            ),
            pending=limits.down_for,
            severity="warning",
            summary="{{ or $labels.model $labels.engine }}: a replica does not answer",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} ({{ $labels.engine }}, node {{ $labels.node }}) has not "
                f"answered on its metrics endpoint for {limits.down_for}."
            ),
            why="A replica that does not answer takes no share of the load; the others carry it until they cannot.",
            board=REPLICA_BOARD,
        ),
    )
