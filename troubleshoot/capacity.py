"""How much memory weights and KV cache take, and which setting makes them fit.

All sizes are bytes for one GPU unless a name says otherwise; sizes, counts and means must be above 0. The
arithmetic meets what vLLM 0.24.0 printed on an H200 within the 0.01 GiB to which its log rounds: Llama-2-7B
with 115.12 GiB for the cache holds 235 744 tokens (0.5 MiB each). Where a log states a size, that number goes
before one computed here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from troubleshoot.model_shape import SERVED_DTYPE_BYTES, ModelShape
from troubleshoot.parallel import stage_layers

GIB = 1024**3

# vLLM's block size on CUDA unless --block-size says otherwise.
DEFAULT_BLOCK_SIZE = 16

# Above this the CUDA context has no room: on an H200 a process holds about 0.5 GiB outside what it asked for
# (recording oom_shared_gpu: 60 GiB held by another process, two contexts, 78.77 of 139.8 GiB free).
MAX_UTILIZATION = 0.98

# An engine's log rounds to 0.01 GiB, and float division is not exact: one byte decides nothing.
_SLACK_BYTES = 1.0

_DTYPE_BYTES = {"bfloat16": 2.0, "float16": 2.0, "half": 2.0, "float32": 4.0, "float": 4.0}

# Bits for one quantized weight, with the scales: int4 formats hold a 16-bit scale and a 4-bit zero point for
# each group of 128 weights, bitsandbytes NF4 a 32-bit scale for 64, MXFP4 an 8-bit scale for 32, NVFP4 one
# for 16.
_QUANTIZED_BITS = {
    "fp8": 8.0,
    "int8": 8.0,
    "awq": 4 + 20 / 128,
    "awq_marlin": 4 + 20 / 128,
    "gptq": 4 + 20 / 128,
    "gptq_marlin": 4 + 20 / 128,
    "int4": 4 + 20 / 128,
    "bitsandbytes": 4.5,
    "mxfp4": 4.25,
    "nvfp4": 4.5,
}

_KV_DTYPE_BYTES = {
    "bfloat16": 2,
    "float16": 2,
    "half": 2,
    "float32": 4,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "fp8_inc": 1,
}


@dataclass(frozen=True, slots=True)
class WeightParts:
    """The whole model's weights by how a decode step reads them, in bytes (all GPUs together).

    `lookup_bytes` is an untied input embedding, of which a token reads one row; `routed_bytes` the routed
    experts, of which a token reads a few; `streamed_bytes` everything else, read whole on every step.
    `table_bytes` is one vocabulary table, a part of the others.
    """

    lookup_bytes: float
    routed_bytes: float
    streamed_bytes: float
    table_bytes: float

    @property
    def total_bytes(self) -> float:
        """All weights."""
        return self.lookup_bytes + self.routed_bytes + self.streamed_bytes


def weight_parts(shape: ModelShape, dtype_or_quantization: str = "auto") -> WeightParts:
    """Split a model's weights; "auto" is the checkpoint's own quantization or 16 bits.

    Quantization covers linear layers; embedding and output head keep 16 bits, and of MXFP4 checkpoints with
    experts (gpt-oss) everything but the experts does. ValueError for a name not in the tables.
    """
    method = shape.quantization or "auto" if dtype_or_quantization == "auto" else dtype_or_quantization
    plain, linear = _widths(method, shape.dtype_bytes)
    beside = plain if method == "mxfp4" and shape.experts else linear
    table = shape.embedding_parameters
    inner = shape.parameters - shape.routed_parameters - table * (1 if shape.tied_embeddings else 2)
    return WeightParts(
        lookup_bytes=0.0 if shape.tied_embeddings else table * plain,
        routed_bytes=shape.routed_parameters * linear,
        streamed_bytes=inner * beside + table * plain,
        table_bytes=table * plain,
    )


def weight_bytes(
    model: ModelShape | float, dtype_or_quantization: str = "auto", tensor_parallel: int = 1, pipeline_parallel: int = 1
) -> float:
    """Return the weights that the fullest GPU holds; `model` is a shape, or a bare parameter count.

    A pipeline's fullest stage has one vocabulary table beside its layers. Tensor parallelism divides weights
    evenly; norms and key/value heads that every GPU repeats add under 2 %.
    What an engine reports lies up to 0.5 % higher, for the allocator rounds each tensor up to 2 MiB
    (Llama-2-13B: 24.24 GiB of weights, 24.29 GiB reported).
    """
    if not isinstance(model, ModelShape):
        return model * _widths(dtype_or_quantization, SERVED_DTYPE_BYTES)[1] / tensor_parallel / pipeline_parallel
    parts = weight_parts(model, dtype_or_quantization)
    if pipeline_parallel == 1:
        return parts.total_bytes / tensor_parallel
    layers = parts.total_bytes - parts.lookup_bytes - parts.table_bytes
    share = stage_layers(model, pipeline_parallel) / model.layers
    return (layers * share + parts.table_bytes) / tensor_parallel


def _widths(name: str, dtype_bytes: int) -> tuple[float, float]:
    """Return the bytes of (a weight that stays in full precision, a linear layer's weight)."""
    key = name.lower().removeprefix("torch.")
    if key == "auto":
        return float(dtype_bytes), float(dtype_bytes)
    if key in _DTYPE_BYTES:
        return _DTYPE_BYTES[key], _DTYPE_BYTES[key]
    if key in _QUANTIZED_BITS:
        return float(dtype_bytes), _QUANTIZED_BITS[key] / 8
    known = ", ".join(["auto", *_DTYPE_BYTES, *_QUANTIZED_BITS])
    raise ValueError(f"dtype or quantization {name!r}: its width is not known here (known: {known})")


def kv_bytes_per_token(
    shape: ModelShape, kv_dtype: str = "auto", tensor_parallel: int = 1, pipeline_parallel: int = 1
) -> int:
    """Return what one cached token takes on one GPU, over all its layers (those of the fullest pipeline stage).

    Key and value for each KV head; heads divide over the GPUs, and when there are more GPUs than heads each
    GPU keeps one. With MLA one latent vector for each layer, the same on every GPU. Sliding-window layers
    count like the others here; `request_kv_bytes` stops them at their window. "auto" is the model's dtype.
    ValueError for a name not in the table.
    """
    width = _kv_width(kv_dtype, shape.dtype_bytes)
    layers = stage_layers(shape, pipeline_parallel)
    if shape.kv_lora_rank is not None:
        return layers * (shape.kv_lora_rank + (shape.qk_rope_head_dim or 0)) * width
    heads = math.ceil(shape.kv_heads / tensor_parallel)
    return 2 * layers * heads * shape.head_dim * width


def _kv_width(kv_dtype: str, dtype_bytes: int) -> int:
    key = kv_dtype.lower().removeprefix("torch.")
    if key == "auto":
        return dtype_bytes
    if key not in _KV_DTYPE_BYTES:
        known = ", ".join(["auto", *_KV_DTYPE_BYTES])
        raise ValueError(f"KV cache dtype {kv_dtype!r}: its width is not known here (known: {known})")
    return _KV_DTYPE_BYTES[key]


def request_kv_bytes(
    shape: ModelShape,
    context_tokens: int,
    kv_dtype: str = "auto",
    tensor_parallel: int = 1,
    block_size: int = DEFAULT_BLOCK_SIZE,
    pipeline_parallel: int = 1,
) -> float:
    """Return what one request of `context_tokens` holds on one GPU, in whole blocks.

    A sliding-window layer holds its window at most. An engine that does not free what slid out (vLLM with
    --disable-hybrid-kv-cache-manager) holds the whole context.
    """
    per_layer_token = kv_bytes_per_token(shape, kv_dtype, tensor_parallel, pipeline_parallel) / shape.layers
    whole = _whole_blocks(context_tokens, block_size)
    kept = min(whole, _whole_blocks(shape.sliding_window or context_tokens, block_size))
    return per_layer_token * ((shape.layers - shape.sliding_layers) * whole + shape.sliding_layers * kept)


def _whole_blocks(tokens: int, block_size: int) -> int:
    return math.ceil(tokens / block_size) * block_size


def kv_budget_bytes(
    total_bytes: float,
    utilization: float,
    weights_bytes: float,
    activation_peak_bytes: float = 0.0,
    non_torch_bytes: float = 0.0,
) -> float:
    """Return what is left for the KV cache, as vLLM computes it; negative when the rest exceeds the budget.

    `total_bytes` is the card's memory, of which `utilization` is the budget. Activation peak and non-torch
    memory are what vLLM measures when it profiles: about 1 GiB together for 7B and 13B on an H200.
    """
    return total_bytes * utilization - weights_bytes - activation_peak_bytes - non_torch_bytes


def tokens_that_fit(kv_bytes: float, per_token_bytes: float, block_size: int = DEFAULT_BLOCK_SIZE) -> int:
    """Return the tokens that `kv_bytes` hold, in whole blocks; 0 when negative.

    It is also the longest context of a model without sliding window. With the numbers of vLLM's refusal ("X
    GiB KV cache is needed" for N tokens, "available Y GiB") `per_token_bytes` is X / N.
    """
    return max(0, math.floor(kv_bytes / (per_token_bytes * block_size))) * block_size


def longest_context(
    kv_bytes: float,
    shape: ModelShape,
    kv_dtype: str = "auto",
    tensor_parallel: int = 1,
    block_size: int = DEFAULT_BLOCK_SIZE,
    pipeline_parallel: int = 1,
) -> int:
    """Return the largest `--max-model-len` of which one request fits, never more than the model was made for.

    0 when not even one block fits. A model whose every layer slides and that states no maximum gets its
    window.
    """
    per_token = kv_bytes_per_token(shape, kv_dtype, tensor_parallel, pipeline_parallel)
    full_share = 1 - shape.sliding_layers / shape.layers
    reach = tokens_that_fit(kv_bytes, per_token * full_share, block_size) if full_share else shape.sliding_window
    limit = shape.max_position_embeddings or reach or 0
    blocks = bisect_right(
        range(1, math.ceil(limit / block_size) + 1),
        kv_bytes,
        key=lambda count: request_kv_bytes(
            shape, count * block_size, kv_dtype, tensor_parallel, block_size, pipeline_parallel
        ),
    )
    return min(blocks * block_size, limit)


def max_concurrency(kv_tokens: int, context_tokens: int, block_size: int = DEFAULT_BLOCK_SIZE) -> float:
    """Return how many requests of full length the cache holds: vLLM's "Maximum concurrency ... 57.55x"."""
    return kv_tokens / _whole_blocks(context_tokens, block_size)


def mean_resident_tokens(prompt_tokens: float, output_tokens: float) -> float:
    """Return what a request holds on average while it runs: its prompt and half of its output.

    The output grows token by token, and requests that start at different times are spread over that growth.
    For clients that all start at once use prompt + output.
    """
    return prompt_tokens + output_tokens / 2


def resident_deviation_tokens(output_tokens: float) -> float:
    """Return the standard deviation around `mean_resident_tokens`: uniform growth over the output."""
    return output_tokens / math.sqrt(12)


def safe_max_num_seqs(kv_tokens: float, mean_tokens_a_request: float, deviation_tokens: float = 0.0) -> int:
    """Return a `--max-num-seqs` at which the running requests fit the cache, at least 1.

    `mean_tokens_a_request` chooses how safe: with `mean_resident_tokens` the cache is just full on average,
    which ends thrashing but preempts now and then; with the full length (prompt + output) it never preempts
    and leaves about output / 2 of each request unused. Between them, `deviation_tokens` keeps two standard
    deviations of the sum free: the largest n with n * mean + 2 * deviation * sqrt(n) <= kv_tokens.
    """
    root = math.sqrt(deviation_tokens**2 + mean_tokens_a_request * kv_tokens) - deviation_tokens
    # The square root of a whole number may come out a hair below it.
    return max(1, math.floor((root / mean_tokens_a_request) ** 2 + 1e-9))


def utilization_needed(
    total_bytes: float,
    current_utilization: float,
    deficit_bytes: float,
    free_bytes: float | None = None,
) -> float | None:
    """Return the smallest `--gpu-memory-utilization`, in steps of 0.01, that adds `deficit_bytes`.

    None when that is above `MAX_UTILIZATION`, or above what `free_bytes` (free on the card before start)
    allows: then the model needs fewer weights, a shorter context or more GPUs.
    """
    needed_bytes = total_bytes * current_utilization + deficit_bytes - _SLACK_BYTES
    result = max(1, math.ceil(needed_bytes / total_bytes * 100)) / 100
    ceiling = MAX_UTILIZATION if free_bytes is None else utilization_that_fits(free_bytes, total_bytes)
    return result if ceiling is not None and result <= ceiling else None


def utilization_that_fits(free_bytes: float, total_bytes: float, margin_bytes: float = 0.0) -> float | None:
    """Return the largest `--gpu-memory-utilization`, in steps of 0.01, that start-up accepts.

    vLLM refuses to start when free memory is below total x utilization. `margin_bytes` stays free for the
    other process to grow. Never above `MAX_UTILIZATION`; None when not even 0.01 fits.
    """
    hundredths = math.floor((free_bytes - margin_bytes + _SLACK_BYTES) / total_bytes * 100)
    return min(hundredths / 100, MAX_UTILIZATION) if hundredths >= 1 else None
