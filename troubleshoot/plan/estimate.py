"""What a model needs and gives on a number of GPUs of one kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from troubleshoot.capacity import (
    DEFAULT_BLOCK_SIZE,
    kv_budget_bytes,
    kv_bytes_per_token,
    longest_context,
    mean_resident_tokens,
    request_kv_bytes,
    resident_deviation_tokens,
    safe_max_num_seqs,
    tokens_that_fit,
    weight_bytes,
)
from troubleshoot.parallel import tensor_parallel_obstacle, tensor_parallel_sizes
from troubleshoot.plan.chunking import chunks_prompts
from troubleshoot.plan.inputs import Question
from troubleshoot.profiled_memory import activation_peak_bytes, non_torch_bytes
from troubleshoot.steady_state import Pace, Replica, at_concurrency

GPUS_A_NODE = 8
_MOST_GPUS = 64
_ROOMY_SHARE, _PLENTY_SEQUENCES = 0.65, 128
"""Weights that take more of the budget leave so little KV cache that a larger group serves more on the same GPUs,
unless a token takes so little that many sequences fit all the same."""
_MOST_SEQUENCES = 1024
"""vLLM's own default on large GPUs, and the largest batch for which engines capture graphs."""

_SHOWN_COUNTS = (1, 4, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Layout:
    """`replicas` engines of `tensor_parallel` x `pipeline_parallel` GPUs."""

    tensor_parallel: int
    pipeline_parallel: int
    replicas: int = 1

    @property
    def group(self) -> int:
        """GPUs of one engine."""
        return self.tensor_parallel * self.pipeline_parallel


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on each GPU of one engine (the fullest), and what its KV cache holds.

    `kv_bytes` below 0 is what is missing. `tokens` and `blocks` count for the whole engine; `longest` is the longest
    context of one request.
    """

    total_bytes: float
    budget_bytes: float
    weights_bytes: float
    activation_bytes: float
    non_torch_bytes: float
    kv_bytes: float
    kv_bytes_a_token: float
    tokens: int
    longest: int

    @property
    def blocks(self) -> int:
        """Blocks of the KV cache, of 16 tokens each."""
        return self.tokens // DEFAULT_BLOCK_SIZE


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer for one layout. Sequences and paces are of one engine; `total_*` of all replicas.

    `obstacle` says why it does not fit, empty where it does. `context` is the one asked for, else the longest.
    """

    layout: Layout
    memory: Memory
    context: int
    obstacle: str
    full_length: float = 0.0
    most_sequences: int = 0
    paces: tuple[Pace, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the engine would start and serve a request of `context` tokens."""
        return not self.obstacle

    @property
    def loaded(self) -> Pace | None:
        """The pace with as many sequences as were asked for, else as are safe."""
        return self.paces[-1] if self.paces else None

    @property
    def never_preempts(self) -> int:
        """Sequences of full length that fit at once."""
        return math.floor(self.full_length)

    @property
    def total_tokens_per_second(self) -> float:
        """Output tokens a second of all replicas under load."""
        return self.loaded.output_tokens_per_second * self.layout.replicas if self.loaded else 0.0

    @property
    def total_tokens(self) -> int:
        """KV tokens of all replicas."""
        return self.memory.tokens * self.layout.replicas

    def dollars_per_million(self, dollars_per_hour: float, pace: Pace | None = None) -> float:
        """Price of a million output tokens at this pace, else under load; infinite where nothing is served."""
        at = pace or self.loaded
        rate = at.output_tokens_per_second if at else 0.0
        return dollars_per_hour * self.layout.group / (rate * 3600) * 1e6 if rate else math.inf


def replica_of(question: Question, layout: Layout) -> Replica:
    """The engine of this layout as `troubleshoot.steady_state` takes it."""
    return Replica(
        question.shape,
        question.gpu,
        question.quantization,
        question.kv_dtype,
        layout.tensor_parallel,
        layout.pipeline_parallel,
        question.batched_tokens,
    )


def memory_of(question: Question, layout: Layout) -> Memory:
    """The memory of one GPU; a step holds `batched_tokens`, or the whole context where prompts are not cut.

    There a longer context takes more for activations and leaves less for itself: the longest is where both meet.
    """
    memory = _memory_of(question, layout, question.batched_tokens)
    if chunks_prompts(question.engine, question.engine_version) or memory.longest <= question.batched_tokens:
        return memory
    if question.context:
        return _memory_of(question, layout, max(question.context, question.batched_tokens))
    low, high = question.batched_tokens, memory.longest
    while low < high:
        middle = (low + high + 1) // 2
        enough = _memory_of(question, layout, middle).longest >= middle
        low, high = (middle, high) if enough else (low, middle - 1)
    return replace(_memory_of(question, layout, low), longest=low)


def _memory_of(question: Question, layout: Layout, step_tokens: int) -> Memory:
    shape, tensor, pipeline = question.shape, layout.tensor_parallel, layout.pipeline_parallel
    weights = weight_bytes(shape, question.quantization, tensor, pipeline)
    activation = activation_peak_bytes(shape, step_tokens, tensor)
    outside = non_torch_bytes(layout.group)
    if question.reserved_bytes is not None:
        activation, outside = question.reserved_bytes, 0.0
    total = question.gpu.usable_bytes
    kv = kv_budget_bytes(total, question.utilization, weights, activation, outside)
    token = kv_bytes_per_token(shape, question.kv_dtype, tensor, pipeline)
    longest = longest_context(kv, shape, question.kv_dtype, tensor, pipeline_parallel=pipeline)
    return Memory(
        total_bytes=total,
        budget_bytes=total * question.utilization,
        weights_bytes=weights,
        activation_bytes=activation,
        non_torch_bytes=outside,
        kv_bytes=kv,
        kv_bytes_a_token=token,
        tokens=_tokens(question, layout, kv, token, longest),
        longest=longest,
    )


def _tokens(question: Question, layout: Layout, kv_bytes: float, token_bytes: float, longest: int) -> int:
    """Tokens that fit; where layers slide, of requests as long as the context, for shorter ones hold fewer."""
    if not question.shape.sliding_layers:
        return tokens_that_fit(kv_bytes, token_bytes)
    context = question.context or longest
    return tokens_that_fit(kv_bytes, _held(question, layout, context) / context) if context and kv_bytes > 0 else 0


def _held(question: Question, layout: Layout, tokens: float) -> float:
    """Bytes that a request of so many tokens holds on one GPU."""
    return request_kv_bytes(
        question.shape,
        math.ceil(tokens),
        question.kv_dtype,
        layout.tensor_parallel,
        pipeline_parallel=layout.pipeline_parallel,
    )


def estimate(question: Question, layout: Layout) -> Estimate:
    """Memory, sequences and pace of this layout."""
    memory = memory_of(question, layout)
    needed = question.context or math.ceil(question.load.prompt_tokens + question.load.output_tokens)
    context = question.context or memory.longest
    obstacle = _obstacle(question, layout, memory, needed)
    if obstacle:
        return Estimate(layout, memory, context, obstacle)
    most = _most_sequences(question, layout, memory)
    replica = replica_of(question, layout)
    asked = math.ceil(question.concurrency / layout.replicas) if question.concurrency else most
    return Estimate(
        layout,
        memory,
        context,
        "",
        memory.kv_bytes / _held(question, layout, context),
        most,
        tuple(at_concurrency(replica, question.load, count) for count in _counts(min(asked, most))),
    )


def _counts(most: int) -> list[int]:
    """1, 4, 16 and so on up to `most`, and `most`."""
    return [*(count for count in _SHOWN_COUNTS if count < most), most]


def _obstacle(question: Question, layout: Layout, memory: Memory, needed: int) -> str:
    cut = tensor_parallel_obstacle(question.shape, layout.tensor_parallel, question.quantization)
    if cut:
        return f"--tensor-parallel {layout.tensor_parallel}: {cut}"
    gib = 1024**3
    if memory.weights_bytes > memory.budget_bytes:
        return (
            f"the weights, {memory.weights_bytes / gib:.1f} GiB on each GPU, exceed the "
            f"{memory.budget_bytes / gib:.1f} GiB that the engine may use"
        )
    if memory.longest < needed:
        return (
            f"{max(memory.kv_bytes, 0) / gib:.2f} GiB are left for the KV cache, and a request of {needed} tokens "
            f"needs {_held(question, layout, needed) / gib:.2f} GiB"
        )
    return ""


def _most_sequences(question: Question, layout: Layout, memory: Memory) -> int:
    """The highest safe number of sequences: by the KV cache, and by the time a token may take."""
    load = question.load
    mean = _held(question, layout, mean_resident_tokens(load.prompt_tokens, load.output_tokens))
    deviation = resident_deviation_tokens(load.output_tokens) * memory.kv_bytes_a_token
    most = min(safe_max_num_seqs(memory.kv_bytes, mean, deviation), _MOST_SEQUENCES)
    if math.isinf(question.tpot_seconds):
        return most
    replica = replica_of(question, layout)
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        in_time = at_concurrency(replica, load, middle).tpot_seconds <= question.tpot_seconds
        low, high = (middle, high) if in_time else (low, middle - 1)
    return low


def layouts(question: Question, gpus: int) -> Iterator[Layout]:
    """Every way to group `gpus` into engines: tensor parallel within a node, then pipelines over nodes."""
    if question.tensor_parallel or question.pipeline_parallel:
        group = (question.tensor_parallel or 1) * (question.pipeline_parallel or 1)
        if group <= gpus:
            yield Layout(question.tensor_parallel or 1, question.pipeline_parallel or 1, gpus // group)
        return
    sizes = tensor_parallel_sizes(question.shape, min(gpus, GPUS_A_NODE), question.quantization)
    for size in sizes:
        yield Layout(size, 1, gpus // size)
    widest = tensor_parallel_sizes(question.shape, GPUS_A_NODE, question.quantization)[-1]
    stages = 1 if question.engine == "tgi" else min(question.shape.layers, gpus // widest)
    for stage in range(2, stages + 1):
        yield Layout(widest, stage, gpus // (widest * stage))


def best_estimate(question: Question) -> Estimate:
    """The answer for the number of GPUs asked, or for as few as hold the model with room for its KV cache."""
    if question.gpus is None:
        fewest = (question.tensor_parallel or 1) * (question.pipeline_parallel or 1)
        found = [estimate(question, each) for each in _single(question, max(_MOST_GPUS, fewest))]
    else:
        found = [estimate(question, each) for each in layouts(question, question.gpus)]
    fitting = [each for each in found if each.fits]
    if not fitting:
        return max(found, key=lambda each: (each.memory.kv_bytes, -each.layout.group))
    roomy = [each for each in fitting if _is_roomy(each)]
    candidates = [fitting[0], *roomy[:1]]
    if question.gpus is None:
        return candidates[-1]
    return max(candidates, key=lambda each: each.total_tokens)


def _is_roomy(found: Estimate) -> bool:
    weights = found.memory.weights_bytes <= _ROOMY_SHARE * found.memory.budget_bytes
    return weights or found.most_sequences >= _PLENTY_SEQUENCES


def _single(question: Question, most: int) -> Iterator[Layout]:
    for layout in layouts(question, most):
        yield Layout(layout.tensor_parallel, layout.pipeline_parallel)
