"""LLMTruncationShift."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency.baseline import has_history, recently, usually
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]

_SHARE = "model:llm_requests_truncated:ratio_rate5m"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.efficiency
    finished = f'sum {by(MODEL_LABELS)} (increase(llm_requests_total{{reason=~"stop|length"}}[{limits.recent_window}]))'
    return (
        Alert(
            name="LLMTruncationShift",
            expr=(
                f"{recently(_SHARE, limits)} > {limits.truncation_times_baseline:g} * {usually(_SHARE, limits)}\n"
                f"and {recently(_SHARE, limits)} > {limits.truncation_floor_ratio:g}\n"
                f"and {has_history(_SHARE, limits)}\n"
                f"and on ({labels(MODEL_LABELS)}) {finished} >= {limits.truncation_floor_requests:g}"
            ),
            pending=limits.shift_for,
            severity="info",
            summary="{{ $labels.model }}: far more answers than usual are cut off at a length limit",
            description=(
                "{{ $value | humanizePercentage }} of the answers of {{ $labels.model }} ({{ $labels.engine }}, "
                f"namespace {{{{ $labels.namespace }}}}) in the last {limits.recent_window} ended at a length limit, "
                f"more than {limits.truncation_times_baseline:g} times their share of the day before."
            ),
            why=(
                "An answer that is cut off is a success to every other number. A shift means that a limit, the prompts "
                "or the model changed: a model that no longer stops does it too."
            ),
            board=MODEL,
        ),
    )
