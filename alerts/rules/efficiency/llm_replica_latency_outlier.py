"""LLMReplicaLatencyOutlier."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency.peers import PEERS, among_peers, peers
from catalog.boards import REPLICA
from catalog.recorded.latency import quantile_of
from catalog.recorded.levels import REPLICA as REPLICA_LABELS
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]

_TTFT = "llm_time_to_first_token_seconds"
_P95 = quantile_of(_TTFT, "p95", "replica")


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.efficiency
    times, pending = limits.latency_outlier_times_median, limits.latency_outlier_for
    requests = f"sum {by(REPLICA_LABELS)} (increase({_TTFT}_count[{pending}]))"
    return (
        Alert(
            name="LLMReplicaLatencyOutlier",
            expr=(
                f"{among_peers(_P95)}\n"
                f"> on ({labels(PEERS)}) group_left () {times:g} * {peers('quantile(0.5)', _P95)}\n"
                f"and on ({labels(REPLICA_LABELS)}) {_P95} > {limits.latency_outlier_floor_seconds:g}\n"
                f"and on ({labels(PEERS)}) {peers('count', _P95)} >= {limits.latency_outlier_replicas}\n"
                f"and on ({labels(REPLICA_LABELS)}) {requests} >= {limits.latency_outlier_floor_requests:g}"
            ),
            pending=pending,
            severity="warning",
            summary="{{ $labels.model }}: one replica answers far later than its peers",
            description=(
                "On {{ $labels.pod }} (rank {{ $labels.rank }}, node {{ $labels.node }}, namespace "
                "{{ $labels.namespace }}) one in twenty requests waits longer than {{ $value | humanizeDuration }} for "
                f"its first token, over {times:g} times the median of the replicas of {{{{ $labels.model }}}} "
                "({{ $labels.engine }})."
            ),
            why=(
                "Peers with the same model and traffic differ by their GPU, their node or their queue. In the model's "
                "quantile one bad replica of many does not show."
            ),
            board=REPLICA,
        ),
    )
