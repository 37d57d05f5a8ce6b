"""What GPUs cost, held and idle, and what a million tokens costs."""

from __future__ import annotations

from catalog.recorded.levels import MODEL, POD, RecordedSeries

__all__ = ["SERIES"]

_GPU = ("cluster", "node", "UUID", "model_name")

SERIES: tuple[RecordedSeries, ...] = (
    RecordedSeries(
        "gpu:inferwatch_gpu:info", (*_GPU, "capacity"), "1", "A GPU that is paid for; capacity is on_demand or spot."
    ),
    RecordedSeries("gpu:inferwatch_price:dollars_per_hour", (*_GPU, "capacity"), "dollars/h", "Price of a GPU."),
    RecordedSeries(
        "gpu:inferwatch_instance_slices:count",
        ("cluster", "UUID", "GPU_I_ID", "instance_uuid"),
        "slices",
        "Compute slices of a MIG device.",
    ),
    RecordedSeries(
        "gpu:inferwatch_instance_share:ratio",
        ("cluster", "UUID", "instance_uuid"),
        "ratio",
        "Part of a GPU that a MIG instance is, of those there are; of the GPU itself, 1.",
    ),
    RecordedSeries(
        "pod:inferwatch_gpu_share:ratio",
        (*POD, "UUID"),
        "ratio",
        "Part of a GPU that a pod holds: pods that share one have equal parts.",
    ),
    RecordedSeries("pod:inferwatch_gpus_held:count", POD, "GPUs", "GPUs that a pod holds; of a shared one, its part."),
    RecordedSeries("pod:inferwatch_cost:dollars_per_hour", POD, "dollars/h", "Price of the GPUs that a pod holds."),
    RecordedSeries(
        "pod:llm_model_share:ratio", (*MODEL, "pod"), "ratio", "Part of a pod that a model has: 1 for the only one."
    ),
    RecordedSeries("model:llm_gpus_held:count", MODEL, "GPUs", "GPUs that a model's replicas hold."),
    RecordedSeries("model:llm_cost:dollars_per_hour", MODEL, "dollars/h", "Price of the GPUs that a model holds."),
    RecordedSeries(
        "model:llm_cost_dollars_per_million_tokens",
        MODEL,
        "dollars",
        "Price of the GPUs held over the last hour for each million tokens generated in it.",
    ),
    RecordedSeries(
        "gpu:inferwatch_idle_cost:dollars_per_hour",
        _GPU,
        "dollars/h",
        "Price of a GPU that did nothing for an hour, held by a pod or not.",
    ),
    RecordedSeries(
        "cluster:inferwatch_idle_cost:dollars_per_hour", ("cluster",), "dollars/h", "Their sum; 0 when all work."
    ),
)
