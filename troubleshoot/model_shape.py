"""The shape of a decoder: what of a language model decides its memory and its speed."""

from __future__ import annotations

from dataclasses import dataclass

# vLLM's `--dtype auto` serves float32 checkpoints in float16 and 16-bit ones as they are
# (vLLM documentation, engine arguments).
SERVED_DTYPE_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A decoder's shape. Only the text part counts: no vision tower, no multi-token-prediction layer.

    `parameters` counts all weights; `active_parameters` those that one token passes through (fewer with
    experts). `experts` is the number of routed experts in each of `moe_layers`, each of `expert_parameters`;
    all three are 0 in a dense model.

    `kv_lora_rank` and `qk_rope_head_dim` are set for multi-head latent attention (MLA) only: one vector of
    their summed length is cached for a token and layer. Of `layers`, `sliding_layers` attend only to the last
    `sliding_window` tokens. `dtype_bytes` is the width of an unquantized weight as served; `quantization` is
    the checkpoint's own method ("fp8").
    """

    name: str
    parameters: int
    active_parameters: int
    hidden_size: int
    layers: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tied_embeddings: bool = False
    experts: int = 0
    experts_per_token: int = 0
    expert_parameters: int = 0
    moe_layers: int = 0
    kv_lora_rank: int | None = None
    qk_rope_head_dim: int | None = None
    sliding_window: int | None = None
    sliding_layers: int = 0
    max_position_embeddings: int | None = None
    dtype_bytes: int = SERVED_DTYPE_BYTES
    quantization: str | None = None

    @property
    def embedding_parameters(self) -> int:
        """One table of vocabulary x hidden size; there are two, input and output, where they are not tied."""
        return self.vocab_size * self.hidden_size

    @property
    def routed_parameters(self) -> int:
        """The weights of all routed experts in all layers."""
        return self.experts * self.expert_parameters * self.moe_layers

    @property
    def expert_width(self) -> int:
        """The inner width of a routed expert, which has three matrices of hidden size x width; 0 in a dense model."""
        return self.expert_parameters // (3 * self.hidden_size)
