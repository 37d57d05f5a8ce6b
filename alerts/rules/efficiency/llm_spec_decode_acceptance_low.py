"""LLMSpecDecodeAcceptanceLow."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency.baseline import has_history, recently, usually
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]

_ACCEPTANCE = "model:llm_spec_decode_acceptance:ratio_rate5m"
_OF_MODEL = "{{ $labels.model }} ({{ $labels.engine }}, namespace {{ $labels.namespace }})"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert against the model's own baseline, and one against the length at which drafting pays."""
    limits = config.thresholds.efficiency
    window, share = limits.recent_window, limits.spec_decode_share_of_baseline
    shortest = limits.spec_decode_accepted_length
    enough = f"{_rate('draft_tokens', window)} > {limits.spec_decode_floor_tokens_per_second:g}"
    return (
        _alert(
            config,
            "baseline",
            f"{recently(_ACCEPTANCE, limits)} < {share:g} * {usually(_ACCEPTANCE, limits)}\n"
            f"and {has_history(_ACCEPTANCE, limits)}\n"
            f"and on ({labels(MODEL_LABELS)}) {enough}",
            f"{_OF_MODEL} accepted {{{{ $value | humanizePercentage }}}} of its draft tokens in the last {window}, "
            f"less than {share * 100:g} % of the share of the day before.",
        ),
        _alert(
            config,
            "break_even",
            f"1 + {_rate('accepted_tokens', window)}\n  / ({_rate('drafts', window)} > 0) < {shortest:g}\nand {enough}",
            f'A draft round of {_OF_MODEL} yielded {{{{ printf "%.2f" $value }}}} tokens in the last {window}; '
            f"under {shortest:g}, drafting costs more than it saves.",
        ),
    )


def _rate(what: str, window: str) -> str:
    return f"sum {by(MODEL_LABELS)} (rate(llm_spec_decode_{what}_total[{window}]))"


def _alert(config: Config, against: str, expr: str, description: str) -> Alert:
    return Alert(
        name="LLMSpecDecodeAcceptanceLow",
        expr=expr,
        pending=config.thresholds.efficiency.shift_for,
        severity="info",
        labels={"against": against},
        summary="{{ $labels.model }}: speculative decoding guesses badly",
        description=description,
        why=(
            "Draft tokens that are thrown away cost the steps that they were to save. Traffic that no longer fits the "
            "draft model shows against its own baseline, one that never fitted shows at break-even."
        ),
        board=MODEL,
    )
