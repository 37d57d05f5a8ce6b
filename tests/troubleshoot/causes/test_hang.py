"""Alive and doing nothing: stuck is not idle, and waiting once is not hanging."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

WAITS = (
    "No available shared memory broadcast block found in 60 seconds. This typically happens when some processes are "
    "hanging or doing some time-consuming work (e.g. compilation, weight/kv cache quantization)."
)
AT_WORK = {"running": 8, "kv": 0.3, "generation": 600, "prompt": 300, "steps": 80, "finished": 2}


def test_requests_held_without_a_step_are_a_stuck_engine(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(40, **AT_WORK).phase(30, running=8, waiting=3, kv=0.3))

    assert said.first == "hang_engine_stuck"
    assert said.finding(said.first).severity.label == "critical"
    assert said.finding(said.first).confidence >= 0.9


def test_an_idle_engine_is_not_stuck(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    never = diagnose_all(metrics=scrapes().phase(120))
    later = diagnose_all(metrics=scrapes().phase(40, **AT_WORK).phase(120))

    for said in (never, later):
        assert "hang_engine_stuck" in said.ruled_out
        assert said.alarms == []
        assert said.diagnosis.verdict == "healthy"


def test_one_long_step_is_no_hang(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(40, **AT_WORK).phase(4, running=8, kv=0.3).phase(40, **AT_WORK))

    assert "hang_engine_stuck" not in said.causes


def test_statistics_lines_that_hold_requests_and_count_no_token_are_a_stuck_engine(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 5).stats(8)
    for _ in range(4):
        log.stats(8, 2, 0.3, prompt=0.0, generation=0.0)
    said = diagnose_all(log)

    assert said.first == "hang_engine_stuck"
    assert said.finding(said.first).severity.label == "critical"


def test_a_log_that_falls_silent_after_its_work_is_idle(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 5).stats(8).stats(0, 0, 0.0, prompt=0.0, generation=30.0)

    assert diagnose_all(log.answers(200, 40, "/health", "GET")).alarms == []


def test_a_stuck_engine_is_the_root_of_the_queue_before_it(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(20, **AT_WORK).phase(60, running=16, waiting=40, kv=0.5))

    assert said.first == "hang_engine_stuck"


def test_a_notice_that_comes_again_and_again_with_nothing_after_it_is_a_hang(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start(tensor_parallel_size=2).answers(200, 5).stats(8)
    for _ in range(4):
        log.engine(WAITS)
    said = diagnose_all(log)

    assert said.first == "hang_shm_broadcast"
    assert said.finding(said.first).severity.label == "critical"
    assert "NCCL_P2P_DISABLE" in said.settings()


def test_a_slow_compilation_prints_the_notice_once_and_goes_on(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start(tensor_parallel_size=2).weights(12.55).engine(WAITS)
    log.engine("torch.compile took 88.10 s in total").kv_cache(50.0, 200_000).ready().answers(200, 3).stats(2)
    said = diagnose_all(log)

    assert "hang_shm_broadcast" in said.ruled_out
    assert said.alarms == []


def test_one_notice_at_the_end_of_the_log_is_no_certainty(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    once = diagnose_all(vllm_log().start(tensor_parallel_size=2).weights(12.55).engine(WAITS))
    again = diagnose_all(vllm_log().start(tensor_parallel_size=2).weights(12.55).engine(WAITS).engine(WAITS))

    assert once.finding("hang_shm_broadcast").severity.label == "warning"
    assert once.finding("hang_shm_broadcast").confidence < again.finding("hang_shm_broadcast").confidence


def test_an_engine_that_does_not_answer_its_own_front_end_is_stuck(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.6.3").healthy_start().answers(200, 5)
    log.api("Engine iteration timed out. This should never happen!", "ERROR")

    assert diagnose_all(log).first == "hang_engine_stuck"


def test_steps_without_tokens_are_no_hang(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, running=2, kv=0.4, steps=3))

    assert "hang_engine_stuck" not in said.causes


def test_an_engine_that_counts_tokens_only_when_a_request_ends_is_not_stuck_between_two_ends(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    """SGLang counts prompt and generated tokens when a request finishes."""
    seen = scrapes("sglang")
    for _ in range(6):
        seen.phase(18, running=4, kv=0.2)
        seen.phase(2, running=4, kv=0.2, generation=2000, prompt=500, finished=2, duration=18, ttft=0.1)

    assert "hang_engine_stuck" not in diagnose_all(metrics=seen).causes


def test_a_triton_model_that_takes_long_for_a_batch_is_not_stuck(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    seen = scrapes("triton")
    for _ in range(6):
        seen.phase(12, waiting=3).phase(2, waiting=3, finished=2, steps=0.5)

    assert "hang_engine_stuck" not in diagnose_all(metrics=seen).causes


def test_a_long_prompt_on_a_slow_cpu_is_no_hang(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    """llama.cpp counts a step for each call of the decoder, which may hold 2048 prompt tokens."""
    seen = scrapes("llamacpp")
    for _ in range(4):
        seen.phase(16, running=1).phase(2, running=1, prompt=1024, steps=0.5)

    assert "hang_engine_stuck" not in diagnose_all(metrics=seen.phase(20, running=1, generation=8, steps=8)).causes


def test_a_request_that_comes_just_before_a_scrape_is_not_stuck(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    """With 30 s between scrapes: it was not there 30 s ago."""
    seen = scrapes("llamacpp", step=30).phase(300).phase(30, running=1)

    assert "hang_engine_stuck" not in diagnose_all(metrics=seen).causes
    seen.phase(30, generation=8, prompt=10, steps=8).phase(300)
    assert "hang_engine_stuck" not in diagnose_all(metrics=seen).causes


def test_a_stuck_engine_is_found_with_scrapes_30_seconds_apart(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    seen = scrapes(step=30).phase(300, running=8, kv=0.3, generation=600, prompt=300, steps=80, finished=2)

    assert diagnose_all(metrics=seen.phase(120, running=8, waiting=3, kv=0.3)).first == "hang_engine_stuck"
