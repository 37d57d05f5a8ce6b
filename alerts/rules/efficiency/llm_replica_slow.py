"""LLMReplicaSlow."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency.baseline import STEP, steps
from alerts.thresholds import Efficiency
from catalog.boards import REPLICA
from catalog.recorded.levels import POD, labels

__all__ = ["alerts"]

_SPEED = "process:llm_generation_tokens:rate5m_per_running"
_BATCH = "process:llm_requests_running:avg5m"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.efficiency
    share = limits.slow_replica_share_of_baseline
    return (
        Alert(
            name="LLMReplicaSlow",
            expr=(
                f"{_SPEED} < {share:g} * quantile_over_time(0.5, {_like_now(limits)})\n"
                f"and count_over_time({_like_now(limits)}) >= {steps(limits.slow_replica_history)}\n"
                f"and {_BATCH} >= {limits.slow_replica_floor_requests:g}\n"
                # A prefill replica makes one token a request: its speed is the prompts' length.
                f'unless on ({labels(POD)}) pod:llm_role:info{{role="prefill"}}'
            ),
            pending=limits.slow_replica_for,
            severity="warning",
            summary="{{ $labels.model }}: one replica generates tokens far more slowly than it did at the same load",
            description=(
                "{{ $labels.pod }} (node {{ $labels.node }}, namespace {{ $labels.namespace }}) generates "
                "{{ $value | humanize }} tokens a second for each running request of {{ $labels.model }} "
                f"({{{{ $labels.engine }}}}), less than {share * 100:g} % of what it did at a like batch in the last "
                f"{limits.baseline_window}."
            ),
            why=(
                "A throttled GPU, a degraded link or a noisy neighbour slows every token and fails no request. Only "
                "the replica's own speed at the same batch tells that from more load."
            ),
            board=REPLICA,
        ),
    )


def _like_now(limits: Efficiency) -> str:
    """The speed a request over the baseline window, at those times whose batch was like the present one."""
    times, offset = limits.slow_replica_batch_times, limits.recent_window
    return (
        f"(\n  {_SPEED}\n"
        f"  and {_BATCH} * {times:g} > {_BATCH} @ end()\n"
        f"  and {_BATCH} < {times:g} * {_BATCH} @ end()\n"
        f")[{limits.baseline_window}:{STEP}] offset {offset}"
    )
