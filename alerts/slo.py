"""Service level objectives: targets, burn-rate windows, and what makes them impossible.

A burn rate is the share of bad events divided by the share that may be bad, so it can never pass 1 / (1 - target): a
target of 90 % can burn at 10 at most, and an alert at 14.4 would be silent for ever. Such a pair is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from alerts.durations import Duration, seconds
from catalog.latency_bounds import LATENCY_BOUNDS_SECONDS
from catalog.recorded.slo import WINDOWS
from catalog.settings import Part

__all__ = ["SLO_SIGNALS", "BurnWindow", "Objective", "Problem", "SloName", "problems", "window_problems"]

SloName = Literal["availability", "time_to_first_token", "time_per_output_token"]

SLO_SIGNALS: dict[SloName, str] = {
    "time_to_first_token": "llm_time_to_first_token_seconds",
    "time_per_output_token": "llm_time_per_output_token_seconds",
}
"""SLOs on latency -> the histogram that they count in."""


class BurnWindow(Part, frozen=True):
    """One tier of a burn-rate alert: fires when both windows burn so fast that `budget_share` would go in `long`.

    `short` ends the alert soon after the burning ends.
    """

    long: Duration
    short: Duration
    budget_share: Annotated[float, Meta(gt=0, le=1)]
    severity: Literal["critical", "warning"]
    pending: Duration

    def factor(self, period: Duration) -> Decimal:
        """Return the burn rate that spends `budget_share` of the period's budget within `long`."""
        return (Decimal(str(self.budget_share)) * seconds(period) / seconds(self.long)).normalize()


class Objective(Part, frozen=True):
    """A target for one SLO: of all models, or of one, in any namespace or one.

    `seconds` is the latency that an event must not pass; it must be a bucket bound of the engine.
    `bucket_bounds_seconds` says which bounds an engine has whose bounds are not known here, or were set by hand.
    """

    slo: SloName
    target: Annotated[float, Meta(gt=0, lt=1)]
    seconds: Annotated[float, Meta(gt=0)] | None = None
    model: str = ""
    namespace: str = ""
    engine: str = ""
    bucket_bounds_seconds: tuple[Annotated[float, Meta(gt=0)], ...] = ()

    @property
    def budget(self) -> Decimal:
        """Share of events that may be bad."""
        return 1 - Decimal(str(self.target))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an objective: the key below it, and what to do, in one line."""

    key: str
    text: str


def problems(objective: Objective, windows: tuple[BurnWindow, ...], period: Duration) -> Iterator[Problem]:
    """Yield what makes an objective impossible to watch."""
    if objective.slo == "availability":
        if objective.seconds is not None:
            yield Problem("seconds", "availability has no latency; leave it out")
    elif objective.seconds is None:
        yield Problem("seconds", f"{objective.slo} needs the latency that an event must not pass")
    else:
        yield from _bound_problems(objective, objective.seconds)
    yield from _burn_problems(objective, windows, period)


def _bound_problems(objective: Objective, limit_seconds: float) -> Iterator[Problem]:
    signal = SLO_SIGNALS[objective.slo]
    if objective.bucket_bounds_seconds:
        known = {objective.engine or "the engine": objective.bucket_bounds_seconds}
    else:
        known = {
            engine: bounds
            for (engine, histogram), bounds in LATENCY_BOUNDS_SECONDS.items()
            if histogram == signal and objective.engine in {"", engine}
        }
    if not known:
        yield Problem("engine", f"the bucket bounds of {objective.engine} are not known; give bucket_bounds_seconds")
    for engine, bounds in known.items():
        if limit_seconds not in bounds:
            listed = ", ".join(f"{bound:g}" for bound in bounds)
            yield Problem("seconds", f"{limit_seconds:g} is no bucket bound of {engine}; take one of {listed}")


def _burn_problems(objective: Objective, windows: tuple[BurnWindow, ...], period: Duration) -> Iterator[Problem]:
    for window in windows:
        factor = window.factor(period)
        if factor * objective.budget >= 1:
            highest, most = 1 - 1 / factor, float(1 / objective.budget)
            yield Problem(
                "target",
                f"{objective.target:g} can burn at {most:.3g} at most, so the window of {window.long} "
                f"(factor {factor:f}) could never fire; raise the target above {highest:.4f} or lower its budget_share",
            )


def window_problems(window: BurnWindow) -> Iterator[Problem]:
    """Yield what is wrong with a burn-rate window."""
    for key, duration in (("long", window.long), ("short", window.short)):
        if duration not in WINDOWS:
            yield Problem(key, f"{duration} is not recorded; take one of {', '.join(WINDOWS)}")
    if seconds(window.short) >= seconds(window.long):
        yield Problem("short", f"{window.short} is not shorter than {window.long}")
