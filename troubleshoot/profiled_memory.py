"""What an engine needs on a GPU beside weights and KV cache, from the model's shape alone.

vLLM measures this when it profiles at start-up; where a log states it, that number goes before one computed here.
Held against vLLM 0.24.0 on an H200 (7B, 8B and 13B models, 8192 tokens a step): within 0.1 GiB.
"""

from __future__ import annotations

from troubleshoot.capacity import GIB
from troubleshoot.model_shape import ModelShape

DEFAULT_BATCHED_TOKENS = 8192
"""Tokens of a step for which vLLM profiles: its default on GPUs of 70 GiB and more, where it chunks prompts."""

_ACTIVATION_BYTES = 2
_SAMPLED_SEQUENCES = 256
# vLLM 0.7 on models of 128 256 and 151 936 tokens, 256 sequences: 1.19 to 1.26 GiB and 1.45 GiB.
_SAMPLER_BYTES = 40

_NON_TORCH_BYTES = 0.35 * GIB
"""CUDA context, libraries and graphs' private pools: what the recordings leave beside the activations."""

_COMMUNICATION_BYTES = 1.0 * GIB
"""NCCL's and custom all-reduce's buffers with several GPUs; from public logs, no recording has more than one."""


def activation_peak_bytes(
    shape: ModelShape, batched_tokens: int = DEFAULT_BATCHED_TOKENS, tensor_parallel: int = 1
) -> float:
    """Return the peak of activations in a step of `batched_tokens` on one GPU.

    Hidden state and residual stay, beside them the widest layer: an MLP's two inputs and their product, or the same
    for every expert that a token picks, with its output. Sampling over the whole vocabulary may take more.
    """
    dense_layers = shape.layers - shape.moe_layers
    dense = 3 * shape.intermediate_size / tensor_parallel if dense_layers else 0.0
    expert = shape.expert_width / tensor_parallel
    routed = shape.experts_per_token * (max(2 * expert, shape.hidden_size) + expert)
    width = max(dense, routed)
    layers = batched_tokens * (2 * shape.hidden_size + width) * _ACTIVATION_BYTES
    sampler = _SAMPLED_SEQUENCES * shape.vocab_size * _SAMPLER_BYTES
    return max(layers, sampler)


def non_torch_bytes(gpus: int = 1) -> float:
    """Return what lies outside the engine's own allocator on one of `gpus` that work together."""
    return _NON_TORCH_BYTES + (_COMMUNICATION_BYTES if gpus > 1 else 0.0)
