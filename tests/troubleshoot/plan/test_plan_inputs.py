"""What a plan is asked: read right, and refused in one line that names what is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troubleshoot.model_table import CONFIGS
from troubleshoot.plan.inputs import Question, checked, read_gpu, read_model, seconds_of
from troubleshoot.sources.errors import InputError
from troubleshoot.steady_state import Load

# The same examples in every run, however busy the machine.
SETTLED = settings(deadline=None, derandomize=True, max_examples=80)
LLAMA = dict(CONFIGS["llama-3.1-8b"])
KINDS = {
    "embedding": ({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 768}, "BertModel generates no"),
    "embedding of a decoder": ({**LLAMA, "architectures": ["Qwen3Model"]}, "Qwen3Model generates no text"),
    "classifier": ({**LLAMA, "architectures": ["LlamaForSequenceClassification"]}, "generates no text"),
    "image model": ({"model_type": "vit", "architectures": ["ViTForImageClassification"]}, "generates no text"),
    "image generator": ({"_class_name": "StableDiffusionPipeline"}, "image generator"),
    "tokenizer config": ({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>"}, "a tokenizer's configuration"),
    "tokenizer": ({"version": "1.0", "added_tokens": []}, "this is a tokenizer"),
    "adapter": ({"peft_type": "LORA", "r": 16}, "an adapter's configuration"),
    "index of weights": ({"metadata": {}, "weight_map": {}}, "an index of weight files"),
    "generation config": ({"do_sample": True, "temperature": 0.6}, "a generation configuration"),
    "something else": ({"a": 1}, "no model's configuration"),
    "unknown decoder": ({"model_type": "mamba", "architectures": ["MambaForCausalLM"]}, "model_type 'mamba' is not"),
    "no sizes": ({"model_type": "llama"}, "hidden_size is missing"),
    "negative size": ({**LLAMA, "hidden_size": -4096}, "hidden_size is -4096"),
    "size as text": ({**LLAMA, "vocab_size": "128256"}, "vocab_size is '128256'"),
    "absurd size": ({**LLAMA, "num_hidden_layers": 10**30}, "num_hidden_layers is"),
    "absurd layers": ({**LLAMA, "num_hidden_layers": 10**6}, "are no model"),
    "more heads than width": ({**LLAMA, "hidden_size": 8}, "are no model"),
    "experts that cannot be picked": (
        {**CONFIGS["mixtral-8x7b"], "num_experts_per_tok": 9},
        "a token cannot pick 9 of 8 experts",
    ),
}


def written(folder: Path, content: Any) -> str:
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def refusal(name: str) -> str:
    with pytest.raises(InputError) as caught:
        read_model(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_of_another_kind_is_named(kind: str, tmp_path: Path) -> None:
    content, said = KINDS[kind]
    assert said in refusal(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ("not json", "no JSON"),
        ("[1, 2]", "no model's configuration"),
        ('"text"', "no model's configuration"),
        ("[" * 100_000, "no JSON"),
        ("\x00\x01", "no JSON"),
    ],
)
def test_what_is_no_config_is_named(content: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(written(tmp_path, content))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    assert "larger than any config.json" in refusal(written(tmp_path, " " * (5 << 20)))


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refusal(str(tmp_path / "config.json"))
    assert "near it: llama-3" in refusal("llama-3.9-8b")
    assert "--list-models" in refusal("zzzzzzzz")
    assert refusal("\x1b[31mred").startswith("\\x1b[31mred: ")
    assert refusal("a\0b").startswith("a\\x00b: ")


def test_a_config_a_folder_and_a_name_give_the_same_shape(tmp_path: Path) -> None:
    named = read_model("meta-llama/Llama-3.1-8B-Instruct")
    path = written(tmp_path, {**LLAMA, "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16"})
    for read in (read_model(path), read_model(str(tmp_path))):
        assert replace(read, name="") == replace(named, name="")


def test_float32_is_twice_as_wide() -> None:
    assert read_model("llama-2-7b", "float32").dtype_bytes == 4
    assert read_model("llama-2-7b", "float16").dtype_bytes == 2


@pytest.mark.parametrize(
    ("declared", "method"),
    [
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 4, "type": "int"}}}},
            "int4",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            "fp8",
        ),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
        ({"quant_method": "modelopt"}, "modelopt"),
    ],
)
def test_a_checkpoints_own_width_is_read(declared: dict[str, Any], method: str, tmp_path: Path) -> None:
    assert read_model(written(tmp_path, {**LLAMA, "quantization_config": declared})).quantization == method


def test_an_unknown_width_asks_for_the_option(tmp_path: Path) -> None:
    path = written(tmp_path, {**LLAMA, "quantization_config": {"quant_method": "quark"}})
    asked = Question(shape=read_model(path), model=path, gpu=read_gpu("H200"), load=Load(1, 1))
    with pytest.raises(InputError, match="name it with --quantization"):
        checked(asked)
    assert checked(replace(asked, quantization="fp8"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = sorted(
    {key for config in CONFIGS.values() for key in config} | {"quantization_config", "text_config", "layer_types"}
)


@SETTLED
@given(
    st.sampled_from(sorted(CONFIGS)),
    st.dictionaries(
        st.sampled_from([*KEYS, "mlp_only_layers", "decoder_sparse_step", "architectures"]), json_values, max_size=4
    ),
)
def test_a_config_with_anything_in_it_is_read_or_refused(name: str, changed: dict[str, Any]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), json.dumps({**CONFIGS[name], **changed}))
        try:
            shape = read_model(path)
            question = checked(Question(shape=shape, model=path, gpu=read_gpu("H200"), load=Load(1, 1)))
        except InputError as error:
            assert "\n" not in str(error)
            return
        from troubleshoot.plan.answer import plan

        assert plan(question).estimate.memory.total_bytes > 0


# GPUs and numbers


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("H200", "NVIDIA H200"),
        ("h100 80gb hbm3", "NVIDIA H100 80GB HBM3"),
        ("A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB"),
        ("L4", "NVIDIA L4"),
        ("mi300x", "AMD Instinct MI300X"),
    ],
)
def test_a_gpu_is_found(name: str, found: str) -> None:
    assert read_gpu(name).name == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("A100", "the name fits 4 GPUs; give one of 'NVIDIA A100-PCIE-40GB'"),
        ("H1000", "near it: "),
        ("", "no data sheet"),
        ("GTX 1080", "no data sheet for this GPU"),
        ("H200\n", "NVIDIA H200"),
    ],
)
def test_a_gpu_that_is_not_known_is_said(name: str, said: str) -> None:
    try:
        assert read_gpu(name).name == said
    except InputError as error:
        assert said in str(error)


def question(**more: Any) -> Question:
    base = Question(shape=read_model("llama-2-7b"), model="llama-2-7b", gpu=read_gpu("H200"), load=Load(512, 256))
    return replace(base, **more)


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"context": 8192}, "--context"),
        ({"load": Load(4000, 200)}, "--prompt-tokens"),
        ({"context": 512}, "--prompt-tokens"),
        ({"load": Load(100, 100, 101)}, "--cached-tokens"),
        ({"pipeline_parallel": 33}, "--pipeline-parallel"),
        ({"gpus": 2, "tensor_parallel": 4}, "--gpus"),
    ],
)
def test_numbers_that_do_not_go_together_name_the_option(asked: dict[str, Any], option: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(question(**asked))
    assert caught.value.name == option


@pytest.mark.parametrize(("text", "seconds"), [("200ms", 0.2), ("2s", 2.0), ("0.5", 0.5)])
def test_durations(text: str, seconds: float) -> None:
    assert math.isclose(seconds_of(text), seconds)


@pytest.mark.parametrize("text", ["", "0", "-1s", "nan", "inf", "2m", "ms"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration above 0"):
        seconds_of(text)
