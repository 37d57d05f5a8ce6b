"""Watchdog."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import FLEET

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert that always fires."""
    return (
        Alert(
            name="Watchdog",
            expr="vector(1)",
            pending=config.thresholds.monitoring.watchdog_for,
            severity="info",
            summary="Alerting works: this alert always fires",
            description=(
                "Nothing is wrong. Route it to a dead man's switch, which calls when it stops coming: then Prometheus, "
                "Alertmanager or the way between them is broken, and no other alert would arrive."
            ),
            why="Silence means that all is well or that alerting is broken; only an alert that always comes tells.",
            board=FLEET,
        ),
    )
