"""What GPUs cost, held and idle, and what a million tokens costs."""

from __future__ import annotations

from catalog.recorded.levels import MODEL, POD, RecordedSeries

__all__ = ["SERIES"]

_GPU = ("cluster", "node", "UUID", "model_name")

SERIES: tuple[RecordedSeries, ...] = (
    RecordedSeries("gpu:inferwatch_price:dollars_per_hour", (*_GPU, "capacity"), "dollars/h", "Price of a GPU."),
    RecordedSeries("pod:inferwatch_gpus_held:count", POD, "GPUs", "GPUs that a pod holds; of a shared one, its part."),
    RecordedSeries("pod:inferwatch_cost:dollars_per_hour", POD, "dollars/h", "Price of the GPUs that a pod holds."),
    RecordedSeries("model:llm_gpus_held:count", MODEL, "GPUs", "GPUs that a model's replicas hold."),
    RecordedSeries("model:llm_cost:dollars_per_hour", MODEL, "dollars/h", "Price of the GPUs that a model holds."),
    RecordedSeries(
        "model:llm_cost_dollars_per_million_tokens",
        MODEL,
        "dollars",
        "Price of the GPUs held over the last hour for each million tokens generated in it.",
    ),
    RecordedSeries("gpu:inferwatch_idle_cost:dollars_per_hour", _GPU, "dollars/h", "Price of GPUs that do nothing."),
    RecordedSeries("cluster:inferwatch_idle_cost:dollars_per_hour", ("cluster",), "dollars/h", "Their sum."),
)
