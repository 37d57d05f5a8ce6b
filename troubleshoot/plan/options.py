"""What else could be done with the same model: narrower weights or cache, a slice of a GPU, a shared GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from catalog.hardware import Gpu
from catalog.mig_profiles import MigProfile, mig_profiles
from troubleshoot.plan.estimate import Estimate, Layout, best_estimate, estimate, memory_of
from troubleshoot.plan.inputs import Question

_MEMORY_SLICES = 8
_COMPUTE_SLICES = 7
_MOST_SHARERS = 4
_QUANTIZED = ("fp8", "int4")
# fp8 arithmetic needs compute capability 8.9; below, engines unpack fp8 weights, and the cache's dtype lacks kernels.
_FP8_CAPABILITY = 8.9


@dataclass(frozen=True, slots=True)
class Option:
    """One way; `copies` engines on the GPUs asked about, tokens and rates of all of them together."""

    name: str
    estimate: Estimate
    copies: int
    tokens: int
    tokens_per_second: float
    note: str = ""


def variants(question: Question, base: Estimate) -> Iterator[Option]:
    """The same GPUs with narrower weights and with a narrower KV cache, where that changes something.

    They are grouped as in `base` where that fits, so that only the widths differ.
    """
    if base.fits:
        layout = base.layout
        question = replace(
            question,
            gpus=layout.group * layout.replicas,
            tensor_parallel=layout.tensor_parallel,
            pipeline_parallel=layout.pipeline_parallel,
        )
    if question.quantization == "auto" and not question.shape.quantization:
        for method in _QUANTIZED:
            note = "needs a quantized checkpoint" if method == "int4" else _fp8_note(question.gpu)
            yield _option(f"{method} weights", replace(question, quantization=method), note)
    if question.kv_dtype == "auto" and _capability(question.gpu) >= _FP8_CAPABILITY:
        yield _option("fp8 KV cache", replace(question, kv_dtype="fp8"), "half the bytes a token")


def _capability(gpu: Gpu) -> float:
    try:
        return float(gpu.compute_capability)
    except ValueError:
        return _FP8_CAPABILITY if "fp8" in gpu.dense_flops else 0.0


def _fp8_note(gpu: Gpu) -> str:
    return "quantized while loading" if _capability(gpu) >= _FP8_CAPABILITY else "weights only: this GPU has no fp8"


def _option(name: str, question: Question, note: str) -> Option:
    found = best_estimate(question)
    copies = found.layout.replicas
    return Option(name, found, copies, found.total_tokens, found.total_tokens_per_second, note)


def slices(question: Question) -> Iterator[Option]:
    """One engine in each MIG instance of a GPU, for each profile that the GPU has."""
    for profile in mig_profiles(question.gpu):
        if profile.compute_slices < _compute_slices(question.gpu):
            cut = replace(question, gpu=mig_gpu(question.gpu, profile), gpus=1, concurrency=None)
            found = estimate(cut, Layout(1, 1))
            rate = found.loaded.output_tokens_per_second * profile.most if found.loaded else 0.0
            yield Option(profile.name, found, profile.most, found.memory.tokens * profile.most, rate)


def _compute_slices(gpu: Gpu) -> int:
    return max(profile.compute_slices for profile in mig_profiles(gpu))


def mig_gpu(gpu: Gpu, profile: MigProfile) -> Gpu:
    """A MIG instance as a GPU: its memory, and its parts of bandwidth and arithmetic.

    Bandwidth goes with the memory slices and arithmetic with the compute slices. The name's gigabytes are taken as
    decimal: `nvidia-smi mig -lgip` prints 9.50 to 9.75 GiB for 1g.10gb and 16.00 for an H200's 1g.18gb.
    """
    whole = max(each.memory_gib for each in mig_profiles(gpu))
    memory_slices = max(round(profile.memory_gib / whole * _MEMORY_SLICES), 1)
    computing = profile.compute_slices / _compute_slices(gpu)
    return replace(
        gpu,
        name=f"{gpu.name} MIG {profile.name}",
        memory_bytes=int(profile.memory_gib * 1e9),
        hbm_bandwidth_bytes_per_second=gpu.hbm_bandwidth_bytes_per_second * memory_slices / _MEMORY_SLICES,
        dense_flops={dtype: rate * computing for dtype, rate in gpu.dense_flops.items()},
    )


def shared(question: Question) -> Iterator[Option]:
    """Two to four engines on one GPU by time-slicing: each has its part of the memory, and they take turns.

    Nothing separates their memory, and when all are busy each token takes as many times longer.
    """
    for count in range(2, _MOST_SHARERS + 1):
        part = replace(question, gpus=1, utilization=question.utilization / count, concurrency=None)
        found = estimate(part, Layout(1, 1))
        if not found.fits:
            return
        rate = found.loaded.output_tokens_per_second if found.loaded else 0.0
        tokens = memory_of(part, Layout(1, 1)).tokens * count
        yield Option(f"{count} engines on one GPU", found, count, tokens, rate, "no isolation; they take turns")
