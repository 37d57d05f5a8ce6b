"""The arguments that a plan prints pass each engine's own rules, and its version has them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog.flags import flag_exists, flag_table
from catalog.hardware import GPUS
from troubleshoot.model_table import CONFIGS
from troubleshoot.plan.arguments import Arguments, arguments
from troubleshoot.plan.chunking import chunks_by_default, chunks_prompts, newest
from troubleshoot.plan.estimate import Estimate, best_estimate
from troubleshoot.plan.inputs import ENGINES, Question, read_gpu, read_model
from troubleshoot.steady_state import Load

# The same examples in every run, however busy the machine.
SETTLED = settings(deadline=None, derandomize=True, max_examples=80)
VLLM_RELEASES = flag_table("vllm").releases_read


@st.composite
def planned(draw: st.DrawFn, engine: str) -> tuple[Question, Estimate, Arguments]:
    name = draw(st.sampled_from(sorted(CONFIGS)))
    question = Question(
        shape=read_model(name),
        model=name,
        gpu=draw(st.sampled_from(GPUS)),
        load=Load(draw(st.integers(1, 700)), draw(st.integers(1, 300))),
        gpus=draw(st.one_of(st.none(), st.integers(1, 16))),
        utilization=draw(st.floats(0.5, 0.95)),
        kv_dtype=draw(st.sampled_from(["auto", "fp8"])),
        context=draw(st.one_of(st.none(), st.just(1024))),
        batched_tokens=draw(st.sampled_from([512, 2048, 8192])),
        engine=engine,
        engine_version=draw(st.sampled_from(["", *VLLM_RELEASES])) if engine == "vllm" else "",
    )
    found = best_estimate(question)
    assume(found.fits)
    return question, found, arguments(question, found)


def numbers(command: Arguments) -> dict[str, float]:
    return {flag: float(value) for flag, value in command.flags if value.replace(".", "", 1).isdigit()}


def assert_split(question: Question, tensor: float, pipeline: float) -> None:
    """What every engine asks of a model before it cuts it."""
    shape = question.shape
    assert shape.attention_heads % tensor == 0
    if shape.kv_lora_rank is None:
        assert shape.kv_heads % tensor == 0 or tensor % shape.kv_heads == 0
    assert shape.intermediate_size % tensor == 0
    assert 1 <= pipeline <= shape.layers
    if question.gpus:
        assert tensor * pipeline <= question.gpus


@SETTLED
@given(planned("vllm"))
def test_vllm_takes_them(drawn: tuple[Question, Estimate, Arguments]) -> None:
    question, found, command = drawn
    values = numbers(command)
    assert_split(question, values.get("--tensor-parallel-size", 1), values.get("--pipeline-parallel-size", 1))
    context, batched = values["--max-model-len"], values["--max-num-batched-tokens"]
    assert context <= (question.shape.max_position_embeddings or context)
    assert batched >= values["--max-num-seqs"] >= 1
    chunked = "--enable-chunked-prefill" in dict(command.flags) or chunks_by_default(command.version)
    assert batched >= context or chunked
    assert 0 < values["--gpu-memory-utilization"] <= 1
    assert context <= found.memory.longest
    assert all(flag_exists("vllm", flag, command.version) is not False for flag, _ in command.flags)


@SETTLED
@given(planned("sglang"))
def test_sglang_takes_them(drawn: tuple[Question, Estimate, Arguments]) -> None:
    question, found, command = drawn
    values = numbers(command)
    assert_split(question, values.get("--tp-size", 1), values.get("--pp-size", 1))
    assert 0 < values["--mem-fraction-static"] < 1
    assert values["--context-length"] <= found.memory.longest
    assert values["--max-running-requests"] >= 1
    # The fraction holds weights and cache, and leaves what a step needs.
    held = values["--mem-fraction-static"] * found.memory.total_bytes
    assert held >= found.memory.weights_bytes
    assert held <= found.memory.total_bytes - found.memory.activation_bytes - found.memory.non_torch_bytes


@SETTLED
@given(planned("tgi"))
def test_tgi_takes_them(drawn: tuple[Question, Estimate, Arguments]) -> None:
    question, _, command = drawn
    values = numbers(command)
    assert_split(question, values.get("--num-shard", 1), 1)
    assert 0 < values["--max-input-tokens"] < values["--max-total-tokens"]
    assert values["--max-batch-prefill-tokens"] >= values["--max-input-tokens"]
    assert values["--max-batch-total-tokens"] >= values["--max-total-tokens"]
    assert values["--max-batch-total-tokens"] >= values["--max-batch-prefill-tokens"]
    assert 0 < values["--cuda-memory-fraction"] <= 1
    assert values["--max-concurrent-requests"] >= 1


@SETTLED
@given(planned("tensorrt_llm"))
def test_trtllm_serve_takes_them(drawn: tuple[Question, Estimate, Arguments]) -> None:
    question, found, command = drawn
    values = numbers(command)
    assert_split(question, values.get("--tp_size", 1), values.get("--pp_size", 1))
    assert values["--max_num_tokens"] >= values["--max_seq_len"], "a prompt is not cut"
    assert values["--max_num_tokens"] >= values["--max_batch_size"] >= 1
    assert 0 <= values["--kv_cache_free_gpu_memory_fraction"] < 1
    assert values["--max_seq_len"] <= found.memory.longest


def question(model: str = "llama-3.1-8b", gpu: str = "NVIDIA H100 80GB HBM3", **more: object) -> Question:
    base = Question(shape=read_model(model), model=model, gpu=read_gpu(gpu), load=Load(512, 256))
    return replace(base, **more)  # type: ignore[arg-type]


def command_for(asked: Question) -> Arguments:
    return arguments(asked, best_estimate(asked))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_flag_is_in_the_catalogue(engine: str) -> None:
    asked = question(engine=engine, kv_dtype="fp8", gpus=2, tensor_parallel=2, dtype="float16")
    version = newest(engine) or "1.0"
    assert all(flag_exists(engine, flag, version) for flag, _ in command_for(asked).flags)


def test_an_old_release_gets_a_step_as_long_as_the_context() -> None:
    asked = question("llama-2-7b", engine_version="0.2.7")
    values = dict(command_for(asked).flags)
    assert not chunks_prompts("vllm", "0.2.7")
    assert int(values["--max-num-batched-tokens"]) >= int(values["--max-model-len"])
    assert "--enable-chunked-prefill" not in values


def test_a_release_between_cuts_prompts_by_flag() -> None:
    assert "--enable-chunked-prefill" in dict(command_for(question(engine_version="0.6.3")).flags)
    assert "--enable-chunked-prefill" not in dict(command_for(question(engine_version="0.24.0")).flags)


def test_a_flag_that_the_release_lacks_is_left_out_and_said() -> None:
    command = command_for(question(engine_version="0.2.7", kv_dtype="fp8"))
    assert "--kv-cache-dtype" not in dict(command.flags)
    assert any("0.2.7 has no --kv-cache-dtype" in note for note in command.notes)


def test_a_release_that_was_not_read_is_said() -> None:
    assert any("were not read" in note for note in command_for(question(engine_version="99.1")).notes)
    assert any("no release number" in note for note in command_for(question(engine_version="nightly")).notes)


def test_a_gpu_before_bfloat16_gets_float16() -> None:
    old = question("llama-2-7b", "Tesla V100-SXM2-32GB")
    assert dict(command_for(old).flags)["--dtype"] == "float16"
    assert "--dtype" not in dict(command_for(question()).flags)


def test_quantized_while_loading_or_by_its_checkpoint() -> None:
    assert dict(command_for(question(quantization="fp8")).flags)["--quantization"] == "fp8"
    awq = command_for(question(quantization="awq"))
    assert "--quantization" not in dict(awq.flags)
    assert any("need a checkpoint quantized so" in note for note in awq.notes)
    checkpoint = command_for(question("deepseek-v3", "NVIDIA H200", gpus=8))
    assert "--quantization" not in dict(checkpoint.flags)
    assert not any("checkpoint" in note for note in checkpoint.notes)


def test_what_an_engine_cannot_do_is_said() -> None:
    amd = command_for(question("llama-2-7b", "AMD Instinct MI300X", engine="tensorrt_llm", kv_dtype="fp8"))
    assert any("NVIDIA GPUs only" in note for note in amd.notes)
    assert any("extra_llm_api_options" in note for note in amd.notes)
    staged = question("llama-3.1-70b", engine="tgi", gpus=16, tensor_parallel=8, pipeline_parallel=2)
    assert any("no pipeline parallelism" in note for note in command_for(staged).notes)
    wide = question("llama-3.1-405b", gpus=16, tensor_parallel=8, pipeline_parallel=2)
    assert any("Ray" in note for note in command_for(wide).notes)
    assert "--distributed-executor-backend" in dict(command_for(wide).flags)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("models/my llama/config.json", "models/my llama"),
        ("config.json", "."),
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_is_given_the_models_folder(engine: str, model: str, named: str) -> None:
    command = command_for(replace(question(engine=engine), model=model))
    assert named in command.words


def test_a_short_name_is_said_to_stand_for_the_model() -> None:
    assert any("stands for your model" in note for note in command_for(question()).notes)
