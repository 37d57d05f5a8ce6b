"""Requests that wait: for KV cache, for a slot, for compute, for something else; that are refused, or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

# 2 requests/s of 256 + 400 tokens: 512 prompt and 800 generated tokens/s.
REQUESTS = {"finished": 2, "prompt_tokens": 256, "output_tokens": 400, "prompt": 512, "generation": 800, "steps": 40}
SLOW_START = {"ttft": 8.0, "queue": 7.8, "prefill": 0.1, "duration": 20.0, "gap": 0.03}
QUICK_START = {"ttft": 0.06, "queue": 0.001, "prefill": 0.05, "duration": 9.0, "gap": 0.02}
CALM = {**REQUESTS, **QUICK_START, "running": 12, "kv": 0.2}


def test_a_full_cache_that_preempts_is_thrash_and_the_queue_its_symptom(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    seen = scrapes(kv_tokens=14_400).phase(60, **REQUESTS, **SLOW_START, running=21, waiting=43, kv=0.99, preemptions=5)
    said = diagnose_all(metrics=seen)

    assert said.first == "thr_preemption_thrash"
    assert said.finding(said.first).severity.label == "critical"
    assert "thr_small_batch_or_max_num_seqs" not in said.causes
    # A running request holds 256 + 400 / 2 = 456 tokens: 14 400 / 456 = 31.6.
    assert said.fix("--max-num-seqs").to_value == 31


def test_one_preemption_in_a_long_window_is_no_thrash(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, **CALM).phase(2, **{**CALM, "preemptions": 0.5}).phase(60, **CALM))

    assert "thr_preemption_thrash" not in said.causes
    assert said.alarms == []


def test_a_preemption_now_and_then_before_a_long_queue_is_no_thrash(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    queued = {**REQUESTS, **SLOW_START, "running": 30, "waiting": 30, "kv": 0.97}
    seen = scrapes()
    for _ in range(6):
        seen.phase(58, **queued).phase(2, **{**queued, "preemptions": 0.5})
    said = diagnose_all(metrics=seen)

    # One a minute, 0.017/s, while 120 requests finish.
    assert said.first == "ttft_queueing"
    assert "thr_preemption_thrash" not in said.alarms


def test_preemptions_of_the_past_are_no_thrash_of_today(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes(preemptions=250_000.0, finished=900_000.0).phase(120, **CALM))

    assert "thr_preemption_thrash" in said.ruled_out
    assert said.alarms == []


def test_preemptions_lost_by_a_restart_do_not_count_backwards(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes(preemptions=5000.0).phase(30, **CALM).restart().phase(60, **CALM))

    assert said.alarms == []


def test_the_line_of_an_old_engine_tells_of_preemptions_and_their_true_number(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.6.3").healthy_start(max_num_seqs=256).answers(200, 5)
    for total in (1, 51, 101):
        log.api(
            f"Sequence group cmpl-{total} is preempted by PreemptionMode.RECOMPUTE mode because there is not enough KV "
            "cache space. This can affect the end-to-end performance. Increase gpu_memory_utilization or "
            f"tensor_parallel_size to provide more KV cache memory. total_num_cumulative_preemption={total}",
            "WARNING",
        )
    said = diagnose_all(log)

    assert said.first == "thr_preemption_thrash"
    assert "101" in said.finding(said.first).explanation


def test_the_fix_removes_the_override_that_makes_the_cache_small(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().start(num_gpu_blocks_override=900, max_num_seqs=128).weights(12.55)
    log.engine("Overriding num_gpu_blocks=14727 with num_gpu_blocks_override=900").kv_cache(115.06, 14_400).ready()
    seen = scrapes(kv_tokens=14_400).phase(60, **REQUESTS, **SLOW_START, running=21, waiting=43, kv=0.99, preemptions=5)
    said = diagnose_all(log, seen)

    override, seqs = said.fix("--num-gpu-blocks-override"), said.fix("--max-num-seqs")
    assert (override.from_value, override.to_value) == (900, "remove")
    assert (seqs.from_value, seqs.to_value) == (128, 31)


def test_running_pinned_with_a_free_cache_is_a_cap_and_the_queue_its_symptom(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start(max_num_seqs=16).answers(200, 5)
    seen = scrapes(kv_tokens=114_688).phase(60, **REQUESTS, **SLOW_START, running=16, waiting=24, kv=0.06)
    said = diagnose_all(log, seen)

    assert said.first == "thr_small_batch_or_max_num_seqs"
    assert "thr_preemption_thrash" not in said.causes
    fix = said.fix("--max-num-seqs")
    assert fix.from_value == 16
    # 16 + 24 = 40 requests were there; 0.9 x 114 688 / 456 = 226 would fit.
    assert fix.to_value == 40


def test_a_raised_cap_stays_within_what_the_cache_holds(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().start(max_num_seqs=16).weights(12.55).kv_cache(6.7, 13_680).ready()
    seen = scrapes(kv_tokens=13_680).phase(60, **REQUESTS, **SLOW_START, running=16, waiting=200, kv=0.53)
    said = diagnose_all(log, seen)

    # 0.9 x 13 680 = 12 312 tokens; 12 312 / 456 = 27 requests.
    assert said.fix("--max-num-seqs", "thr_small_batch_or_max_num_seqs").to_value == 27


def test_running_pinned_with_a_full_cache_is_no_cap(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    seen = scrapes(kv_tokens=14_400).phase(60, **REQUESTS, **SLOW_START, running=30, waiting=24, kv=0.98)
    said = diagnose_all(vllm_log().healthy_start(max_num_seqs=256).answers(200, 5), seen)

    assert said.first == "ttft_queueing"
    assert "thr_small_batch_or_max_num_seqs" in said.ruled_out


def test_a_queue_before_a_busy_engine_without_cap_is_demand(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    seen = scrapes(kv_tokens=114_688)
    for running in (40, 61, 33, 70, 52, 64) * 5:
        seen.phase(2, **REQUESTS, **SLOW_START, running=running, waiting=90, kv=0.6)
    said = diagnose_all(vllm_log().healthy_start(max_num_seqs=256).answers(200, 5), seen)

    assert said.first == "ttft_queueing"
    assert "thr_small_batch_or_max_num_seqs" not in said.causes
    assert "replicas" in said.settings()


def test_a_request_that_waits_for_the_next_step_is_no_queue(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    seen = scrapes()
    for waiting in (0, 0, 1, 0, 0, 2, 0, 0, 1, 0) * 6:
        seen.phase(2, **{**CALM, "waiting": waiting})

    assert diagnose_all(metrics=seen).alarms == []


def test_statistics_lines_alone_show_a_queue(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 5)
    for running in (88, 93, 79, 90, 84, 91):
        log.stats(running, 120, 0.97)

    said = diagnose_all(log)
    assert "ttft_queueing" in said.causes
    assert said.diagnosis.verdict == "incident"


def test_requests_deferred_for_their_schema_are_not_queued_for_capacity(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    said = diagnose_all(
        metrics=scrapes().phase(60, **REQUESTS, **SLOW_START, running=3, waiting=14, deferred=14, kv=0.05)
    )

    assert said.first == "thr_guided_decoding"
    assert "ttft_queueing" not in said.causes


def test_requests_that_wait_for_capacity_are_no_schemas(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(
        metrics=scrapes().phase(60, **REQUESTS, **SLOW_START, running=30, waiting=14, deferred=0, kv=0.98)
    )

    assert said.first == "ttft_queueing"
    assert "thr_guided_decoding" not in said.causes


def test_deferred_requests_of_an_engine_with_adapters_wait_for_an_adapter(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    seen = scrapes().phase(60, **REQUESTS, **SLOW_START, running=3, waiting=14, deferred=14, kv=0.05)

    assert "thr_guided_decoding" not in diagnose_all(vllm_log().healthy_start(enable_lora=True), seen).causes


def test_sglang_s_queue_and_cap_are_read_with_its_own_names(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    log = (
        "[2026-11-21 10:00:00] server_args=ServerArgs(model_path='/opt/sglang/m', max_running_requests=8, tp_size=1)\n"
        "[2026-11-21 10:01:00] The server is fired up and ready to roll!\n"
    )
    seen = scrapes("sglang").phase(
        60,
        running=8,
        waiting=30,
        kv=0.1,
        finished=2,
        generation=800,
        prompt=500,
        ttft=9,
        queue=8,
        duration=20,
        gap=0.02,
    )
    said = diagnose_all(log, seen)

    assert said.first == "thr_small_batch_or_max_num_seqs"
    assert said.fix("--max-running-requests").from_value == 8


def test_llama_cpp_s_slots_are_its_cap(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    log = "0.00.085.304 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 512, kv_unified = 'false'\n"
    seen = scrapes("llamacpp").phase(60, running=4, waiting=16, generation=400, prompt=200, steps=100)
    said = diagnose_all(log, seen)

    assert said.first in {"thr_small_batch_or_max_num_seqs", "ttft_queueing"}
    assert said.fix("--parallel", "thr_small_batch_or_max_num_seqs").from_value == 4


def test_refusals_in_the_log_are_counted(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        "I1121 10:00:01.200000 1 http_server.cc:4725] Started HTTPService at 0.0.0.0:8000\n"
        + "I1121 10:00:05.200000 1 infer_request.cc:905] [request id: <id_unknown>] Exceeds maximum queue size\n" * 30
    )

    assert said.first == "thr_requests_rejected_queue_full"
    assert said.finding(said.first).severity.label == "critical"
    assert "replicas" in said.settings()


def test_refusals_in_the_metrics_are_counted_too(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes("triton").phase(60, waiting=8, finished=4, steps=1, rejected=2))

    assert "thr_requests_rejected_queue_full" in said.alarms


def test_answers_of_429_are_refusals_and_of_the_health_check_none(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    refused = diagnose_all(vllm_log().healthy_start().answers(200, 9).answers(429, 30).stats(9))
    starting = diagnose_all(
        vllm_log().start().answers(503, 30, "/health", "GET").weights(12.55).kv_cache(50.0, 99_000).ready().stats(3)
    )

    assert refused.first == "thr_requests_rejected_queue_full"
    assert starting.alarms == []


def test_the_model_hub_s_rate_limit_is_no_refusal_of_ours(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start()
    log.engine("429 Client Error: Too Many Requests for url: https://huggingface.co/api/models/a/b", "WARNING")

    said = diagnose_all(log.weights(12.55).kv_cache(50.0, 99_000).ready().answers(200, 3).stats(3))
    assert "thr_requests_rejected_queue_full" not in said.causes


def test_aborts_that_dominate_are_clients_that_give_up(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(
        metrics=scrapes().phase(60, **{**CALM, "finished": 1, "aborted": 3, "started": 4, "output_tokens": 60})
    )

    assert said.first == "thr_client_disconnects"
    assert "client and proxy timeouts" in said.settings()


def test_requests_that_start_and_never_finish_are_clients_that_give_up(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    """vLLM 0.32 counts no abort: only first tokens against finished requests tell."""
    said = diagnose_all(metrics=scrapes().phase(60, **{**CALM, "running": 1, "finished": 0.5, "started": 4}))

    assert said.first == "thr_client_disconnects"


@pytest.mark.parametrize("running", [(12, 12), (4, 60)])
def test_requests_that_still_run_are_not_given_up(
    running: tuple[int, int], diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    # 60 s in which 56 more start than finish: they are those that run at the end.
    before, after = running
    seen = scrapes().phase(2, **{**CALM, "running": before})
    started = 2 + (after - before) / 58
    said = diagnose_all(metrics=seen.phase(58, **{**CALM, "running": after, "started": started}))

    assert "thr_client_disconnects" not in said.causes


def test_a_few_aborts_are_ordinary(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(120, **{**CALM, "aborted": 0.1, "started": 2.1}))

    assert "thr_client_disconnects" not in said.causes


@pytest.mark.no_cover
def test_a_few_preemptions_at_once_in_a_calm_hour_are_no_thrash(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    burst = {**CALM, "preemptions": 0.5, "kv": 0.97}

    assert diagnose_all(metrics=scrapes().phase(1200, **CALM).phase(6, **burst).phase(1200, **CALM)).alarms == []


def test_aborts_that_dominate_the_log_are_clients_that_give_up(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.6.3").healthy_start().answers(200, 9)
    for number in range(40):
        log.api(f"Aborted request cmpl-9{number}.")
    for number in range(10):
        log.api(f"Finished request cmpl-{number}.")

    assert diagnose_all(log.stats(9)).first == "thr_client_disconnects"


SGLANG_START = (
    "[2026-11-21 10:00:00] server_args=ServerArgs(model_path='meta-llama/Llama-3.1-8B', tp_size=1)\n"
    "[2026-11-21 10:01:00] The server is fired up and ready to roll!\n"
)


def sglang_batches(usage: float, queue: int) -> str:
    """Six minutes of a prefill and a decode line every ten seconds."""
    lines = []
    for second in range(120, 480, 10):
        clock = f"2026-11-21 10:{second // 60:02d}:{second % 60:02d}"
        state = f"token usage: {usage}, #running-req: 8, #queue-req: {queue}, "
        lines += [
            f"[{clock}] Prefill batch, #new-seq: 1, #new-token: 312, #cached-token: 100, {state}",
            f"[{clock}] Decode batch, #token: 4211, cuda graph: True, gen throughput (token/s): 801.22, {state}",
        ]
    return "\n".join(lines) + "\n"


def test_sglang_s_batches_without_a_queue_are_well(diagnose_all: Diagnose) -> None:
    said = diagnose_all(SGLANG_START + sglang_batches(0.21, 0))

    assert said.alarms == []
    assert said.diagnosis.verdict == "healthy"


def test_sglang_s_retractions_are_preemptions(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        SGLANG_START
        + sglang_batches(0.99, 40)
        + "[2026-11-21 10:09:00] KV cache pool is full. Retract requests. #retracted_reqs: 12, #new_token_ratio: 0.6\n"
        * 4
    )

    assert said.first == "thr_preemption_thrash"
    assert "ttft_queueing" in said.causes


def test_a_cap_holds_for_each_data_parallel_rank(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    one = scrapes(kv_tokens=114_688).phase(60, **REQUESTS, **SLOW_START, running=16, waiting=8, kv=0.06).text
    both = one.replace("# EOF\n", "") + one.replace('engine="0"', 'engine="1"')
    said = diagnose_all(vllm_log().healthy_start(max_num_seqs=16, data_parallel_size=2).answers(200, 5), both)

    fix = said.fix("--max-num-seqs", "thr_small_batch_or_max_num_seqs")
    assert fix.from_value == 16
    # 16 run and 8 wait on each rank: 24.
    assert fix.to_value == 24


def test_a_few_aborted_among_many_finished_requests_in_the_log_are_ordinary(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.6.3").healthy_start().answers(200, 9)
    for number in range(100):
        log.api(f"Finished request cmpl-{number}.")
    for number in range(3):
        log.api(f"Aborted request cmpl-9{number}.")

    assert "thr_client_disconnects" not in diagnose_all(log.stats(9)).alarms
