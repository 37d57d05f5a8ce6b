"""LLMReplicaImbalance."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency.peers import PEERS, among_peers, peers
from catalog.boards import REPLICA
from catalog.recorded.levels import MODEL as MODEL_LABELS
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]

_TOKENS = "replica:llm_generation_tokens:rate5m"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.efficiency
    times, pending = limits.imbalance_times_peers, limits.imbalance_for
    in_flight = f"avg {by(MODEL_LABELS)} (avg_over_time(llm_requests_running[{pending}]))"
    return (
        Alert(
            name="LLMReplicaImbalance",
            expr=(
                f"{among_peers(_TOKENS)}\n"
                f"> on ({labels(PEERS)}) group_left () {times:g} * (\n"
                # The mean of the busiest one's peers: of all, it would grow with the busiest.
                f"  {peers('sum', _TOKENS)}\n"
                f"  - {peers('max', _TOKENS)}\n"
                f") / (\n"
                f"  {peers('count', _TOKENS)} - 1 > 0\n"
                ")\n"
                f"and on ({labels(MODEL_LABELS)}) {in_flight} >= {limits.imbalance_floor_requests:g}"
            ),
            pending=pending,
            severity="warning",
            summary="{{ $labels.model }}: one replica does the work of several",
            description=(
                "{{ $labels.pod }} (rank {{ $labels.rank }}, namespace {{ $labels.namespace }}) generates "
                f"{{{{ $value | humanize }}}} tokens a second, more than {times:g} times the mean of the other "
                "replicas of {{ $labels.model }} ({{ $labels.engine }}), "
                f"for {pending}."
            ),
            why=(
                "Users of the busy replica queue while the GPUs of the others are paid for. Means over the model, "
                "which autoscalers look at, show neither."
            ),
            board=REPLICA,
        ),
    )
