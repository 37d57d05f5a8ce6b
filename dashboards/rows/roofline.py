"""How near a model's GPUs are to what they could do."""

from __future__ import annotations

from catalog.recorded.levels import MODEL, by
from dashboards.board import Row
from dashboards.holders import field_by_model
from dashboards.panels import BoardPanel, TimeSeries
from dashboards.promql import ratio, sum_rate
from dashboards.query import line
from dashboards.scope import Scope

__all__ = ["roofline_row"]


def roofline_row(scope: Scope) -> Row:
    """Return memory bandwidth, tensor pipes, and what comes out of them."""
    return Row("Throughput against the roofline", (_memory(scope), _tensor(scope), _per_gpu(scope), _flops(scope)))


def _memory(scope: Scope) -> BoardPanel:
    return TimeSeries(
        title="Memory bandwidth used, by model",
        what="HBM bandwidth used, the mean over a model's GPUs: decoding reads all weights in each step, so this is its roof.",
        good="Above a half under load: near the roof, the engine is fine.",
        act="Low under load: batches are small, or the engine is bound by launches; try CUDA graphs.",
        targets=[line(field_by_model("DCGM_FI_PROF_DRAM_ACTIVE", scope.select), scope.legend)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        columns=6,
    )


def _tensor(scope: Scope) -> BoardPanel:
    return TimeSeries(
        title="Tensor pipes busy, by model",
        what="Cycles with a busy tensor pipe, the mean over a model's GPUs: the roof of prefill.",
        good="Above a third in prefills.",
        act="Both roofs far away with requests waiting: the limit is the engine's settings, not the GPU.",
        targets=[line(field_by_model("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", scope.select), scope.legend)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        columns=6,
    )


def _per_gpu(scope: Scope) -> BoardPanel:
    return TimeSeries(
        title="Generated tokens per second and GPU",
        what="Throughput for each GPU held.",
        good="The highest value that was ever reached under load is what this model can do here.",
        act="Below it under load: batch size, preemptions, clocks.",
        targets=[
            line(
                ratio(scope.select("model:llm_generation_tokens:rate5m"), scope.select("model:llm_gpus_held:count")),
                scope.legend,
            )
        ],
        unit="count:tok/s",
        minimum=0,
        columns=6,
    )


def _flops(scope: Scope) -> BoardPanel:
    work = sum_rate(scope.select("llm_estimated_flops_per_gpu_total"), MODEL)
    return TimeSeries(
        title="Estimated arithmetic per GPU",
        what="Floating point work of a GPU as the engine estimates it; zero unless its estimate is switched on.",
        good="Compare with the data sheet's dense figure: an H100 has 989e12 in bf16.",
        act="Far below it in prefills: prompts are short, or chunks too small.",
        targets=[line(ratio(work, f"sum {by(MODEL)} ({scope.select('llm_up')})"), scope.legend)],
        unit="flops",
        minimum=0,
        columns=6,
    )
