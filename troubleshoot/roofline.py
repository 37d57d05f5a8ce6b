"""What this GPU could do for this model, and how a measured rate compares.

Decode is bound by memory: every step reads the weights once, whatever the batch, and each sequence's KV
cache. Prefill is bound by arithmetic: two FLOPs a weight and token. Both limits are hard; no engine reaches
them. GPU utilisation says nothing about this: one serial client keeps it at 100 % on an H200.

Rates are per GPU's share: with tensor parallelism give the bandwidth, the FLOP/s and the weights of one GPU.
Speculative decoding yields several tokens a step and may exceed the decode limit.
"""

from __future__ import annotations

from enum import Enum

from catalog.hardware import Gpu
from troubleshoot.capacity import weight_parts
from troubleshoot.model_shape import ModelShape

HEALTHY_DECODE_SHARE = (0.45, 0.85)
"""Shares of the decode limit that a sound engine reaches for one to a few sequences.

An H200 (4.8 TB/s) decodes Llama-2-7B in bf16 at 222 tokens/s for one client, 62 % (vLLM 0.24.0, CUDA graphs).
The rest goes to launches, sampling and memory that never streams at the data sheet's rate. The ends of the
range are chosen around that, not measured.
"""

TYPICAL_DECODE_SHARE = 0.62
"""Share of the memory limit that a decode step reaches, weights and KV cache counted, with CUDA graphs.

vLLM 0.24.0 on an H200: 62 % at 1 and 8 sequences of a 7B, 64 % at 31 of a 13B (recordings thr_serial_client,
healthy_steady, ttft_queue_burst).
"""

SERVER_SECONDS = 0.008
"""What a request waits outside the engine's steps: HTTP, tokenizer, scheduling (thr_serial_client: 12.8 ms to the
first token, of which one step is 4.5 ms)."""

# What one all-reduce takes before bytes count, over NVLink and over PCIe. From public measurements of small
# messages; no recording has more than one GPU.
_NVLINK_LATENCY_SECONDS, _PCIE_LATENCY_SECONDS = 10e-6, 25e-6

_MATRIX_DTYPE = {"fp8": "fp8", "int8": "int8", "nvfp4": "fp4"}
"""Methods that multiply in their own width; all others unpack weights and multiply in 16 bits."""

LAUNCH_BOUND_DECODE_SHARE = 0.30
"""Below this, at a small batch, the GPU waits for the host.

The same model with --enforce-eager: 75 tokens/s a sequence at 4 clients, 21 %; 62 tokens/s at 16 clients,
18 % (recording stuck_engine). A large batch or long contexts lower the share for a good reason: use
`batch_decode_limit` with their KV cache first.
"""

ABOVE_LIMIT_DECODE_SHARE = 1.05
"""Above this an input is wrong (another GPU, quantized weights, speculation); 5 % covers measuring."""

HEALTHY_PREFILL_SHARE = (0.35, 0.75)
"""Shares of the prefill limit for prompts of a thousand tokens and more.

An H200 prefills one prompt of 22 201 tokens of an 8B model in 0.82 s: 27 000 tokens/s, 54 % of the limit with
attention.
"""

TYPICAL_PREFILL_SHARE = 0.5
"""What `expected_ttft` reckons with: the middle of the healthy range."""


class DecodeJudgement(Enum):
    """What a share of the decode limit says."""

    ABOVE_LIMIT = "above limit"
    HEALTHY = "healthy"
    SLOW = "slow"
    LAUNCH_BOUND = "launch bound"


def decode_limit(
    hbm_bytes_per_second: float, weight_bytes_per_gpu: float, kv_bytes_read_per_step: float = 0.0
) -> float:
    """Return the steps a second that memory allows: the tokens/s of each sequence.

    `weight_bytes_per_gpu` may be all weights (what the engine logs) or, some percent tighter and needed for
    experts, `streamed_weight_bytes`.
    """
    return hbm_bytes_per_second / (weight_bytes_per_gpu + kv_bytes_read_per_step)


def decode_share(measured_tokens_per_second_a_sequence: float, limit_tokens_per_second: float) -> float:
    """Return measured over limit, 0..1 for sound inputs."""
    return measured_tokens_per_second_a_sequence / limit_tokens_per_second


def judge_decode_share(share: float) -> DecodeJudgement:
    """Say what `share` means, by the constants of this module; meant for a few sequences of short context."""
    if share > ABOVE_LIMIT_DECODE_SHARE:
        return DecodeJudgement.ABOVE_LIMIT
    if share >= HEALTHY_DECODE_SHARE[0]:
        return DecodeJudgement.HEALTHY
    return DecodeJudgement.SLOW if share >= LAUNCH_BOUND_DECODE_SHARE else DecodeJudgement.LAUNCH_BOUND


def expected_experts_read(experts: int, experts_per_token: int, batch: float) -> float:
    """Return the experts of a layer that a batch touches, if each token picks its own at random.

    A real router is less even, so this is an upper bound on average.
    """
    missed: float = (1 - experts_per_token / experts) ** batch
    return experts * (1 - missed)


def streamed_weight_bytes(
    shape: ModelShape, dtype_or_quantization: str = "auto", tensor_parallel: int = 1, batch: float = 1
) -> float:
    """Return the weights that one decode step reads on one GPU.

    Not all of them: an untied input embedding is a lookup (2 % of Llama-2-7B, 7 % of Qwen2.5-7B), and of
    routed experts only those are read that some token of the batch picks.
    """
    parts = weight_parts(shape, dtype_or_quantization)
    if not shape.experts:
        return parts.streamed_bytes / tensor_parallel
    touched = expected_experts_read(shape.experts, shape.experts_per_token, batch) / shape.experts
    return (parts.streamed_bytes + parts.routed_bytes * touched) / tensor_parallel


def batch_step_seconds(
    hbm_bytes_per_second: float,
    weight_bytes_per_gpu: float,
    batch: float,
    *,
    kv_bytes_a_sequence: float = 0.0,
    flops_per_second: float | None = None,
    active_parameters: float = 0.0,
) -> float:
    """Return the shortest time of a decode step for `batch` sequences.

    Weights once and each sequence's KV cache through memory; with `flops_per_second`, not less than the
    arithmetic of `active_parameters` (one GPU's share) either.
    """
    memory = (weight_bytes_per_gpu + batch * kv_bytes_a_sequence) / hbm_bytes_per_second
    arithmetic = 2 * active_parameters * batch / flops_per_second if flops_per_second else 0.0
    return max(memory, arithmetic)


def batch_decode_limit(
    hbm_bytes_per_second: float,
    weight_bytes_per_gpu: float,
    batch: float,
    *,
    kv_bytes_a_sequence: float = 0.0,
    flops_per_second: float | None = None,
    active_parameters: float = 0.0,
) -> float:
    """Return the most tokens/s that `batch` sequences get together; arguments as in `batch_step_seconds`."""
    return batch / batch_step_seconds(
        hbm_bytes_per_second,
        weight_bytes_per_gpu,
        batch,
        kv_bytes_a_sequence=kv_bytes_a_sequence,
        flops_per_second=flops_per_second,
        active_parameters=active_parameters,
    )


def ridge_batch(flops_per_second: float, hbm_bytes_per_second: float, bytes_per_parameter: float = 2.0) -> float:
    """Return the batch at which reading a weight takes as long as computing with it; an H200 in bf16: 206.

    Below it a dense model's decode is bound by memory, and more sequences cost next to nothing.
    """
    return flops_per_second * bytes_per_parameter / (2 * hbm_bytes_per_second)


def attention_flops_per_token(shape: ModelShape, prompt_tokens: float) -> float:
    """Return attention's own FLOPs for a prompt token, on average over a causal prompt.

    A token meets half the prompt on average; scores and weighted sum take two FLOPs each for every query
    dimension. Sliding-window layers meet their window at most.
    """
    met = prompt_tokens / 2
    met_in_window = min(met, float(shape.sliding_window or met))
    layer_tokens = (shape.layers - shape.sliding_layers) * met + shape.sliding_layers * met_in_window
    return 4 * shape.attention_heads * shape.head_dim * layer_tokens


def prefill_parameters(shape: ModelShape) -> int:
    """Return the weights that a prompt token is multiplied with: active ones less the vocabulary tables.

    The input embedding is a lookup, and the output head runs for a prompt's last token only.
    """
    return shape.active_parameters - shape.embedding_parameters * (1 if shape.tied_embeddings else 2)


def prefill_limit(
    flops_per_second: float,
    active_parameters: float,
    tensor_parallel: int = 1,
    attention_flops_a_token: float = 0.0,
) -> float:
    """Return the prompt tokens/s that `tensor_parallel` GPUs of `flops_per_second` each allow.

    `active_parameters` is `prefill_parameters` where the shape is known; the full count makes the limit a
    little low. `flops_per_second` is dense (no sparsity) and of the dtype in which the weights are
    multiplied.
    """
    return flops_per_second * tensor_parallel / (2 * active_parameters + attention_flops_a_token)


def expected_ttft(
    prompt_tokens: float,
    prefill_tokens_per_second_limit: float,
    queue_seconds: float = 0.0,
    prefill_share: float = TYPICAL_PREFILL_SHARE,
    step_seconds: float = 0.0,
) -> float:
    """Return the time to first token in seconds: queue, then prefill at a usual share of its limit.

    Prefill reads all weights as well, so it takes no less than `step_seconds`, a decode step.
    """
    prefill_seconds = prompt_tokens / (prefill_tokens_per_second_limit * prefill_share)
    return queue_seconds + max(prefill_seconds, step_seconds)


def matrix_flops(gpu: Gpu, quantization: str = "auto") -> float:
    """Return the dense FLOP/s at which this GPU multiplies weights of that width, 16 bits where it has no own path."""
    wanted = (_MATRIX_DTYPE.get(quantization, "bf16"), "bf16", "fp16", "fp32")
    return next(gpu.dense_flops[dtype] for dtype in wanted if dtype in gpu.dense_flops)


def all_reduce_seconds(shape: ModelShape, tokens: float, tensor_parallel: int, gpu: Gpu) -> float:
    """Return what tensor parallelism adds to a step of `tokens`: two sums over all GPUs in each layer.

    A ring moves each byte twice, less its own share; a link's printed rate counts both directions.
    """
    if tensor_parallel == 1:
        return 0.0
    moved = 2 * (tensor_parallel - 1) / tensor_parallel * tokens * shape.hidden_size * 2
    latency = _PCIE_LATENCY_SECONDS if gpu.link.startswith("PCIe") else _NVLINK_LATENCY_SECONDS
    return 2 * shape.layers * (latency + moved / (gpu.link_bytes_per_second / 2))
