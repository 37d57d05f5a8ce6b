"""Service level indicators: events, bad events, budgets and how fast these burn.

Label `slo` is availability, time_to_first_token or time_per_output_token.
"""

from __future__ import annotations

from catalog.recorded.levels import MODEL, RecordedSeries

__all__ = ["BURN_WINDOWS", "SERIES", "WINDOWS", "burn_rate", "error_ratio", "events"]

WINDOWS: tuple[str, ...] = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
"""Windows over which events are recorded whatever the burn-rate windows are: boards show them."""

BURN_WINDOWS: tuple[str, ...] = ("5m", "1h")
"""Windows over which burn rates are recorded: a short one to act on (autoscaling), a long one to look at."""

_SLO = (*MODEL, "slo")


def events(window: str, *, bad: bool = False) -> str:
    """Return the name of the rate of events, or of bad events, over a window."""
    return f"model:llm_slo_{'bad_events' if bad else 'events'}:rate{window}"


def error_ratio(window: str) -> str:
    """Return the name of the share of bad events over a window."""
    return f"model:llm_slo_error:ratio_rate{window}"


def burn_rate(window: str) -> str:
    """Return the name of the burn rate over a window."""
    return f"model:llm_slo_burn_rate:ratio_rate{window}"


def _over(window: str) -> tuple[RecordedSeries, ...]:
    return (
        RecordedSeries(events(window), _SLO, "events/s", f"Events that count for the SLO, over {window}."),
        RecordedSeries(events(window, bad=True), _SLO, "events/s", f"Events that broke the SLO, over {window}."),
        RecordedSeries(error_ratio(window), _SLO, "ratio", f"Share of events that broke the SLO, over {window}."),
    )


SERIES: tuple[RecordedSeries, ...] = (
    *(series for window in WINDOWS for series in _over(window)),
    RecordedSeries("model:llm_slo_error_budget:ratio", _SLO, "ratio", "Share of events that may be bad: 1 - target."),
    RecordedSeries("model:llm_slo_threshold:seconds", _SLO, "seconds", "Latency above which an event is bad."),
    *(
        RecordedSeries(burn_rate(window), _SLO, "ratio", f"Speed at which the budget went over {window}: 1 is even.")
        for window in BURN_WINDOWS
    ),
    RecordedSeries(
        "model:llm_slo_error_budget_remaining:ratio",
        _SLO,
        "ratio",
        "Budget of the period left: 1 whole, below 0 overdrawn.",
    ),
)
