"""A first token that comes late: long prompts, chunking, a cold start, prefixes, images; and decode that is held up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

# 1.5 requests/s of 24 000 prompt tokens: 36 000 prompt tokens/s against 60 generated.
LONG = {
    "running": 9, "waiting": 4, "kv": 0.5, "finished": 1.5, "prompt_tokens": 24_000, "output_tokens": 40,
    "prompt": 36_000, "generation": 60, "steps": 12, "ttft": 5.2, "queue": 1.9, "prefill": 3.3, "duration": 14,
}  # fmt: skip
CHAT = {
    "running": 12, "kv": 0.2, "finished": 2, "prompt_tokens": 700, "output_tokens": 400, "prompt": 1400,
    "generation": 800, "steps": 40, "ttft": 0.2, "queue": 0.01, "prefill": 0.15, "duration": 9, "gap": 0.02,
}  # fmt: skip


def test_long_prompts_are_the_root_of_the_queue_behind_them(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, **LONG))

    assert said.first == "ttft_long_prefill"
    assert "--long-prefill-token-threshold" in said.settings()


def test_long_prompts_with_a_quick_first_token_are_well(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, **{**LONG, "waiting": 0, "ttft": 0.5, "queue": 0, "prefill": 0.4}))

    assert "ttft_long_prefill" in said.ruled_out


def test_short_prompts_that_wait_are_a_queue_not_long_prefill(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(
        metrics=scrapes().phase(60, **{**CHAT, "running": 40, "waiting": 60, "kv": 0.97, "ttft": 9, "queue": 8.8})
    )

    assert said.first == "ttft_queueing"
    assert "ttft_long_prefill" in said.ruled_out


def test_long_prompts_before_a_full_cache_wait_for_the_cache(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, **{**LONG, "waiting": 30, "kv": 0.99, "queue": 12, "ttft": 15}))

    assert "ttft_long_prefill" in said.ruled_out
    assert said.first == "ttft_queueing"


def test_statistics_lines_with_much_more_prompt_than_output_are_long_prefill(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 9)
    for _ in range(5):
        log.stats(9, 4, 0.4, prompt=36_000, generation=60)

    assert diagnose_all(log).first == "ttft_long_prefill"


def test_uneven_gaps_between_tokens_are_decode_held_up_by_prefill(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    load = {**CHAT, "prompt": 6000, "prompt_tokens": 3000}
    log = (
        vllm_log()
        .start(max_num_batched_tokens=8192)
        .engine("Chunked prefill is enabled with max_num_batched_tokens=8192.")
    )
    log.weights(12.55).kv_cache(50.0, 99_000).ready().answers(200, 9)
    uneven = diagnose_all(log, scrapes().phase(60, **load, slow_share=0.03, slow_gap=0.9))
    even = diagnose_all(log, scrapes().phase(60, **load))

    assert uneven.first == "ttft_decode_starvation"
    fix = uneven.fix("--max-num-batched-tokens")
    assert fix.from_value == 8192
    assert isinstance(fix.to_value, int)
    assert fix.to_value < 8192
    assert "ttft_decode_starvation" in even.ruled_out


def test_gaps_that_are_all_equally_long_are_a_slow_engine_not_a_starved_one(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    seen = scrapes().phase(60, **{**CHAT, "prompt": 6000, "prompt_tokens": 3000, "generation": 60, "gap": 0.45})

    assert "ttft_decode_starvation" in diagnose_all(metrics=seen).ruled_out


BUDGET = (
    "ValueError: max_num_batched_tokens (2048) is smaller than max_model_len (32768). This effectively limits the "
    "maximum sequence length to max_num_batched_tokens and makes vLLM reject longer sequences. Please increase "
    "max_num_batched_tokens or decrease max_model_len."
)


def test_a_budget_below_the_context_without_chunking_stops_the_start(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(vllm_log().start(enable_chunked_prefill=False, max_model_len=32768).dies(BUDGET))

    assert said.first == "ttft_chunked_prefill_off_or_misconfigured"
    assert said.finding(said.first).severity.label == "critical"
    chunking, budget = said.fix("--enable-chunked-prefill"), said.fix("--max-num-batched-tokens")
    assert (chunking.from_value, chunking.to_value) == (False, True)
    assert (budget.from_value, budget.to_value) == (2048, 32768)


def test_chunking_that_is_off_is_a_choice_until_the_first_token_is_missed(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start(enable_chunked_prefill=False).answers(200, 9).stats(9)

    assert diagnose_all(log).alarms == []
    assert "ttft_chunked_prefill_off_or_misconfigured" in diagnose_all(log, symptom="ttft").alarms


def test_kernels_built_while_requests_wait_are_a_cold_start(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 9)
    for _ in range(3):
        log.engine(
            "Triton kernel JIT compilation during inference: _fused_moe_kernel. This causes a latency spike; consider "
            "extending warmup to cover this shape/config.",
            "WARNING",
        )
    said = diagnose_all(log.stats(9))

    assert said.first == "ttft_cold_start_or_compile"
    assert "VLLM_CACHE_ROOT" in said.settings()


def test_a_start_of_many_minutes_of_compilation_is_a_cold_start(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start().weights(12.55).engine("torch.compile took 388.10 s in total").kv_cache(50.0, 99_000)
    log.engine("init engine (profile, create kv cache, warmup model) took 512.80 seconds")

    assert diagnose_all(log.ready().answers(200, 9)).first == "ttft_cold_start_or_compile"


def test_an_ordinary_compilation_is_not(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start().weights(12.55).engine("torch.compile took 31.20 s in total").kv_cache(50.0, 99_000)
    log.engine("init engine (profile, create kv cache, warmup model) took 62.80 seconds")

    assert "ttft_cold_start_or_compile" in diagnose_all(log.ready().answers(200, 9)).ruled_out


@pytest.mark.parametrize(
    ("flag", "load", "alarm"),
    [
        pytest.param(
            False, {**CHAT, "prompt_tokens": 3000, "prompt": 6000, "prefill": 2.0, "ttft": 2.2}, True, id="off"
        ),
        pytest.param(False, {**CHAT, "prompt_tokens": 60, "prompt": 120}, False, id="off-but-short"),
    ],
)
def test_prefix_caching_that_is_off_costs_where_prompts_are_long_and_the_first_token_slow(
    flag: bool,
    load: dict[str, float],
    alarm: bool,
    diagnose_all: Diagnose,
    vllm_log: type[EngineLog],
    scrapes: type[Scrapes],
) -> None:
    log = vllm_log().healthy_start(enable_prefix_caching=flag).answers(200, 9)
    said = diagnose_all(log, scrapes().phase(60, **load))

    assert ("ttft_prefix_cache_miss_or_off" in said.alarms) is alarm
    if alarm:
        fix = said.fix("--enable-prefix-caching", "ttft_prefix_cache_miss_or_off")
        assert (fix.from_value, fix.to_value) == (False, True)


def test_a_prefix_cache_that_is_hit_is_well_and_one_that_misses_is_a_note(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    load = {**CHAT, "prompt_tokens": 3000, "prompt": 6000}
    hit = diagnose_all(metrics=scrapes().phase(60, **load, prefix_queries=6000, prefix_hits=4000))
    miss = diagnose_all(metrics=scrapes().phase(60, **load, prefix_queries=6000, prefix_hits=10))

    assert "ttft_prefix_cache_miss_or_off" in hit.ruled_out
    assert "ttft_prefix_cache_miss_or_off" in miss.causes
    assert miss.alarms == []


def test_images_that_take_seconds_to_prepare_are_named_by_the_engine(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 9)
    log.api("Request cmpl-1: image processing took 4.81 s for 12 images", "WARNING")
    said = diagnose_all(log.stats(9))

    assert said.first == "ttft_multimodal_preprocessing"
    assert "--mm-processor-kwargs" in said.settings()


def test_requests_that_are_all_in_prefill_are_not_held_up_by_it(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    """Two prompts arrive together on a slow GPU, are prefilled for 6 s, then decoded."""
    seen = scrapes()
    for _ in range(6):
        seen.phase(6, running=2, kv=0.1, prompt=1000, steps=1)
        seen.phase(
            20, running=2, kv=0.1, generation=60, steps=30, finished=0.1, prompt_tokens=3000, output_tokens=600, ttft=6,
            queue=0.01, prefill=6, duration=26, gap=0.033,
        )  # fmt: skip
        seen.phase(20)

    assert "ttft_decode_starvation" not in diagnose_all(metrics=seen).alarms
