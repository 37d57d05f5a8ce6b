"""LLMEngineStuck."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import REPLICA, by, labels

__all__ = ["alerts"]

_SIGNS = ("llm_engine_steps_total", "llm_inter_token_latency_seconds_count", "llm_kv_cache_usage_ratio")
"""Every engine that this alert can judge has one of these, and they move while it works."""

_PROGRESS = (
    *_SIGNS,
    "llm_kv_cache_used_tokens",
    "llm_generation_tokens_total",
    'llm_requests_total{reason=~"stop|length"}',
)
"""What moves in some engine while it works. Some count tokens only when a request ends."""


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on engines that have work and do none of it."""
    window = config.thresholds.engine.stuck_window
    shown = "\n  or ".join(_SIGNS)
    moved = "\n  or ".join(f"changes({sign}[{window}]) > 0" for sign in _PROGRESS)
    on_replica = f"on ({labels(REPLICA)})"
    return (
        Alert(
            name="LLMEngineStuck",
            expr=(
                f"max {by(REPLICA)} (\n"
                f"  {_throughout('llm_requests_running', window)}\n"
                f"  or {_throughout('llm_requests_waiting', window)}\n"
                ")\n"
                "# Without any sign of progress in an engine's series, the lack of one says nothing.\n"
                f"and {on_replica} (\n  {shown}\n)\n"
                f"unless {on_replica} (\n  {moved}\n)"
            ),
            pending=config.thresholds.engine.stuck_for,
            severity="critical",
            summary="{{ or $labels.model $labels.engine }}: a replica has requests and makes no step",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} ({{ $labels.engine }}, rank {{ $labels.rank }}, node "
                "{{ $labels.node }}) has requests running or waiting ({{ $value | humanize }}), and for "
                f"{window} there was no step, no token and no finished request."
            ),
            why=(
                "The front end of a hung engine still answers health checks, so nothing restarts it and load balancers "
                "keep sending. Steps rather than tokens: a long prefill makes no token for minutes."
            ),
            board=REPLICA_BOARD,
        ),
    )


def _throughout(gauge: str, window: str) -> str:
    """Above 0 now, at every scrape of the window, and at its beginning: an engine that just started is not judged."""
    return f"({gauge} and min_over_time({gauge}[{window}]) > 0 and {gauge} offset {window})"
