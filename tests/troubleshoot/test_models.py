"""A model's shape, from its config.json or from the name it is served under."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from troubleshoot.model_table import CONFIGS
from troubleshoot.models import ModelShape, known_shape, parameters_from_name, shape_from_config

# Parameter counts as the hub's model pages give them (text part only for Gemma 3 4B and up).
PUBLISHED_PARAMETERS = {
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "vicuna-7b-v1.5": 6_738_415_616,
    "vicuna-13b-v1.5": 13_015_864_320,
    "tinyllama-1.1b": 1_100_048_384,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "llama-3.3-70b": 70_553_706_496,
    "mistral-7b": 7_241_732_096,
    "mistral-7b-v0.1": 7_241_732_096,
    "mistral-7b-v0.2": 7_241_732_096,
    "mistral-7b-v0.3": 7_248_023_552,
    "mixtral-8x7b": 46_702_792_704,
    "mixtral-8x22b": 140_630_071_296,
    "qwen2-0.5b": 494_032_768,
    "qwen2-1.5b": 1_543_714_304,
    "qwen2-7b": 7_615_616_512,
    "qwen2-72b": 72_706_203_648,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-72b": 72_706_203_648,
    "qwq-32b": 32_763_876_352,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2-27b": 27_227_128_320,
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 3_880_263_168,
    "gemma-3-12b": 11_766_034_176,
    "gemma-3-27b": 27_009_346_304,
    "phi-3-mini-4k": 3_821_079_552,
    "phi-3-mini-128k": 3_821_079_552,
    "phi-3.5-mini": 3_821_079_552,
    "phi-3-medium-128k": 13_960_238_080,
    "phi-4": 14_659_507_200,
    "phi-4-mini": 3_836_021_760,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_419_200,
    "deepseek-v3.1": 671_026_419_200,
    "deepseek-r1": 671_026_419_200,
    "deepseek-r1-distill-llama-8b": 8_030_261_248,
    "deepseek-r1-distill-llama-70b": 70_553_706_496,
    "deepseek-r1-distill-qwen-1.5b": 1_777_088_000,
    "deepseek-r1-distill-qwen-7b": 7_615_616_512,
    "deepseek-r1-distill-qwen-14b": 14_770_033_664,
    "deepseek-r1-distill-qwen-32b": 32_763_876_352,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "opt-125m": 125_239_296,
    "opt-1.3b": 1_315_758_080,
    "opt-2.7b": 2_651_596_800,
    "opt-6.7b": 6_658_473_984,
    "opt-13b": 12_853_473_280,
    "phi-2": 2_779_683_840,
    "gpt2": 124_439_808,
    "gpt-neox-20b": 20_554_567_680,
    "falcon-7b": 6_921_720_704,
    "falcon-40b": 41_303_293_952,
}


def shape_of(name: str) -> ModelShape:
    shape = known_shape(name)
    assert shape is not None, name
    return shape


@pytest.mark.parametrize("name", CONFIGS)
def test_the_parameter_count_computed_from_a_shape_is_the_published_one(name: str) -> None:
    assert shape_of(name).parameters == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "active"),
    [
        ("mixtral-8x7b", 12.9e9),
        ("mixtral-8x22b", 39e9),
        ("deepseek-v3", 37.5e9),
        ("qwen3-30b-a3b", 3.35e9),
        ("qwen3-235b-a22b", 22.2e9),
        # The card's 5.1e9 leaves out the input embedding of 0.58e9.
        ("gpt-oss-120b", 5.1e9 + 0.58e9),
    ],
)
def test_active_parameters_meet_what_the_model_cards_round_to(name: str, active: float) -> None:
    assert shape_of(name).active_parameters == pytest.approx(active, rel=0.01)


def test_all_parameters_of_a_dense_model_are_active() -> None:
    shape = shape_of("llama-2-7b")
    assert shape.active_parameters == shape.parameters
    assert shape.routed_parameters == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("meta-llama/Llama-2-7b-hf", "llama-2-7b"),
        ("/models/llama-2-7b", "llama-2-7b"),
        ("/models/llama-2-13b/", "llama-2-13b"),
        ("llama-2-13b", "llama-2-13b"),
        ("llama2-70b-chat", "llama-2-70b"),
        (
            "/cache/hub/models--meta-llama--Llama-2-7b-hf/snapshots/8cca527612d856d7d32bd94f8103728d614eb852",
            "llama-2-7b",
        ),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3-8b"),
        ("llama-3-8b-32k", "llama-3-8b"),
        ("llama3.1:8b", "llama-3.1-8b"),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b"),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", "qwen2.5-32b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-v0.3"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "tinyllama-1.1b"),
        ("google/gemma-2-9b-it", "gemma-2-9b"),
        ("microsoft/Phi-3-mini-4k-instruct", "phi-3-mini-4k"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseek-r1-distill-qwen-7b"),
        ("C:\\models\\opt-125m", "opt-125m"),
    ],
)
def test_a_served_name_in_its_usual_spellings_finds_the_shape(name: str, expected: str) -> None:
    assert shape_of(name).name == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "my-model",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "deepseek-llm-7b-chat",
        "Hermes-2-Pro-Llama-3-8B",
        "llama-2-7",
    ],
)
def test_a_name_that_is_not_certainly_known_gives_none(name: str) -> None:
    assert known_shape(name) is None


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", "awq"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8", "fp8"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "int4"),
        ("TheBloke/Llama-2-13B-chat-GPTQ", "gptq"),
        ("deepseek-ai/DeepSeek-V3", "fp8"),
        ("openai/gpt-oss-20b", "mxfp4"),
        ("meta-llama/Llama-2-7b-hf", None),
    ],
)
def test_the_quantization_comes_from_the_name_or_the_checkpoint(name: str, quantization: str | None) -> None:
    assert shape_of(name).quantization == quantization


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama-7b", 7e9),
        ("/srv/some-70B-chat", 70e9),
        ("acme/thing-8x7b", 56e9),
        ("opt-125m", 125e6),
        ("qwen-0.5b-chat", 0.5e9),
        ("new-30b-a3b", 30e9),
        ("org/model-13b/checkpoint", 13e9),
        ("model-4bit", None),
        ("thing-a3b", None),
        ("gpt2", None),
        ("", None),
    ],
)
def test_a_size_in_a_name_is_read_as_parameters(name: str, parameters: float | None) -> None:
    assert parameters_from_name(name) == parameters


LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}


def test_a_config_is_read_field_by_field() -> None:
    shape = shape_from_config(LLAMA, name="llama-3-8b")
    assert shape == shape_of("llama-3-8b")
    assert (shape.layers, shape.attention_heads, shape.kv_heads, shape.head_dim) == (32, 32, 8, 128)
    assert shape.max_position_embeddings == 8192
    assert (shape.kv_lora_rank, shape.sliding_window, shape.experts) == (None, None, 0)


def test_heads_without_grouping_have_as_many_kv_heads_and_null_means_absent() -> None:
    shape = shape_from_config({**LLAMA, "num_key_value_heads": None, "head_dim": None})
    assert (shape.kv_heads, shape.head_dim) == (32, 128)


def test_a_multimodal_config_is_read_at_its_text_config() -> None:
    gemma_3_4b = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
        "vision_config": {"hidden_size": 1152},
    }
    assert shape_from_config(gemma_3_4b).parameters == PUBLISHED_PARAMETERS["gemma-3-4b"]


@pytest.mark.parametrize(
    ("config", "window", "layers"),
    [
        (CONFIGS["mistral-7b-v0.1"], 4096, 32),
        (CONFIGS["mistral-7b-v0.3"], None, 0),
        (CONFIGS["gemma-2-9b"], 4096, 21),
        (CONFIGS["gemma-3-27b"], 1024, 52),
        (CONFIGS["gpt-oss-20b"], 128, 12),
        ({**CONFIGS["qwen2.5-7b"], "sliding_window": 4096, "use_sliding_window": False}, None, 0),
        ({**CONFIGS["qwen2.5-7b"], "sliding_window": 4096}, None, 0),
        (
            {
                **CONFIGS["qwen2.5-7b"],
                "sliding_window": 4096,
                "use_sliding_window": True,
                "max_window_layers": 20,
            },
            4096,
            8,
        ),
        (
            {**LLAMA, "sliding_window": 1024, "layer_types": ["full_attention", "sliding_attention"] * 16},
            1024,
            16,
        ),
    ],
)
def test_how_many_layers_slide(config: dict[str, Any], window: int | None, layers: int) -> None:
    shape = shape_from_config(config)
    assert (shape.sliding_window, shape.sliding_layers) == (window, layers)


def test_gpt2_and_falcon_name_their_sizes_their_own_way() -> None:
    gpt2 = {
        "model_type": "gpt2",
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 50257,
    }
    assert shape_from_config(gpt2) == replace(shape_of("gpt2"), name="config.json")
    falcon = {key: value for key, value in CONFIGS["falcon-7b"].items() if key != "intermediate_size"}
    assert shape_from_config(falcon, "falcon-7b") == shape_of("falcon-7b")
    assert shape_of("falcon-7b").kv_heads == 1
    assert shape_from_config({**falcon, "multi_query": False}).kv_heads == 71
    with pytest.raises(ValueError, match="intermediate_size is missing"):
        shape_from_config({**LLAMA, "intermediate_size": None})


def test_latent_attention_keeps_its_rank_and_rotary_part() -> None:
    shape = shape_of("deepseek-v2-lite")
    assert (shape.kv_lora_rank, shape.qk_rope_head_dim, shape.moe_layers) == (512, 64, 26)


def test_expert_layers_follow_the_sparse_step_and_the_dense_list() -> None:
    config = {**CONFIGS["qwen3-30b-a3b"], "decoder_sparse_step": 2, "mlp_only_layers": [1, 3]}
    assert shape_from_config(config).moe_layers == 22


def test_shared_experts_and_biases_of_qwen2_moe_are_counted() -> None:
    qwen_15_moe = {
        "model_type": "qwen2_moe",
        "hidden_size": 2048,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "intermediate_size": 5632,
        "vocab_size": 151936,
        "num_experts": 60,
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1408,
        "shared_expert_intermediate_size": 5632,
        "decoder_sparse_step": 1,
    }
    assert shape_from_config(qwen_15_moe, "Qwen1.5-MoE-A2.7B").parameters == 14_315_784_192


def test_the_checkpoints_quantization_is_kept() -> None:
    config = {**LLAMA, "quantization_config": {"quant_method": "AWQ", "bits": 4}}
    assert shape_from_config(config).quantization == "awq"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert", "hidden_size": 768}, "'bert.json': model_type 'bert' is not known here"),
        ({}, "model_type None is not known here"),
        ({**LLAMA, "hidden_size": None}, "'bert.json': hidden_size is missing"),
        ({**LLAMA, "vocab_size": 0}, "vocab_size is missing"),
        ({**LLAMA, "num_hidden_layers": "32"}, "num_hidden_layers is '32', expected a whole number"),
        ({**LLAMA, "num_hidden_layers": True}, "num_hidden_layers is True"),
        ({**LLAMA, "hidden_size": -1}, "hidden_size is -1"),
        ({**CONFIGS["opt-125m"], "word_embed_proj_dim": 512}, "word_embed_proj_dim differs"),
    ],
)
def test_a_config_of_another_kind_is_one_clear_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^model config ") as caught:
        shape_from_config(config, name="bert.json")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
