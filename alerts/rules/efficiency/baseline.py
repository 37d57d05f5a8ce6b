"""What is usual for a model: its own mean of the day before, where there is enough of a day."""

from __future__ import annotations

from alerts.durations import Duration, seconds
from alerts.thresholds import Efficiency

__all__ = ["STEP", "has_history", "recently", "steps", "usually"]

STEP = "5m"
"""Step at which a day is read: recorded series are means of five minutes already."""


def recently(series: str, limits: Efficiency) -> str:
    """Return the mean of a series over the recent window."""
    return f"avg_over_time({series}[{limits.recent_window}])"


def usually(series: str, limits: Efficiency) -> str:
    """Return the mean of a series over the baseline window, which ends where the recent one begins."""
    return f"avg_over_time({_before(series, limits)})"


def has_history(series: str, limits: Efficiency) -> str:
    """Return a condition: the baseline is of enough samples. Series without traffic have none."""
    return f"count_over_time({_before(series, limits)}) >= {steps(limits.baseline_history)}"


def steps(duration: Duration) -> int:
    """Return how many steps a duration has."""
    return max(seconds(duration) // seconds(STEP), 1)


def _before(series: str, limits: Efficiency) -> str:
    return f"{series}[{limits.baseline_window}:{STEP}] offset {limits.recent_window}"
