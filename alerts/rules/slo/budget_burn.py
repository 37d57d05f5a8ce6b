"""What the three budget alerts share: one rule a burn-rate window."""

from __future__ import annotations

from alerts.config import Config
from alerts.durations import seconds
from alerts.rule import Alert
from alerts.slo import BurnWindow, SloName
from catalog.boards import SLO
from catalog.recorded.slo import error_ratio, events

__all__ = ["budget_burn"]


def budget_burn(config: Config, name: str, slo: SloName, what: str, why: str) -> tuple[Alert, ...]:
    """Return an alert for each window over which the budget of an SLO is watched.

    Each fires while the budget burns too fast in the long and in the short window, and the long one held enough
    requests. `what` says what happened to a bad request.
    """
    return tuple(_alert(config, window, name, slo, what, why) for window in config.slos.windows_of(slo))


def _alert(config: Config, window: BurnWindow, name: str, slo: str, what: str, why: str) -> Alert:
    factor = f"{window.factor(config.slos.period):f}"
    only = f'{{slo="{slo}"}}'
    budget = f"model:llm_slo_error_budget:ratio{only}"
    floor = f"{config.slos.floor_requests / seconds(window.long):.6g}"
    return Alert(
        name=name,
        expr=(
            f"{error_ratio(window.long)}{only} > {factor} * {budget}\n"
            f"and {error_ratio(window.short)}{only} > {factor} * {budget}\n"
            # Requests a second, so that the long window holds the floor.
            f"and {events(window.long)}{only} >= {floor}"
        ),
        pending=window.pending,
        severity=window.severity,
        labels={"long_window": window.long},
        summary=f"{{{{ $labels.model }}}}: requests that {what} burn the error budget",
        description=(
            "{{ $value | humanizePercentage }} of the requests to {{ $labels.model }} ({{ $labels.engine }}, "
            "namespace {{ $labels.namespace }}) "
            f"in the last {window.long} {what}. "
            f"That spent more than {window.budget_share * 100:g} % of the budget of {config.slos.period}."
        ),
        why=f"{why} A burn rate of {factor} over {window.long}, confirmed over {window.short}.",
        board=SLO,
    )
