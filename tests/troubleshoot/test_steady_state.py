"""What one replica serves, by hand; docs/plan-accuracy.md holds it against recordings."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from catalog.hardware import Gpu, find_gpu
from troubleshoot.model_shape import ModelShape
from troubleshoot.models import known_shape
from troubleshoot.roofline import SERVER_SECONDS, TYPICAL_DECODE_SHARE, all_reduce_seconds, matrix_flops
from troubleshoot.steady_state import Load, Replica, at_concurrency, at_rate, highest_rate


def _known() -> tuple[ModelShape, Gpu]:
    shape, gpu = known_shape("llama-2-7b"), find_gpu("NVIDIA H200")
    assert shape is not None and gpu is not None
    return shape, gpu


SHAPE, GPU = _known()
REPLICA = Replica(SHAPE, GPU)
STREAMED = 2 * (SHAPE.parameters - SHAPE.embedding_parameters)


def test_a_step_reads_the_weights_once_and_each_cache() -> None:
    alone = REPLICA.step_seconds(1, 1000)
    assert alone == pytest.approx((STREAMED + 1000 * 2**19) / 4.8e12 / TYPICAL_DECODE_SHARE)
    eight = REPLICA.step_seconds(8, 1000)
    assert eight == pytest.approx((STREAMED + 8000 * 2**19) / 4.8e12 / TYPICAL_DECODE_SHARE)


def test_a_large_batch_is_bound_by_arithmetic() -> None:
    batch = 5000
    assert REPLICA.step_seconds(batch, 1) == pytest.approx(batch * 2 * SHAPE.parameters / (989.4e12 * 0.5), rel=0.01)


def test_a_prompt_takes_its_arithmetic_and_half_the_limit() -> None:
    load = Load(1000, 1)
    inner = SHAPE.parameters - 2 * SHAPE.embedding_parameters
    attention = 4 * 32 * 128 * 32 * 500
    assert REPLICA.prefill_seconds(load) == pytest.approx(1000 * (2 * inner + attention) / (989.4e12 * 0.5), rel=1e-3)


def test_cached_tokens_are_not_computed_but_met() -> None:
    whole, cached = REPLICA.prefill_seconds(Load(2000, 1)), REPLICA.prefill_seconds(Load(2000, 1, 1500))
    assert 0.25 * whole < cached < 0.3 * whole
    assert Load(100, 1, 100).fresh_tokens == 1


def test_a_prompt_hides_in_a_step_that_has_room() -> None:
    small, large = Load(32, 100), Load(4000, 100)
    step = REPLICA.step_seconds(4, 32 + 50)
    assert REPLICA.token_seconds(small, 4, 0.5) == step
    assert REPLICA.token_seconds(large, 4, 0.5) > REPLICA.step_seconds(4, 4050)


def test_pipelines_pass_a_token_through_all_stages() -> None:
    two = replace(REPLICA, pipeline_parallel=2)
    assert two.step_seconds(1, 100) == pytest.approx(REPLICA.step_seconds(1, 100), rel=0.05)
    assert two.step_seconds(64, 1000) == pytest.approx(
        REPLICA.step_seconds(64, 1000) / 2 + STREAMED / 2 / 4.8e12 / 0.62, rel=0.01
    )


def test_tensor_parallelism_shares_reading_and_adds_messages() -> None:
    two = replace(REPLICA, tensor_parallel=2)
    messages = all_reduce_seconds(SHAPE, 1, 2, GPU)
    assert messages >= 2 * 32 * 10e-6
    assert two.step_seconds(1, 100) == pytest.approx(REPLICA.step_seconds(1, 100) / 2 + messages)


def test_closed_load_follows_its_own_clock() -> None:
    pace = at_concurrency(REPLICA, Load(50, 256), 1)
    assert pace.requests_per_second == pytest.approx(1 / (pace.ttft_seconds + 255 * pace.tpot_seconds))
    assert pace.output_tokens_per_second == pytest.approx(256 * pace.requests_per_second)
    assert pace.ttft_seconds == pytest.approx(SERVER_SECONDS + pace.tpot_seconds)


def test_open_load_agrees_with_littles_law() -> None:
    pace = at_rate(REPLICA, Load(300, 128), 20.0)
    assert pace is not None
    assert pace.batch == pytest.approx(20.0 * 127 * pace.tpot_seconds, rel=0.01)


def test_a_rate_beyond_the_arithmetic_is_refused() -> None:
    load = Load(4000, 10)
    most = 1 / REPLICA.prefill_seconds(load)
    assert at_rate(REPLICA, load, 1.1 * most) is None
    assert math.isinf(REPLICA.first_token_seconds(load, 0.005, 1.1 * most))
    assert at_rate(REPLICA, load, 0.5 * most) is not None


def test_a_queue_grows_as_prompts_fill_the_time() -> None:
    load = Load(2000, 10)
    busy = [
        REPLICA.first_token_seconds(load, 0.005, share / REPLICA.prefill_seconds(load)) for share in (0.1, 0.5, 0.9)
    ]
    assert busy == sorted(busy)
    # Half of the time busy: a queue of half a prompt.
    assert busy[1] == pytest.approx(SERVER_SECONDS + 1.5 * REPLICA.prefill_seconds(load), rel=0.01)


def test_the_highest_rate_is_at_a_bound() -> None:
    load = Load(300, 128)
    free = highest_rate(REPLICA, load, 64)
    bound = highest_rate(REPLICA, load, 64, tpot_seconds=0.007)
    assert free is not None and bound is not None
    assert free.batch + 2 * math.sqrt(free.batch) == pytest.approx(64, rel=0.05)
    assert bound.tpot_seconds == pytest.approx(0.007, rel=0.01)
    assert highest_rate(REPLICA, load, 64, tpot_seconds=0.001) is None


@pytest.mark.parametrize(
    ("name", "method", "flops"),
    [
        ("NVIDIA H200", "auto", 989.4e12),
        ("NVIDIA H200", "fp8", 1978.8e12),
        ("NVIDIA A100-SXM4-80GB", "fp8", 312e12),
        ("NVIDIA A100-SXM4-80GB", "int8", 624e12),
        ("NVIDIA A100-SXM4-80GB", "awq", 312e12),
        ("Tesla T4", "auto", 65e12),
        ("NVIDIA B200", "nvfp4", 9000e12),
    ],
)
def test_weights_are_multiplied_in_what_the_gpu_has(name: str, method: str, flops: float) -> None:
    gpu = find_gpu(name)
    assert gpu is not None
    assert matrix_flops(gpu, method) == pytest.approx(flops)
