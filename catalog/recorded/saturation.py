"""How full the replicas of a model are."""

from __future__ import annotations

from catalog.recorded.levels import MODEL, RecordedSeries

__all__ = ["SERIES"]

SERIES: tuple[RecordedSeries, ...] = (
    RecordedSeries("model:llm_replicas:count", MODEL, "replicas", "Engine processes that are known, up or not."),
    RecordedSeries("model:llm_replicas_up:count", MODEL, "replicas", "Engine processes that answer."),
    RecordedSeries("model:llm_requests_running:sum", MODEL, "requests", "Requests in running batches."),
    RecordedSeries("model:llm_requests_waiting:sum", MODEL, "requests", "Requests that wait to be scheduled."),
    RecordedSeries(
        "model:llm_requests_waiting:per_replica", MODEL, "requests", "Waiting requests for each replica that answers."
    ),
    RecordedSeries("model:llm_kv_cache_usage:avg", MODEL, "ratio", "KV cache in use, the mean over replicas."),
    RecordedSeries("model:llm_kv_cache_usage:max", MODEL, "ratio", "KV cache in use, the fullest replica."),
    RecordedSeries("model:llm_preemptions:rate5m", MODEL, "preemptions/s", "Preemptions."),
    RecordedSeries(
        "model:llm_saturation:ratio",
        MODEL,
        "ratio",
        "The fullest of what limits a model: KV cache in use, and running requests of those that may run.",
    ),
)
