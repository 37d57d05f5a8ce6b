"""LLMAbortRateHigh."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import by

__all__ = ["alerts"]

_WHERE = "{{ $labels.model }} ({{ $labels.engine }}, namespace {{ $labels.namespace }})"
_SUMMARY = "{{ $labels.model }}: clients leave before their answer is complete"
_WHY = (
    "A client that gives up counts as no error and its latency is recorded nowhere: the worse the wait, "
    "the better the other numbers look."
)


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert for engines that count aborted requests, and one for those that only lose sight of them."""
    return (_counted(config), _unseen(config))


def _counted(config: Config) -> Alert:
    limits = config.thresholds.efficiency
    window, floor = limits.abort_window, limits.abort_floor_requests
    return Alert(
        name="LLMAbortRateHigh",
        labels={"shown_by": "aborted"},
        expr=(
            f'sum {by(MODEL_LABELS)} (increase(llm_requests_total{{reason="abort"}}[{window}]))\n'
            f"  / (sum {by(MODEL_LABELS)} (increase(llm_requests_total[{window}])) > {floor:g})\n"
            f"> {limits.abort_ratio:g}"
        ),
        pending=limits.abort_for,
        severity="warning",
        summary=_SUMMARY,
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the requests to {_WHERE} that ended in the last {window} were "
            "aborted by their client."
        ),
        why=_WHY,
        board=MODEL,
    )


def _unseen(config: Config) -> Alert:
    """Requests that had a first token and neither finished nor run on: vLLM 0.32 counts an abort nowhere else."""
    limits = config.thresholds.efficiency
    window, floor = limits.abort_window, limits.abort_floor_requests
    begun = f"sum {by(MODEL_LABELS)} (increase(llm_time_to_first_token_seconds_count[{window}]))"
    ended = f"sum {by(MODEL_LABELS)} (increase(llm_requests_total[{window}]))"
    running = "model:llm_requests_running:sum"
    return Alert(
        name="LLMAbortRateHigh",
        labels={"shown_by": "unfinished"},
        expr=(
            f"(\n  {begun}\n  - {ended}\n"
            "  # More of them run than did: these are not lost.\n"
            f"  - clamp_min({running} - {running} offset {window}, 0)\n"
            f") / ({begun} > {floor:g})\n"
            f"> {limits.abort_ratio:g}"
        ),
        pending=limits.abort_for,
        severity="warning",
        summary=_SUMMARY,
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the requests to {_WHERE} that had their first token in the last "
            f"{window} neither finished nor run on: their clients left, and this engine counts no aborts."
        ),
        why=_WHY,
        board=MODEL,
    )
