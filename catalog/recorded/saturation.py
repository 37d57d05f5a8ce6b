"""How full the replicas of a model are, how busy the GPUs of a pod; and what else is known of an engine's pod."""

from __future__ import annotations

from catalog.recorded.levels import MODEL, POD, RecordedSeries

__all__ = ["SERIES"]

_ROLE = (*MODEL, "role")

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
    RecordedSeries(
        "pod:llm_role:info",
        (*POD, "role"),
        "1",
        "What part of a request a pod does: prefill, decode, or all where no label of the pod says so.",
    ),
    RecordedSeries(
        "pod:inferwatch_workload:info",
        (*POD, "workload"),
        "1",
        "Name of what an autoscaler would scale to have more of an engine's pod: a Deployment, a StatefulSet.",
    ),
    RecordedSeries("role:llm_requests_waiting:sum", _ROLE, "requests", "Waiting requests of a role."),
    RecordedSeries(
        "role:llm_requests_waiting:per_running",
        _ROLE,
        "ratio",
        "Waiting requests of a role for each running one, or for one where none runs.",
    ),
    RecordedSeries(
        "pod:inferwatch_gpu_activity:ratio_avg5m",
        (*POD, "container", "UUID"),
        "ratio",
        "Share of time in which a pod's GPU, or the busiest of its MIG instances there, was busy, whoever shares it.",
    ),
)
