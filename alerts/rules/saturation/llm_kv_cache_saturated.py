"""LLMKVCacheSaturated."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import REPLICA, by, labels

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.saturation
    window, usage = limits.kv_cache_window, limits.kv_cache_usage_ratio
    return (
        Alert(
            name="LLMKVCacheSaturated",
            expr=(
                f"count {by(MODEL_LABELS)} (\n"
                f"  avg_over_time(llm_kv_cache_usage_ratio[{window}]) > {usage:g}\n"
                f"  and on ({labels(REPLICA)}) min_over_time(llm_requests_waiting[{window}]) > 0\n"
                ")"
            ),
            pending=limits.kv_cache_for,
            severity="warning",
            summary="{{ $labels.model }}: requests wait because the KV cache is full",
            description=(
                "{{ $value }} of the replicas of {{ $labels.model }} ({{ $labels.engine }}, namespace "
                f"{{{{ $labels.namespace }}}}) had a KV cache over {usage * 100:g} % full on average and requests "
                f"waiting all the time, for {window} and longer."
            ),
            why=(
                "A full KV cache alone is a cache in use, and no danger to memory: the engine took that at its start. "
                "With requests waiting all along, it is what holds them up."
            ),
            board=MODEL,
        ),
    )
