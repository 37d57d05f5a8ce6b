"""How a model may be split over GPUs: which sizes its shape allows, and what the fullest part holds.

Tensor parallelism cuts every layer, pipeline parallelism gives each stage some of the layers.
"""

from __future__ import annotations

import math

from troubleshoot.model_shape import ModelShape

# int4 checkpoints share a scale among this many weights of a row, and no engine cuts through a group; DeepSeek's
# fp8 checkpoints do the same with blocks of 128 x 128.
_GROUP_WEIGHTS = 128
_GROUPED = frozenset({"awq", "awq_marlin", "gptq", "gptq_marlin", "int4"})


def tensor_parallel_obstacle(shape: ModelShape, size: int, quantization: str | None = None) -> str:
    """Say why engines refuse to cut this model into `size` parts; empty where they do not.

    vLLM, SGLang, TGI and TensorRT-LLM all ask that the attention heads divide evenly, and that KV heads divide or
    are repeated evenly.
    """
    if size == 1:
        return ""
    if shape.attention_heads % size:
        return f"its {shape.attention_heads} attention heads do not divide by {size}"
    if shape.kv_lora_rank is None and shape.kv_heads % size and size % shape.kv_heads:
        return f"its {shape.kv_heads} KV heads neither divide by {size} nor repeat evenly"
    for name, width in (("MLP", shape.intermediate_size), ("experts'", shape.expert_width)):
        if width % size:
            return f"its {name} width of {width} does not divide by {size}"
        grouped = (quantization or shape.quantization) in _GROUPED
        if grouped and width and (width // size) % _GROUP_WEIGHTS:
            return f"its {name} width of {width} divided by {size} cuts through the quantization's groups of 128"
    return ""


def tensor_parallel_sizes(shape: ModelShape, most: int, quantization: str | None = None) -> tuple[int, ...]:
    """Return the sizes from 1 to `most` into which engines cut this model."""
    return tuple(size for size in range(1, most + 1) if not tensor_parallel_obstacle(shape, size, quantization))


def stage_layers(shape: ModelShape, pipeline_parallel: int) -> int:
    """Return the layers of the fullest pipeline stage."""
    return math.ceil(shape.layers / pipeline_parallel)
