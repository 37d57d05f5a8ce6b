"""LLMPreemptionStorm."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import MODEL
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import by

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.saturation
    window, ratio = limits.preemption_window, limits.preemptions_per_request_ratio
    preempted = f"sum {by(MODEL_LABELS)} (increase(llm_preemptions_total[{window}]))"
    finished = f"sum {by(MODEL_LABELS)} (increase(llm_requests_total[{window}]))"
    return (
        Alert(
            name="LLMPreemptionStorm",
            # Not a ratio: at its worst no request finishes at all.
            expr=f"{preempted}\n  > {ratio:g} * {finished}\nand {preempted} >= {limits.preemption_floor:g}",
            pending=limits.preemption_for,
            severity="warning",
            summary="{{ $labels.model }}: running requests are thrown out of the KV cache and computed again",
            description=(
                "{{ $value | humanize }} times in "
                f"{window} a running request to {{{{ $labels.model }}}} ({{{{ $labels.engine }}}}, namespace "
                "{{ $labels.namespace }}) lost its KV cache to another: "
                f"more than {ratio:g} for each request that finished."
            ),
            why=(
                "Each preemption computes a request's whole context again. vLLM's current engine never logs one, so "
                "this counter is the only sign of work that is done twice."
            ),
            board=MODEL,
        ),
    )
