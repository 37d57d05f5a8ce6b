"""Weight and KV-cache arithmetic, by hand, by property, and against what vLLM printed."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot import capacity
from troubleshoot.capacity import GIB
from troubleshoot.models import ModelShape, known_shape

MIB = 1024**2
RECORDINGS = Path(__file__).resolve().parents[2] / ".." / "shared" / "recordings"
H200_TOTAL_BYTES = 139.8 * GIB
# vLLM 0.24.0's default, which the recordings run with.
VLLM_024_UTILIZATION = 0.92

gib = st.floats(min_value=0.01, max_value=200).map(lambda value: value * GIB)


def shape_of(name: str) -> ModelShape:
    shape = known_shape(name)
    assert shape is not None, name
    return shape


def recorded_model(name: str) -> ModelShape:
    """The recorder's llama-3-8b-32k is Llama-3-8B with the 32 000 tokens of the recorder's own tokenizer."""
    shape = shape_of(name)
    if name != "llama-3-8b-32k":
        return shape
    dropped = 2 * (shape.vocab_size - 32000) * shape.hidden_size
    return replace(
        shape,
        vocab_size=32000,
        parameters=shape.parameters - dropped,
        active_parameters=shape.active_parameters - dropped,
        max_position_embeddings=32768,
    )


def start_up_numbers(recording: str) -> tuple[float, float, int, int, float]:
    """Read (weights GiB, KV GiB, KV tokens, context, concurrency) from a recorded start-up."""
    path = RECORDINGS / recording / "engine.log"
    if not path.exists():
        pytest.skip(f"recording {recording} is not in ../shared/recordings")
    text = path.read_text(encoding="utf-8", errors="replace")

    def number(pattern: str, group: int = 1) -> float:
        found = re.search(pattern, text)
        assert found, pattern
        return float(found[group].replace(",", ""))

    concurrency = r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x"
    return (
        number(r"Model loading took ([\d.]+) GiB"),
        number(r"Available KV cache memory: (-?[\d.]+) GiB"),
        int(number(r"GPU KV cache size: ([\d,]+) tokens")),
        int(number(concurrency)),
        number(concurrency, 2),
    )


@pytest.mark.parametrize(
    ("name", "quantization", "tensor_parallel", "expected_gib"),
    [
        ("llama-2-7b", "auto", 1, 6_738_415_616 * 2 / GIB),
        ("llama-2-7b", "float32", 1, 6_738_415_616 * 4 / GIB),
        ("llama-2-70b", "torch.bfloat16", 4, 68_976_648_192 / 2 / GIB),
        # Linear layers at one byte, embedding and head (2 x 32 000 x 4096) at two.
        ("llama-2-7b", "fp8", 1, (6_738_415_616 + 2 * 32000 * 4096) / GIB),
        # The checkpoint sizes of the gpt-oss model card: only the experts are MXFP4.
        ("gpt-oss-20b", "auto", 1, 12.8),
        ("gpt-oss-120b", "auto", 1, 60.8),
    ],
)
def test_weight_bytes(name: str, quantization: str, tensor_parallel: int, expected_gib: float) -> None:
    size = capacity.weight_bytes(shape_of(name), quantization, tensor_parallel)
    assert size / GIB == pytest.approx(expected_gib, rel=0.005)


def test_weight_bytes_of_a_bare_parameter_count() -> None:
    assert capacity.weight_bytes(7e9) == 14e9
    assert capacity.weight_bytes(7e9, "fp8", 2) == 3.5e9
    assert capacity.weight_bytes(7e9, "awq") == pytest.approx(7e9 * 4.15625 / 8)


def test_a_tied_embedding_is_counted_once_and_never_as_a_lookup() -> None:
    parts = capacity.weight_parts(shape_of("llama-3.2-1b"))
    assert parts.lookup_bytes == 0
    assert parts.streamed_bytes == 2 * 1_235_814_400


@pytest.mark.parametrize(
    "call",
    [
        lambda: capacity.weight_bytes(7e9, "int3"),
        lambda: capacity.kv_bytes_per_token(shape_of("llama-2-7b"), "int3"),
    ],
)
def test_an_unknown_width_is_named_with_what_is_known(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=r"'int3': its width is not known here \(known: auto, bfloat16"):
        call()


@pytest.mark.parametrize(
    ("name", "kv_dtype", "tensor_parallel", "expected_bytes"),
    [
        # 2 (key and value) x 40 layers x 5120 x 2 bytes, not 1.6 MB.
        ("llama-2-13b", "auto", 1, 0.78125 * MIB),
        ("llama-2-7b", "auto", 1, 0.5 * MIB),
        ("llama-2-7b", "fp8", 1, 0.25 * MIB),
        ("llama-2-7b", "auto", 4, 0.125 * MIB),
        # 8 KV heads for 32 query heads: a quarter.
        ("llama-3-8b", "auto", 1, 0.125 * MIB),
        ("llama-2-70b", "auto", 8, 40960),
        # 16 GPUs, 8 KV heads: every GPU keeps one whole head.
        ("llama-2-70b", "auto", 16, 40960),
        # 4 KV heads over 8 GPUs.
        ("qwen2.5-7b", "fp8_e4m3", 8, 2 * 28 * 128),
        # MLA: 61 x (512 + 64) x 2, the same on every GPU.
        ("deepseek-v3", "auto", 1, 70272),
        ("deepseek-v3", "auto", 8, 70272),
        ("deepseek-v2-lite", "torch.bfloat16", 1, 27 * 576 * 2),
    ],
)
def test_kv_bytes_per_token(name: str, kv_dtype: str, tensor_parallel: int, expected_bytes: float) -> None:
    assert capacity.kv_bytes_per_token(shape_of(name), kv_dtype, tensor_parallel) == expected_bytes


def test_a_sliding_layer_holds_its_window_at_most() -> None:
    # Gemma 2 9B: 21 full and 21 sliding layers of 2 x 8 x 256 x 2 bytes a token, window 4096.
    gemma = shape_of("gemma-2-9b")
    assert capacity.request_kv_bytes(gemma, 4096) == 42 * 8192 * 4096
    assert capacity.request_kv_bytes(gemma, 8192) == 21 * 8192 * 8192 + 21 * 8192 * 4096
    assert capacity.request_kv_bytes(shape_of("llama-2-7b"), 17) == 32 * 0.5 * MIB


GPU_RECORDINGS = [
    ("healthy_steady", "llama-2-7b"),
    ("stuck_engine", "llama-2-7b"),
    ("thr_serial_client", "llama-2-7b"),
    ("ttft_queue_burst", "llama-2-13b"),
    ("ttft_long_prefill", "llama-3-8b-32k"),
]


@pytest.mark.parametrize(("recording", "model"), GPU_RECORDINGS)
def test_tokens_that_fit_are_what_vllm_printed(recording: str, model: str) -> None:
    _, kv_gib, kv_tokens, context, concurrency = start_up_numbers(recording)
    per_token = capacity.kv_bytes_per_token(recorded_model(model))
    # The log rounds the memory to 0.01 GiB, which is 1 to 6 blocks.
    fewest = capacity.tokens_that_fit((kv_gib - 0.005) * GIB, per_token)
    most = capacity.tokens_that_fit((kv_gib + 0.005) * GIB, per_token)
    assert fewest <= kv_tokens <= most
    assert most - fewest <= 6 * 16
    assert round(capacity.max_concurrency(kv_tokens, context), 2) == concurrency


@pytest.mark.parametrize(("recording", "model"), GPU_RECORDINGS)
def test_weight_bytes_are_what_vllm_loaded(recording: str, model: str) -> None:
    weights_gib = start_up_numbers(recording)[0]
    computed_gib = capacity.weight_bytes(recorded_model(model)) / GIB
    # Printed to 0.01 GiB.
    assert computed_gib - 0.005 <= weights_gib <= computed_gib * 1.005


@pytest.mark.parametrize(("recording", "model"), GPU_RECORDINGS)
def test_the_budget_leaves_about_a_gib_for_activations(recording: str, model: str) -> None:
    weights_gib, kv_gib, *_ = start_up_numbers(recording)
    left = capacity.kv_budget_bytes(H200_TOTAL_BYTES, VLLM_024_UTILIZATION, weights_gib * GIB)
    assert 0.9 < left / GIB - kv_gib < 1.3


def test_the_printed_figures_by_hand() -> None:
    # 115.115 GiB (printed 115.12) at 8 MiB a block of 16: 14 734.7 blocks.
    assert capacity.tokens_that_fit(115.115 * GIB, 0.5 * MIB) == 235_744
    assert capacity.max_concurrency(235_744, 4096) == pytest.approx(57.55, abs=0.005)
    assert capacity.max_concurrency(14_400, 4096) == pytest.approx(3.52, abs=0.005)
    # A context that ends inside a block takes the whole block.
    assert capacity.max_concurrency(320, 17) == 10


def test_a_budget_below_the_weights_is_negative_and_holds_nothing() -> None:
    # The recording oom_no_kv_blocks: Llama-2-13B at 0.18 of an H200 printed -0.25 GiB.
    budget = capacity.kv_budget_bytes(H200_TOTAL_BYTES, 0.18, 24.29 * GIB, 1.0 * GIB, 0.12 * GIB)
    assert budget / GIB == pytest.approx(-0.25, abs=0.01)
    assert capacity.tokens_that_fit(budget, 0.78125 * MIB) == 0
    assert capacity.longest_context(budget, shape_of("llama-2-13b")) == 0


@pytest.mark.parametrize(
    ("name", "kv_gib", "kv_dtype", "expected"),
    [
        ("llama-3.1-8b", 8.0, "auto", 65536),
        ("llama-3.1-8b", 8.0, "fp8", 131072),
        # More than the model was made for is never advised.
        ("llama-3.1-8b", 100.0, "auto", 131072),
        ("llama-2-7b", 1.0, "auto", 2048),
        # 2 GiB = 21 x 8192 x (n + 4096) bytes -> n = 8387, capped at the model's 8192.
        ("gemma-2-9b", 2.0, "auto", 8192),
        # 1.5 GiB: n = 5266 -> 329 blocks of 16.
        ("gemma-2-9b", 1.5, "auto", 5264),
    ],
)
def test_longest_context_by_hand(name: str, kv_gib: float, kv_dtype: str, expected: int) -> None:
    assert capacity.longest_context(kv_gib * GIB, shape_of(name), kv_dtype) == expected


def test_longest_context_with_an_odd_maximum_and_with_none() -> None:
    llama = replace(shape_of("llama-2-7b"), max_position_embeddings=None)
    assert capacity.longest_context(10 * GIB, llama) == 20480
    odd = replace(llama, max_position_embeddings=1000)
    assert capacity.longest_context(10 * GIB, odd) == 1000
    assert capacity.longest_context(999 * 0.5 * MIB, odd) == 992
    all_slide = replace(shape_of("mistral-7b-v0.1"), max_position_embeddings=None)
    assert capacity.longest_context(10 * GIB, all_slide) == 4096


def test_longest_context_from_the_numbers_of_vllms_refusal() -> None:
    # "16.00 GiB KV cache is needed" for 32 768 tokens, "available 13.19 GiB": 27 013 tokens, 1688 blocks.
    assert capacity.tokens_that_fit(13.19 * GIB, 16 * GIB / 32768) == 27_008


def test_safe_max_num_seqs_of_the_preemption_recording() -> None:
    # 14 400 tokens; prompts of about 200 tokens, 900 generated: 650 resident on average, 1100 at the end.
    assert capacity.mean_resident_tokens(200, 900) == 650
    assert capacity.safe_max_num_seqs(14_400, 650) == 22
    assert capacity.safe_max_num_seqs(14_400, 1100) == 13
    deviation = capacity.resident_deviation_tokens(900)
    assert deviation == pytest.approx(259.8, abs=0.1)
    # 18 x 650 + 2 x 259.8 x sqrt(18) = 13 904; 19 would take 14 615.
    assert capacity.safe_max_num_seqs(14_400, 650, deviation) == 18
    assert capacity.safe_max_num_seqs(100, 650) == 1


def test_utilization_needed_of_the_recorded_start_up_failure() -> None:
    # oom_no_kv_blocks: -0.25 GiB available at 0.18; one request of 4096 tokens takes 3.125 GiB.
    assert capacity.utilization_needed(H200_TOTAL_BYTES, 0.18, 3.375 * GIB) == 0.21


def test_utilization_needed_is_none_when_the_card_cannot_give_it() -> None:
    assert capacity.utilization_needed(80 * GIB, 0.9, 10 * GIB) is None
    assert capacity.utilization_needed(80 * GIB, 0.5, 10 * GIB) == 0.63
    assert capacity.utilization_needed(80 * GIB, 0.5, 10 * GIB, free_bytes=50 * GIB) is None
    assert capacity.utilization_needed(80 * GIB, 0.5, 10 * GIB, free_bytes=51 * GIB) == 0.63
    assert capacity.utilization_needed(80 * GIB, 0.5, 10 * GIB, free_bytes=0) is None


def test_an_exact_hundredth_is_not_rounded_past_itself() -> None:
    # 0.07 x 100 is 7.000000000000001 in floating point.
    assert capacity.utilization_needed(100 * GIB, 0.05, 2 * GIB) == 0.07
    assert capacity.utilization_that_fits(0.29 * 100 * GIB, 100 * GIB) == 0.29


def test_utilization_that_fits_of_the_shared_gpu_recording() -> None:
    # "Free memory on device cuda:0 (78.77/139.8 GiB)": 0.5634.
    assert capacity.utilization_that_fits(78.77 * GIB, 139.8 * GIB) == 0.56
    assert capacity.utilization_that_fits(78.77 * GIB, 139.8 * GIB, margin_bytes=2 * GIB) == 0.54
    assert capacity.utilization_that_fits(139.7 * GIB, 139.8 * GIB) == capacity.MAX_UTILIZATION
    assert capacity.utilization_that_fits(1 * GIB, 139.8 * GIB) is None


@given(less=gib, more=gib, block=st.sampled_from([1, 8, 16, 32, 128]))
def test_more_memory_never_holds_fewer_tokens(less: float, more: float, block: int) -> None:
    low, high = sorted((less, more))
    per_token = 0.78125 * MIB
    fitting = capacity.tokens_that_fit(low, per_token, block)
    assert fitting <= capacity.tokens_that_fit(high, per_token, block)
    assert fitting % block == 0
    assert fitting * per_token <= low * (1 + 1e-12) < (fitting + block) * per_token * (1 + 1e-9)


@given(tokens=st.integers(0, 10**6), short=st.integers(1, 10**6), long=st.integers(1, 10**6))
def test_a_longer_context_never_raises_concurrency(tokens: int, short: int, long: int) -> None:
    low, high = sorted((short, long))
    assert capacity.max_concurrency(tokens, high) <= capacity.max_concurrency(tokens, low)


@given(
    kv_bytes=gib,
    name=st.sampled_from(["llama-3.1-8b", "gemma-3-27b", "gpt-oss-20b", "deepseek-v3", "mistral-7b-v0.1"]),
)
def test_the_longest_context_fits_and_one_block_more_does_not(kv_bytes: float, name: str) -> None:
    shape = shape_of(name)
    context = capacity.longest_context(kv_bytes, shape)
    assert context == 0 or capacity.request_kv_bytes(shape, context) <= kv_bytes
    assert shape.max_position_embeddings is not None
    if context < shape.max_position_embeddings:
        assert capacity.request_kv_bytes(shape, context + 16) > kv_bytes


@given(
    total_bytes=st.floats(8, 200).map(lambda value: value * GIB),
    current=st.integers(1, 98).map(lambda value: value / 100),
    share=st.floats(0.0001, 0.9),
)
def test_utilization_needed_is_enough_and_a_hundredth_less_is_not(
    total_bytes: float, current: float, share: float
) -> None:
    deficit_bytes = total_bytes * share
    needed_bytes = total_bytes * current + deficit_bytes
    result = capacity.utilization_needed(total_bytes, current, deficit_bytes)
    if result is None:
        assert needed_bytes > total_bytes * capacity.MAX_UTILIZATION
        return
    assert result > current or deficit_bytes <= 1
    assert total_bytes * result >= needed_bytes - 2
    assert total_bytes * (result - 0.01) < needed_bytes


@given(total_bytes=gib, free_share=st.floats(0, 1), margin_share=st.floats(0, 0.5))
def test_utilization_that_fits_is_accepted_and_a_hundredth_more_is_not(
    total_bytes: float, free_share: float, margin_share: float
) -> None:
    free_bytes, margin_bytes = total_bytes * free_share, total_bytes * margin_share
    result = capacity.utilization_that_fits(free_bytes, total_bytes, margin_bytes)
    room = free_bytes - margin_bytes
    assert total_bytes * (result or 0) <= max(room, 0) + 2
    if result != capacity.MAX_UTILIZATION:
        assert total_bytes * ((result or 0) + 0.01) > room


@given(kv_tokens=st.integers(1000, 10**6), mean=st.floats(1, 5000), deviation=st.floats(0, 2000))
def test_the_safe_number_of_sequences_fits_and_one_more_does_not(kv_tokens: int, mean: float, deviation: float) -> None:
    def resident(count: int) -> float:
        return count * mean + 2 * deviation * math.sqrt(count)

    count = capacity.safe_max_num_seqs(kv_tokens, mean, deviation)
    assert count == 1 or resident(count) <= kv_tokens * (1 + 1e-6)
    assert resident(count + 1) > kv_tokens * (1 - 1e-6)
