"""An engine that is gone without a reason of its own: killed, vanished, or by an exception that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

STEP = ("v1/engine/core.py in run_busy_loop", "v1/worker/gpu_model_runner.py in execute_model")
DIED = "Engine core proc EngineCore died unexpectedly, shutting down client."
DEAD = "(APIServer pid=10) vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace"


def test_an_engine_that_ends_without_a_word_was_killed(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 9).stats(12).api(DIED, "ERROR").line(DEAD)
    said = diagnose_all(log.answers(500, 6))

    assert said.first == "crash_engine_dead_killed"
    assert said.finding(said.first).severity.label == "critical"
    assert "crash_engine_dead_cuda_error" not in said.causes
    assert "oom_host_memory" not in said.causes


def test_an_engine_that_died_of_a_fault_was_not_killed(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 9).stats(12)
    log.dies("RuntimeError: CUDA error: an illegal memory access was encountered", *STEP)
    said = diagnose_all(log.api(DIED, "ERROR").line(DEAD).answers(500, 6))

    assert said.first == "crash_engine_dead_cuda_error"
    assert "crash_engine_dead_killed" not in said.causes


def test_an_engine_that_aborts_in_native_code_was_not_killed(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 9).stats(12)
    log.line(
        "(EngineCore pid=20) terminate called after throwing an instance of 'c10::Error'",
        "(EngineCore pid=20)   what():  CUDA error: an illegal memory access was encountered",
    )
    said = diagnose_all(log.api(DIED, "ERROR").line(DEAD).answers(500, 6))

    assert said.first == "crash_engine_dead_cuda_error"
    assert "crash_engine_dead_killed" not in said.causes


def test_an_error_of_a_request_long_before_does_not_explain_a_silent_end(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 9)
    log.api("Error in preprocessing prompt inputs", "ERROR").api("Traceback (most recent call last):", "ERROR")
    log.api("jinja2.exceptions.TemplateError: Conversation roles must alternate user/assistant", "ERROR")
    log.answers(400).answers(200, 200).stats(12).stats(14).api(DIED, "ERROR").line(DEAD)
    said = diagnose_all(log.answers(500, 6))

    assert said.first == "crash_engine_dead_killed"


def test_the_kernel_s_word_explains_who_killed_it(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 9).stats(12).api(DIED, "ERROR").line(DEAD)
    log.line("Nov 21 10:11:12 n kernel: Out of memory: Killed process 20 (VLLM::EngineCor) total-vm:190112344kB")
    said = diagnose_all(log)

    assert said.first == "oom_host_memory"


def test_a_shutdown_on_request_is_no_kill(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 9).stats(12).stats(0, generation=0.0, prompt=0.0)
    log.line(
        "(APIServer pid=10) INFO:     Shutting down",
        "(APIServer pid=10) INFO:     Waiting for application shutdown.",
        "(APIServer pid=10) INFO:     Application shutdown complete.",
    )

    assert diagnose_all(log).alarms == []


def test_a_server_that_vanishes_under_load_was_killed(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    seen = scrapes().phase(40, running=8, kv=0.3, generation=600, prompt=300, steps=80, finished=2, output_tokens=300)
    said = diagnose_all(vllm_log().healthy_start().answers(200, 9).stats(8), seen.gone(8))

    assert said.first == "crash_engine_dead_killed"


def test_a_server_that_goes_away_idle_after_a_shutdown_is_no_kill(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    seen = scrapes().phase(40, running=8, kv=0.3, generation=600, prompt=300, steps=80, finished=2, output_tokens=300)
    seen.phase(10).gone(8)
    log = vllm_log().healthy_start().answers(200, 9).stats(8).line("INFO:     Application shutdown complete.")

    assert diagnose_all(log, seen).alarms == []


def test_an_exception_that_nobody_knows_is_quoted_and_not_explained(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(
        vllm_log().start().dies("plugin.FrobnicationError: the frobnicator is upside down").front_end_gives_up()
    )

    assert said.first == "crash_unrecognised_exception"
    assert said.finding(said.first).confidence <= 0.5
    assert "frobnicator" in said.finding(said.first).explanation


def test_the_unknown_exception_stands_behind_any_cause_that_is_known(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start().dies("ValueError: No available memory for the cache blocks. Try increasing").line(DEAD)
    said = diagnose_all(log.front_end_gives_up())

    assert said.first == "oom_kv_cache_no_blocks"


def test_the_front_end_s_consequence_alone_names_no_reason(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(vllm_log().start().front_end_gives_up())

    assert said.first == "crash_unrecognised_exception"


def test_a_shard_that_ends_by_signal_9_was_killed(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        '2026-11-21T10:00:00.000000Z  INFO text_generation_launcher: Args { model_id: "a/b" }\n'
        "2026-11-21T10:00:45.100000Z ERROR shard-manager: text_generation_launcher: Shard process was signaled to "
        "shutdown with signal 9 rank=0\n"
        "2026-11-21T10:00:45.200000Z ERROR text_generation_launcher: Shard 0 failed to start\n"
    )

    assert said.first == "crash_engine_dead_killed"


CALM = {
    "finished": 2,
    "prompt_tokens": 256,
    "output_tokens": 400,
    "prompt": 512,
    "generation": 800,
    "steps": 40,
    "ttft": 0.06,
    "queue": 0.001,
    "prefill": 0.05,
    "duration": 9.0,
    "gap": 0.02,
    "running": 12,
    "kv": 0.2,
}


@pytest.mark.parametrize("idle_seconds", [0, 30])
def test_a_server_that_is_down_at_the_end_of_the_record_is_not_called_healthy(
    idle_seconds: int, diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, **CALM).phase(idle_seconds).gone(60))

    assert said.diagnosis.verdict != "healthy"


def test_a_server_that_restarts_again_and_again_is_not_called_healthy(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    seen = scrapes()
    for _ in range(4):
        seen.phase(40, **CALM).gone(20).restart()

    assert diagnose_all(metrics=seen.phase(40, **CALM)).diagnosis.verdict != "healthy"
