"""LLMPrefixHitRateDropped."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency.baseline import has_history, recently, usually
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]

_HIT = "model:llm_prefix_cache_hit:ratio_rate5m"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.efficiency
    share = limits.prefix_hit_share_of_baseline
    looked_up = f"sum {by(MODEL_LABELS)} (rate(llm_prefix_cache_queries_total[{limits.recent_window}]))"
    return (
        Alert(
            name="LLMPrefixHitRateDropped",
            expr=(
                f"{recently(_HIT, limits)} < {share:g} * {usually(_HIT, limits)}\n"
                f"and {usually(_HIT, limits)} > {limits.prefix_floor_baseline_ratio:g}\n"
                f"and {has_history(_HIT, limits)}\n"
                f"and on ({labels(MODEL_LABELS)}) {looked_up} > {limits.prefix_floor_tokens_per_second:g}"
            ),
            pending=limits.shift_for,
            severity="info",
            summary="{{ $labels.model }}: the prefix cache finds far less than usual",
            description=(
                "{{ $value | humanizePercentage }} of the prompt tokens of {{ $labels.model }} ({{ $labels.engine }}, "
                f"namespace {{{{ $labels.namespace }}}}) in the last {limits.recent_window} were found in the prefix "
                f"cache, less than {share * 100:g} % of the share of the day before."
            ),
            why=(
                "What the cache no longer finds is computed again: prefill work doubles while traffic stays the same. "
                "The model's own baseline tells a loss from traffic that never shared anything."
            ),
            board=MODEL,
        ),
    )
