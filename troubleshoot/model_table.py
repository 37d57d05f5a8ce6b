"""Configs of well-known models, for when only a name is at hand.

Each entry holds what that model's `config.json` on the Hugging Face hub says, cut to the keys that decide
memory and speed; the tests hold each computed parameter count against the count that the hub publishes. Keys
are the last part of the hub's name, lower case, without the words that `troubleshoot.models` calls neutral. A
later release may raise `max_position_embeddings`; the rest stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troubleshoot.model_families import Config

_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)


def _config(model_type: str, *sizes: int, **more: Any) -> Config:
    """Make a config from its `_SIZES` in order and whatever else it sets."""
    return {"model_type": model_type, **dict(zip(_SIZES, sizes, strict=True)), **more}


def _experts(count: int, per_token: int, intermediate: int) -> Config:
    return {"num_experts": count, "num_experts_per_tok": per_token, "moe_intermediate_size": intermediate}


def _opt(hidden: int, layers: int, heads: int) -> Config:
    return _config("opt", hidden, layers, heads, heads, 4 * hidden, 50272, 2048)


def _gpt_oss(layers: int, experts: int) -> Config:
    return _config(
        "gpt_oss",
        *(2880, layers, 64, 8, 2880, 201088, 131072),
        head_dim=64,
        num_local_experts=experts,
        num_experts_per_tok=4,
        sliding_window=128,
        quantization_config={"quant_method": "mxfp4"},
    )


def _deepseek(model_type: str, *sizes: int, **more: Any) -> Config:
    latent = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
    return _config(model_type, *sizes, **latent, **more)


_LLAMA_2_7B = _config("llama", 4096, 32, 32, 32, 11008, 32000, 4096)
_LLAMA_2_13B = _config("llama", 5120, 40, 40, 40, 13824, 32000, 4096)
_LLAMA_31_8B = _config("llama", 4096, 32, 32, 8, 14336, 128256, 131072)
_LLAMA_31_70B = _config("llama", 8192, 80, 64, 8, 28672, 128256, 131072)
_MISTRAL_7B_V2 = _config("mistral", 4096, 32, 32, 8, 14336, 32000, 32768)
_QWEN_25_7B = _config("qwen2", 3584, 28, 28, 4, 18944, 152064, 32768)
_QWEN_25_14B = _config("qwen2", 5120, 48, 40, 8, 13824, 152064, 32768)
_QWEN_25_32B = _config("qwen2", 5120, 64, 40, 8, 27648, 152064, 32768)
_QWEN_25_05B = _config("qwen2", 896, 24, 14, 2, 4864, 151936, 32768, tie_word_embeddings=True)
_QWEN_25_15B = _config("qwen2", 1536, 28, 12, 2, 8960, 151936, 32768, tie_word_embeddings=True)
_QWEN_25_72B = _config("qwen2", 8192, 80, 64, 8, 29568, 152064, 32768)
_PHI_3_MINI_4K = _config("phi3", 3072, 32, 32, 32, 8192, 32064, 4096, sliding_window=2047)
_PHI_3_MINI_128K = _config("phi3", 3072, 32, 32, 32, 8192, 32064, 131072)
_DEEPSEEK_V3 = _deepseek(
    "deepseek_v3",
    *(7168, 61, 128, 128, 18432, 129280, 163840),
    q_lora_rank=1536,
    n_routed_experts=256,
    num_experts_per_tok=8,
    moe_intermediate_size=2048,
    n_shared_experts=1,
    first_k_dense_replace=3,
    topk_method="noaux_tc",
    quantization_config={"quant_method": "fp8"},
)

CONFIGS: Mapping[str, Config] = {
    "llama-2-7b": _LLAMA_2_7B,
    "llama-2-13b": _LLAMA_2_13B,
    "llama-2-70b": _config("llama", 8192, 80, 64, 8, 28672, 32000, 4096),
    "vicuna-7b-v1.5": _LLAMA_2_7B,
    "vicuna-13b-v1.5": _LLAMA_2_13B,
    "tinyllama-1.1b": _config("llama", 2048, 22, 32, 4, 5632, 32000, 2048),
    "llama-3-8b": {**_LLAMA_31_8B, "max_position_embeddings": 8192},
    "llama-3-70b": {**_LLAMA_31_70B, "max_position_embeddings": 8192},
    "llama-3.1-8b": _LLAMA_31_8B,
    "llama-3.1-70b": _LLAMA_31_70B,
    "llama-3.1-405b": _config("llama", 16384, 126, 128, 8, 53248, 128256, 131072),
    "llama-3.2-1b": _config("llama", 2048, 16, 32, 8, 8192, 128256, 131072, tie_word_embeddings=True),
    "llama-3.2-3b": _config("llama", 3072, 28, 24, 8, 8192, 128256, 131072, tie_word_embeddings=True),
    "llama-3.3-70b": _LLAMA_31_70B,
    "mistral-7b": _MISTRAL_7B_V2,
    "mistral-7b-v0.1": {**_MISTRAL_7B_V2, "sliding_window": 4096},
    "mistral-7b-v0.2": _MISTRAL_7B_V2,
    "mistral-7b-v0.3": {**_MISTRAL_7B_V2, "vocab_size": 32768},
    "mixtral-8x7b": _config(
        "mixtral", 4096, 32, 32, 8, 14336, 32000, 32768, num_local_experts=8, num_experts_per_tok=2
    ),
    "mixtral-8x22b": _config(
        "mixtral", 6144, 56, 48, 8, 16384, 32768, 65536, num_local_experts=8, num_experts_per_tok=2
    ),
    "qwen2-0.5b": _QWEN_25_05B,
    "qwen2-1.5b": _QWEN_25_15B,
    "qwen2-7b": _QWEN_25_7B,
    "qwen2-72b": _QWEN_25_72B,
    "qwen2.5-0.5b": _QWEN_25_05B,
    "qwen2.5-1.5b": _QWEN_25_15B,
    "qwen2.5-3b": _config("qwen2", 2048, 36, 16, 2, 11008, 151936, 32768, tie_word_embeddings=True),
    "qwen2.5-7b": _QWEN_25_7B,
    "qwen2.5-14b": _QWEN_25_14B,
    "qwen2.5-32b": _QWEN_25_32B,
    "qwen2.5-72b": _QWEN_25_72B,
    "qwq-32b": _QWEN_25_32B,
    "qwen3-0.6b": _config("qwen3", 1024, 28, 16, 8, 3072, 151936, 40960, head_dim=128, tie_word_embeddings=True),
    "qwen3-1.7b": _config("qwen3", 2048, 28, 16, 8, 6144, 151936, 40960, head_dim=128, tie_word_embeddings=True),
    "qwen3-4b": _config("qwen3", 2560, 36, 32, 8, 9728, 151936, 40960, head_dim=128, tie_word_embeddings=True),
    "qwen3-8b": _config("qwen3", 4096, 36, 32, 8, 12288, 151936, 40960, head_dim=128),
    "qwen3-14b": _config("qwen3", 5120, 40, 40, 8, 17408, 151936, 40960, head_dim=128),
    "qwen3-32b": _config("qwen3", 5120, 64, 64, 8, 25600, 151936, 40960, head_dim=128),
    "qwen3-30b-a3b": _config("qwen3_moe", 2048, 48, 32, 4, 6144, 151936, 40960, head_dim=128, **_experts(128, 8, 768)),
    "qwen3-235b-a22b": _config(
        "qwen3_moe", 4096, 94, 64, 4, 12288, 151936, 40960, head_dim=128, **_experts(128, 8, 1536)
    ),
    "gemma-2-2b": _config("gemma2", 2304, 26, 8, 4, 9216, 256000, 8192, head_dim=256, sliding_window=4096),
    "gemma-2-9b": _config("gemma2", 3584, 42, 16, 8, 14336, 256000, 8192, head_dim=256, sliding_window=4096),
    "gemma-2-27b": _config("gemma2", 4608, 46, 32, 16, 36864, 256000, 8192, head_dim=128, sliding_window=4096),
    "gemma-3-1b": _config("gemma3_text", 1152, 26, 4, 1, 6912, 262144, 32768, head_dim=256, sliding_window=512),
    "gemma-3-4b": _config("gemma3_text", 2560, 34, 8, 4, 10240, 262208, 131072, head_dim=256, sliding_window=1024),
    "gemma-3-12b": _config("gemma3_text", 3840, 48, 16, 8, 15360, 262208, 131072, head_dim=256, sliding_window=1024),
    "gemma-3-27b": _config("gemma3_text", 5376, 62, 32, 16, 21504, 262208, 131072, head_dim=128, sliding_window=1024),
    "phi-3-mini-4k": _PHI_3_MINI_4K,
    "phi-3-mini-128k": _PHI_3_MINI_128K,
    "phi-3.5-mini": _PHI_3_MINI_128K,
    "phi-3-medium-128k": _config("phi3", 5120, 40, 40, 10, 17920, 32064, 131072),
    "phi-4": _config("phi3", 5120, 40, 40, 10, 17920, 100352, 16384),
    "phi-4-mini": _config("phi3", 3072, 32, 24, 8, 8192, 200064, 131072, tie_word_embeddings=True),
    "deepseek-v2-lite": _deepseek(
        "deepseek_v2",
        *(2048, 27, 16, 16, 10944, 102400, 163840),
        n_routed_experts=64,
        num_experts_per_tok=6,
        moe_intermediate_size=1408,
        n_shared_experts=2,
        first_k_dense_replace=1,
    ),
    "deepseek-v3": _DEEPSEEK_V3,
    "deepseek-v3.1": _DEEPSEEK_V3,
    "deepseek-r1": _DEEPSEEK_V3,
    "deepseek-r1-distill-llama-8b": _LLAMA_31_8B,
    "deepseek-r1-distill-llama-70b": _LLAMA_31_70B,
    "deepseek-r1-distill-qwen-1.5b": {
        **_QWEN_25_15B,
        "tie_word_embeddings": False,
        "max_position_embeddings": 131072,
    },
    "deepseek-r1-distill-qwen-7b": {**_QWEN_25_7B, "max_position_embeddings": 131072},
    "deepseek-r1-distill-qwen-14b": {**_QWEN_25_14B, "max_position_embeddings": 131072},
    "deepseek-r1-distill-qwen-32b": {**_QWEN_25_32B, "max_position_embeddings": 131072},
    "gpt-oss-20b": _gpt_oss(24, 32),
    "gpt-oss-120b": _gpt_oss(36, 128),
    "opt-125m": _opt(768, 12, 12),
    "opt-1.3b": _opt(2048, 24, 32),
    "opt-2.7b": _opt(2560, 32, 32),
    "opt-6.7b": _opt(4096, 32, 32),
    "opt-13b": _opt(5120, 40, 40),
    "phi-2": _config("phi", 2560, 32, 32, 32, 10240, 51200, 2048),
    "gpt2": _config("gpt2", 768, 12, 12, 12, 3072, 50257, 1024),
    "gpt-neox-20b": _config("gpt_neox", 6144, 44, 64, 64, 24576, 50432, 2048),
    "falcon-7b": _config("falcon", 4544, 32, 71, 71, 18176, 65024, 2048, multi_query=True),
    "falcon-40b": _config(
        "falcon", 8192, 60, 128, 8, 32768, 65024, 2048, new_decoder_architecture=True, num_kv_heads=8
    ),
}
