"""How the decoder families differ, by the `model_type` of their Hugging Face `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Family:
    """How a model type differs from Llama: no biases, gated MLP, two norms a layer, untied embeddings.

    `norms` counts a layer's norms of hidden size; `learned_positions` is None for rotary positions, else the
    rows that the position table has beyond the longest context; `sliding_pattern` n means that all but every
    n-th layer slide (0: all layers, if the config states a window); `defaults` are entries that published
    configs leave out.
    """

    gated: bool = True
    qkv_bias: bool = False
    linear_bias: bool = False
    norms: int = 2
    norm_bias: bool = False
    qk_norm: bool = False
    tied: bool = False
    learned_positions: int | None = None
    head_bias: bool = False
    sliding_pattern: int = 0
    defaults: Config = field(default_factory=dict)


_LLAMA = Family()
_QWEN2 = Family(qkv_bias=True)
_QWEN3 = Family(qk_norm=True)
_OLD = Family(gated=False, linear_bias=True, norm_bias=True)
# Published Gemma 3 configs leave out what equals the library's defaults (transformers, Gemma3TextConfig).
_GEMMA3_DEFAULTS = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208}

FAMILIES: Mapping[str, Family] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "mixtral": _LLAMA,
    "phi3": _LLAMA,
    "qwen2": _QWEN2,
    "qwen2_moe": _QWEN2,
    "qwen2_vl": _QWEN2,
    "qwen2_vl_text": _QWEN2,
    "qwen2_5_vl": _QWEN2,
    "qwen2_5_vl_text": _QWEN2,
    "qwen3": _QWEN3,
    "qwen3_moe": _QWEN3,
    "gemma": Family(tied=True),
    "gemma2": Family(tied=True, norms=4, sliding_pattern=2),
    "gemma3_text": Family(tied=True, norms=4, qk_norm=True, sliding_pattern=6, defaults=_GEMMA3_DEFAULTS),
    "gpt_oss": Family(sliding_pattern=2, defaults={"attention_bias": True}),
    "deepseek_v2": _LLAMA,
    "deepseek_v3": _LLAMA,
    "kimi_k2": _LLAMA,
    "falcon": Family(gated=False, norm_bias=True, tied=True),
    "phi": Family(gated=False, linear_bias=True, norm_bias=True, norms=1, head_bias=True),
    "gpt_neox": _OLD,
    "gpt2": Family(gated=False, linear_bias=True, norm_bias=True, tied=True, learned_positions=0),
    # OPT's position table starts with two unused rows (transformers, OPTLearnedPositionalEmbedding).
    "opt": Family(gated=False, linear_bias=True, norm_bias=True, tied=True, learned_positions=2),
}
