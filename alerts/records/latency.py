"""Quantiles and means of latency, a model."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.config import Config
from alerts.rule import Group, Record
from catalog.recorded.latency import LATENCIES, QUANTILES, mean_of, quantile_of
from catalog.recorded.levels import MODEL, REPLICA, by, labels

__all__ = ["group"]

_TTFT = "llm_time_to_first_token_seconds"


def group(config: Config) -> Group:
    """Return the group of quantiles."""
    rules = [rule for signal in LATENCIES for rule in _of_model(signal)]
    rules.append(
        Record(
            record=quantile_of(_TTFT, "p95", "replica"),
            expr=f"histogram_quantile(0.95, sum {by((*REPLICA, 'le'))} (rate({_TTFT}_bucket[5m]))) >= 0",
        )
    )
    return Group(name="inferwatch-records-latency", interval=config.interval, rules=tuple(rules))


def _of_model(signal: str) -> Iterator[Record]:
    for name, quantile in QUANTILES.items():
        yield Record(
            record=quantile_of(signal, name),
            # Comparing drops the NaN of a model that no request finished on.
            expr=f"histogram_quantile({quantile}, {_shared_buckets(signal)}) >= 0",
        )
    yield Record(
        record=mean_of(signal),
        expr=f"sum {by(MODEL)} (rate({signal}_sum[5m])) / (sum {by(MODEL)} (rate({signal}_count[5m])) > 0)",
    )


def _shared_buckets(signal: str) -> str:
    """The summed buckets of a model's replicas, of bounds that all of them have.

    Releases differ in their bounds: while one rolls out, a bound that half of the replicas have would count half of
    the requests, and the sums would not even rise with the bound.
    """
    replicas = f'count {by(MODEL)} ({signal}_bucket{{le="+Inf"}})'
    return (
        f"sum {by((*MODEL, 'le'))} (rate({signal}_bucket[5m]))\n"
        f"  and count {by((*MODEL, 'le'))} ({signal}_bucket) == on ({labels(MODEL)}) group_left () {replicas}"
    )
