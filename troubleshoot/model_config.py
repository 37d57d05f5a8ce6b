"""Reads a Hugging Face `config.json` into a `ModelShape`.

The parameter count is computed from the sizes, module by module, and meets the published counts exactly (the
tests list them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from troubleshoot.model_families import FAMILIES, Config, Family
from troubleshoot.model_shape import ModelShape

_HIDDEN = ("hidden_size", "n_embd")
_LAYERS = ("num_hidden_layers", "n_layer")
_HEADS = ("num_attention_heads", "n_head")
_INTERMEDIATE = ("intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner")
_LARGEST, _MOST_LAYERS = 10**9, 10_000
_POSITIONS = ("max_position_embeddings", "n_positions")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads whole numbers from a config and says which one is missing or wrong."""

    config: Config
    name: str

    def optional(self, *keys: str) -> int | None:
        """Return the first of `keys` that is set, None when none is."""
        for key in keys:
            value = self.config.get(key)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
                shown = repr(value) if len(repr(value)) <= 40 else "out of range"
                raise ValueError(f"model config {self.name!r}: {key} is {shown}, expected a whole number")
            return value
        return None

    def required(self, *keys: str) -> int:
        """Return the first of `keys` that is set; ValueError when none is, or when it is 0."""
        value = self.optional(*keys)
        if not value:
            raise ValueError(f"model config {self.name!r}: {keys[0]} is missing; give the model's own config.json")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """Return a true-or-false entry."""
        value = self.config.get(key)
        return default if value is None else bool(value)


def shape_from_config(config: Config, name: str = "") -> ModelShape:
    """Read a Hugging Face `config.json`; a multimodal one is read at its `text_config`.

    ValueError, in one line, when the model type is none of the decoders known here or a size is missing.
    """
    nested = config.get("text_config")
    text: Config = nested if isinstance(nested, Mapping) else config
    shown = name or str(config.get("_name_or_path") or "config.json")
    model_type = text.get("model_type")
    family = FAMILIES.get(str(model_type))
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ValueError(f"model config {shown!r}: model_type {model_type!r} is not known here (known: {known})")
    reader = _Reader({**family.defaults, **{key: value for key, value in text.items() if value is not None}}, shown)
    return _shape(reader, family, str(model_type), _quantization(config, text))


def _quantization(config: Config, text: Config) -> str | None:
    for holder in (config, text):
        declared = holder.get("quantization_config")
        if isinstance(declared, Mapping) and declared.get("quant_method"):
            return _method(declared, str(declared["quant_method"]).lower())
    return None


def _method(declared: Config, name: str) -> str:
    """The width behind a method's name: gptq may have 8 bits, and compressed-tensors and modelopt may have any."""
    if name == "compressed-tensors":
        groups = declared.get("config_groups")
        weights = [group.get("weights") for group in groups.values()] if isinstance(groups, Mapping) else []
        found = next((each for each in weights if isinstance(each, Mapping)), {})
        kinds: Mapping[tuple[object, object], str] = {
            (8, "float"): "fp8",
            (8, "int"): "int8",
            (4, "int"): "int4",
            (4, "float"): "nvfp4",
        }
        return kinds.get((found.get("num_bits"), found.get("type")), name)
    if name == "modelopt":
        algorithm = str(declared.get("quant_algo") or "").lower()
        return next((known for known in ("nvfp4", "fp8") if algorithm.startswith(known)), name)
    if name == "gptq" and declared.get("bits") == 8:
        return "int8"
    return "int8" if name == "bitsandbytes" and declared.get("load_in_8bit") is True else name


def _shape(reader: _Reader, family: Family, model_type: str, quantization: str | None) -> ModelShape:
    hidden, layers = reader.required(*_HIDDEN), reader.required(*_LAYERS)
    heads, vocab = reader.required(*_HEADS), reader.required("vocab_size")
    if layers > _MOST_LAYERS or heads > hidden:
        raise ValueError(f"model config {reader.name!r}: {layers} layers with {heads} heads of {hidden} are no model")
    kv_heads = _kv_heads(reader, model_type, heads)
    head_dim = reader.optional("head_dim") or hidden // heads
    intermediate = reader.optional(*_INTERMEDIATE) or _implied_intermediate(reader, model_type, hidden)
    tied = reader.flag("tie_word_embeddings", default=family.tied)
    moe = _Experts.read(reader, model_type, hidden, layers)
    attention = (
        _latent_attention(reader, hidden, heads)
        if reader.optional("kv_lora_rank")
        else _attention(reader, family, model_type, hidden, (heads, kv_heads, head_dim))
    )
    width = hidden * (2 if family.norm_bias else 1)
    total = (
        layers * (attention + _norms(reader, family, model_type) * width)
        + (layers - moe.layers) * _mlp(family, hidden, intermediate)
        + moe.layers * (moe.count * moe.parameters + moe.shared_parameters)
        + width
        + _embeddings(reader, family, vocab, hidden, tied)
    )
    window, sliding_layers = _sliding(reader, family, model_type, layers)
    return ModelShape(
        name=reader.name,
        parameters=total,
        active_parameters=total - moe.layers * (moe.count - moe.per_token) * moe.parameters,
        hidden_size=hidden,
        layers=layers,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=intermediate,
        vocab_size=vocab,
        tied_embeddings=tied,
        experts=moe.count,
        experts_per_token=moe.per_token,
        expert_parameters=moe.parameters,
        moe_layers=moe.layers,
        kv_lora_rank=reader.optional("kv_lora_rank"),
        qk_rope_head_dim=reader.optional("qk_rope_head_dim") if reader.optional("kv_lora_rank") else None,
        sliding_window=window,
        sliding_layers=sliding_layers,
        max_position_embeddings=reader.optional(*_POSITIONS),
        quantization=quantization,
    )


def _kv_heads(reader: _Reader, model_type: str, heads: int) -> int:
    if model_type == "falcon":
        if reader.flag("new_decoder_architecture"):
            return reader.optional("num_kv_heads") or heads
        return 1 if reader.flag("multi_query", default=True) else heads
    return reader.optional("num_key_value_heads") or heads


def _implied_intermediate(reader: _Reader, model_type: str, hidden: int) -> int:
    if model_type in {"falcon", "gpt2"}:
        return 4 * hidden
    return reader.required(*_INTERMEDIATE)


def _norms(reader: _Reader, family: Family, model_type: str) -> int:
    """Count the norms of one layer; Falcon's depend on how its attention and MLP are joined."""
    if model_type != "falcon":
        return family.norms
    if reader.flag("new_decoder_architecture"):
        return reader.optional("num_ln_in_parallel_attn") or 2
    return 1 if reader.flag("parallel_attn", default=True) else 2


def _attention(reader: _Reader, family: Family, model_type: str, hidden: int, heads: tuple[int, int, int]) -> int:
    query_heads, kv_heads, head_dim = heads
    projected = (query_heads + 2 * kv_heads) * head_dim
    declared = reader.flag("attention_bias")
    return (
        hidden * projected
        + query_heads * head_dim * hidden
        + (projected if family.qkv_bias or family.linear_bias or declared else 0)
        + (hidden if family.linear_bias or declared else 0)
        + (2 * head_dim if family.qk_norm else 0)
        + (query_heads if model_type == "gpt_oss" else 0)
    )


def _latent_attention(reader: _Reader, hidden: int, heads: int) -> int:
    """Count multi-head latent attention: low-rank query (optional) and key/value, one shared rotary key."""
    rank, rope = reader.required("kv_lora_rank"), reader.required("qk_rope_head_dim")
    nope, value = reader.required("qk_nope_head_dim"), reader.required("v_head_dim")
    query_width = heads * (nope + rope)
    query_rank = reader.optional("q_lora_rank")
    query = hidden * query_rank + query_rank + query_rank * query_width if query_rank else hidden * query_width
    return query + hidden * (rank + rope) + rank + rank * heads * (nope + value) + heads * value * hidden


def _mlp(family: Family, hidden: int, intermediate: int) -> int:
    bias = intermediate + hidden if family.linear_bias else 0
    return (3 if family.gated else 2) * hidden * intermediate + bias


def _embeddings(reader: _Reader, family: Family, vocab: int, hidden: int, tied: bool) -> int:
    if reader.optional("word_embed_proj_dim") not in {None, hidden}:
        raise ValueError(f"model config {reader.name!r}: word_embed_proj_dim differs from hidden_size; not supported")
    positions = 0
    if family.learned_positions is not None:
        positions = (reader.required(*_POSITIONS) + family.learned_positions) * hidden
    return (1 if tied else 2) * vocab * hidden + positions + (vocab if family.head_bias else 0)


@dataclass(frozen=True, slots=True)
class _Experts:
    """The expert layers: how many layers, routed experts a layer, and what is in each layer beside them."""

    layers: int = 0
    count: int = 0
    per_token: int = 0
    parameters: int = 0
    shared_parameters: int = 0

    @classmethod
    def read(cls, reader: _Reader, model_type: str, hidden: int, layers: int) -> _Experts:
        count = reader.optional("num_local_experts", "n_routed_experts", "num_experts")
        if not count:
            return cls()
        inner = reader.required("moe_intermediate_size", "intermediate_size")
        biased = model_type == "gpt_oss"
        per_token = reader.required("num_experts_per_tok", "experts_per_token")
        if per_token > count:
            raise ValueError(f"model config {reader.name!r}: a token cannot pick {per_token} of {count} experts")
        expert = 3 * hidden * inner + (2 * inner + hidden if biased else 0)
        beside = hidden * count + (count if biased or reader.config.get("topk_method") == "noaux_tc" else 0)
        beside += 3 * hidden * inner * (reader.optional("n_shared_experts") or 0)
        if shared := reader.optional("shared_expert_intermediate_size"):
            beside += 3 * hidden * shared + hidden
        return cls(
            layers=_expert_layers(reader, layers),
            count=count,
            per_token=per_token,
            parameters=expert,
            shared_parameters=beside,
        )


def _expert_layers(reader: _Reader, layers: int) -> int:
    first = reader.optional("first_k_dense_replace") or 0
    step = reader.optional("decoder_sparse_step", "moe_layer_freq") or 1
    listed = reader.config.get("mlp_only_layers")
    dense = listed if isinstance(listed, list) else []
    if "decoder_sparse_step" in reader.config:
        return sum((index + 1) % step == 0 and index not in dense for index in range(layers))
    return sum(index % step == 0 for index in range(first, layers))


def _sliding(reader: _Reader, family: Family, model_type: str, layers: int) -> tuple[int | None, int]:
    """Return (window in tokens, layers that slide), or (None, 0) when every layer keeps the whole context."""
    window = reader.optional("sliding_window")
    positions = reader.optional(*_POSITIONS)
    if not window or (positions and window >= positions) or not reader.flag("use_sliding_window", default=True):
        return None, 0
    kinds = reader.config.get("layer_types")
    if isinstance(kinds, list):
        count = kinds.count("sliding_attention")
    elif model_type.startswith("qwen"):
        # Qwen: off unless use_sliding_window says so, and only layers from max_window_layers on slide.
        count = max(0, layers - (reader.optional("max_window_layers") or 0)) if reader.flag("use_sliding_window") else 0
    else:
        pattern = reader.optional("sliding_window_pattern") or family.sliding_pattern
        count = layers - layers // pattern if pattern else layers
    return (window, count) if count else (None, 0)
