"""What the GPU could do: limits by hand, as properties, and against recorded rates."""

from __future__ import annotations

import csv
import gzip
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot import capacity, roofline
from troubleshoot.models import ModelShape, known_shape
from troubleshoot.roofline import DecodeJudgement

RECORDINGS = Path(__file__).resolve().parents[2] / ".." / "shared" / "recordings"

# NVIDIA H200 SXM data sheet: 4.8 TB/s; 989 TFLOP/s dense bf16 (half of the figure with sparsity).
H200_BYTES_PER_SECOND = 4.8e12
H200_FLOPS = 989e12


def shape_of(name: str) -> ModelShape:
    shape = known_shape(name)
    assert shape is not None, name
    return shape


def requests_of(recording: str) -> list[dict[str, str]]:
    path = RECORDINGS / recording / "requests.csv.gz"
    if not path.exists():
        pytest.skip(f"recording {recording} is not in ../shared/recordings")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def decode_rate(request: dict[str, str]) -> float:
    """Tokens/s after the first token; a streamed chunk is a token at low concurrency."""
    seconds = float(request["e2e_s"]) - float(request["ttft_s"])
    return (int(request["stream_chunks"]) - 1) / seconds


def llama_2_7b_limit() -> float:
    return roofline.decode_limit(H200_BYTES_PER_SECOND, capacity.weight_bytes(shape_of("llama-2-7b")))


def test_decode_limit_is_bandwidth_over_bytes_read() -> None:
    # 4.8e12 / (2 x 6 738 415 616)
    assert llama_2_7b_limit() == pytest.approx(356.17, abs=0.01)
    assert roofline.decode_limit(4.8e12, 12e9, kv_bytes_read_per_step=4e9) == 300


@pytest.mark.parametrize(
    ("tokens_per_second", "percent", "judgement"),
    [
        (220, 62, DecodeJudgement.HEALTHY),
        (75, 21, DecodeJudgement.LAUNCH_BOUND),
        (130, 36, DecodeJudgement.SLOW),
        (360, 101, DecodeJudgement.HEALTHY),
        (700, 197, DecodeJudgement.ABOVE_LIMIT),
    ],
)
def test_a_7b_model_on_an_h200_is_judged_by_its_share(
    tokens_per_second: float, percent: int, judgement: DecodeJudgement
) -> None:
    share = roofline.decode_share(tokens_per_second, llama_2_7b_limit())
    assert round(share * 100) == percent
    assert roofline.judge_decode_share(share) is judgement


def test_the_recorded_serial_client_is_healthy() -> None:
    rates = [decode_rate(request) for request in requests_of("thr_serial_client")]
    median = statistics.median(rates)
    assert median == pytest.approx(222, abs=1)
    share = roofline.decode_share(median, llama_2_7b_limit())
    assert share == pytest.approx(0.62, abs=0.01)
    assert roofline.judge_decode_share(share) is DecodeJudgement.HEALTHY


def test_recorded_eager_decoding_is_launch_bound() -> None:
    # The second round of 16 clients: after warm-up, before the engine is stopped.
    requests = requests_of("stuck_engine")[16:32]
    median = statistics.median(decode_rate(request) for request in requests)
    share = roofline.decode_share(median, llama_2_7b_limit())
    assert share == pytest.approx(0.175, abs=0.01)
    assert roofline.judge_decode_share(share) is DecodeJudgement.LAUNCH_BOUND


def test_recorded_eager_decoding_is_launch_bound_even_with_its_kv_cache_counted() -> None:
    # 16 sequences of at most 128 + 200 tokens read 2.6 GiB beside 12.55 GiB of weights.
    kv_bytes = 16 * 328 * capacity.kv_bytes_per_token(shape_of("llama-2-7b"))
    limit = roofline.batch_decode_limit(
        H200_BYTES_PER_SECOND,
        capacity.weight_bytes(shape_of("llama-2-7b")),
        16,
        kv_bytes_a_sequence=kv_bytes / 16,
    )
    median = statistics.median(decode_rate(request) for request in requests_of("stuck_engine")[16:32])
    assert roofline.decode_share(median * 16, limit) < roofline.LAUNCH_BOUND_DECODE_SHARE


def test_no_recorded_decode_rate_is_above_the_limit() -> None:
    for recording in ("healthy_steady", "thr_serial_client", "kv_preemption"):
        fastest = max(decode_rate(request) for request in requests_of(recording))
        assert fastest < llama_2_7b_limit(), recording


def test_a_recorded_long_prefill_is_healthy() -> None:
    # The first request meets an idle engine. The recorder's model is Llama-3-8B with a smaller vocabulary,
    # which prefill does not multiply with.
    first = requests_of("ttft_long_prefill")[0]
    prompt_tokens, ttft_seconds = int(first["prompt_tokens"]), float(first["ttft_s"])
    shape = shape_of("llama-3-8b")
    limit = roofline.prefill_limit(
        H200_FLOPS,
        roofline.prefill_parameters(shape),
        attention_flops_a_token=roofline.attention_flops_per_token(shape, prompt_tokens),
    )
    share = prompt_tokens / ttft_seconds / limit
    low, high = roofline.HEALTHY_PREFILL_SHARE
    assert low < share < high
    assert roofline.expected_ttft(prompt_tokens, limit) == pytest.approx(ttft_seconds, rel=0.25)


def test_prefill_limit_is_two_flops_a_parameter() -> None:
    assert roofline.prefill_limit(1000e12, 5e9) == 100_000
    assert roofline.prefill_limit(1000e12, 5e9, tensor_parallel=4) == 400_000
    assert roofline.prefill_limit(1000e12, 5e9, attention_flops_a_token=10e9) == 50_000


def test_prefill_multiplies_neither_the_embedding_nor_the_head() -> None:
    assert roofline.prefill_parameters(shape_of("llama-2-7b")) == 6_738_415_616 - 2 * 32000 * 4096
    assert roofline.prefill_parameters(shape_of("llama-3.2-1b")) == 1_235_814_400 - 128256 * 2048


def test_attention_flops_grow_with_the_prompt_up_to_the_window() -> None:
    # Llama-2-7B: 4 FLOPs x 32 layers x 4096 dimensions x half of 4096 tokens.
    assert roofline.attention_flops_per_token(shape_of("llama-2-7b"), 4096) == 4 * 32 * 4096 * 2048
    # Mistral 7B v0.1: at 32 768 tokens every layer meets 4096, not 16 384.
    mistral = shape_of("mistral-7b-v0.1")
    assert roofline.attention_flops_per_token(mistral, 32768) == 4 * 32 * 4096 * 4096


def test_expected_ttft_is_queue_plus_prefill_and_never_below_a_step() -> None:
    assert roofline.expected_ttft(10_000, 40_000, queue_seconds=3) == 3.5
    assert roofline.expected_ttft(10_000, 40_000, prefill_share=0.25) == 1.0
    assert roofline.expected_ttft(4, 40_000, step_seconds=0.01) == 0.01


def test_a_decode_step_takes_the_slower_of_memory_and_arithmetic() -> None:
    assert roofline.batch_step_seconds(1e12, 10e9, 1) == 0.01
    assert roofline.batch_step_seconds(1e12, 10e9, 10, kv_bytes_a_sequence=1e9) == 0.02
    slow_arithmetic = roofline.batch_step_seconds(1e12, 10e9, 400, flops_per_second=100e12, active_parameters=5e9)
    assert slow_arithmetic == 0.04
    assert roofline.batch_decode_limit(1e12, 10e9, 10, kv_bytes_a_sequence=1e9) == 500


def test_the_ridge_of_an_h200() -> None:
    assert roofline.ridge_batch(H200_FLOPS, H200_BYTES_PER_SECOND) == pytest.approx(206, abs=0.5)
    # At the ridge both bounds take the same time.
    memory = roofline.batch_step_seconds(H200_BYTES_PER_SECOND, 2 * 7e9, 206)
    both = roofline.batch_step_seconds(
        H200_BYTES_PER_SECOND, 2 * 7e9, 207, flops_per_second=H200_FLOPS, active_parameters=7e9
    )
    assert both == pytest.approx(memory, rel=0.01)


def test_an_untied_embedding_is_not_streamed_and_a_tied_one_is() -> None:
    llama = shape_of("llama-2-7b")
    assert roofline.streamed_weight_bytes(llama) == capacity.weight_bytes(llama) - 2 * 32000 * 4096
    tied = shape_of("qwen3-4b")
    assert roofline.streamed_weight_bytes(tied) == capacity.weight_bytes(tied)
    assert roofline.streamed_weight_bytes(llama, "auto", 4) == roofline.streamed_weight_bytes(llama) / 4


def test_one_sequence_reads_only_the_active_experts() -> None:
    mixtral = shape_of("mixtral-8x7b")
    read = roofline.streamed_weight_bytes(mixtral, batch=1)
    assert read == pytest.approx(2 * (mixtral.active_parameters - mixtral.embedding_parameters))


def test_a_batch_reads_more_experts_until_it_reads_all() -> None:
    # Mixtral, 2 of 8: two tokens touch 8 x (1 - 0.75^2) = 3.5.
    assert roofline.expected_experts_read(8, 2, 1) == 2
    assert roofline.expected_experts_read(8, 2, 2) == 3.5
    mixtral = shape_of("mixtral-8x7b")
    everything = capacity.weight_parts(mixtral)
    assert roofline.streamed_weight_bytes(mixtral, batch=1000) == pytest.approx(
        everything.total_bytes - everything.lookup_bytes
    )


@given(batch=st.integers(1, 4096), kv_bytes=st.floats(0, 1e9), weights=st.floats(1e8, 1e12))
def test_a_larger_batch_never_lowers_the_total_and_never_raises_a_sequences_rate(
    batch: int, kv_bytes: float, weights: float
) -> None:
    def total(count: int) -> float:
        return roofline.batch_decode_limit(
            H200_BYTES_PER_SECOND,
            weights,
            count,
            kv_bytes_a_sequence=kv_bytes,
            flops_per_second=H200_FLOPS,
            active_parameters=weights / 2,
        )

    assert total(batch + 1) >= total(batch) * (1 - 1e-9)
    assert total(batch + 1) / (batch + 1) <= total(batch) / batch * (1 + 1e-9)


@given(experts=st.integers(1, 256), chosen=st.integers(1, 8), batch=st.integers(1, 512))
def test_experts_read_stay_between_one_tokens_and_all(experts: int, chosen: int, batch: int) -> None:
    picked = min(chosen, experts)
    read = roofline.expected_experts_read(experts, picked, batch)
    assert picked * (1 - 1e-9) <= read <= experts
    assert read <= picked * batch * (1 + 1e-9)
