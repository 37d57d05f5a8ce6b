"""What is known, and where it comes from: which source goes before which, and what a quote looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from troubleshoot.evidence import Evidence
from troubleshoot.findings import LogEvidence

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

LOAD = {"running": 4, "waiting": 0, "kv": 0.2, "generation": 300, "prompt": 80, "steps": 75, "finished": 1}


def test_nothing_given_is_nothing_known() -> None:
    nothing = Evidence()

    assert (nothing.engine, nothing.version, nothing.model, nothing.gpu_name) == ("", "", "", "")
    assert (nothing.serving, nothing.gpu, nothing.weights_gib, nothing.kv_capacity_tokens) == (None, None, None, None)
    assert nothing.kv_is_full is None
    assert nothing.kv_is_plentiful is None
    assert nothing.throttled_share() is None
    assert nothing.tensor_parallel == 1
    assert not nothing.on_cpu


def test_the_user_s_word_for_the_engine_goes_before_metrics_and_these_before_the_log(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log, seen = vllm_log().healthy_start(), scrapes("sglang").phase(20, running=1, generation=10)

    assert diagnose_all(log).evidence.engine == "vllm"
    assert diagnose_all(log, seen).evidence.engine == "sglang"
    assert diagnose_all(log, seen, engine="triton").evidence.engine == "triton"


def test_version_model_and_parallelism_are_read_from_the_start(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    evidence = diagnose_all(vllm_log("0.11.2").healthy_start(tensor_parallel_size=4)).evidence

    assert evidence.version == "0.11.2"
    assert evidence.model == "meta-llama/Llama-2-7b-hf"
    assert evidence.tensor_parallel == 4
    assert evidence.shape is not None
    assert evidence.shape.layers == 32


def test_the_model_s_name_as_served_is_that_of_the_metrics(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    evidence = diagnose_all(vllm_log().healthy_start(), scrapes().phase(20, **LOAD)).evidence

    assert evidence.model == "llama-2-7b"


def test_weights_are_what_the_engine_printed_else_what_the_model_s_shape_gives(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    printed = diagnose_all(vllm_log().start().weights(12.6)).evidence
    computed = diagnose_all(vllm_log().start(tensor_parallel_size=2)).evidence

    assert printed.weights_gib == 12.6
    # 6 738 415 616 parameters x 2 bytes / 2^30 = 12.55 GiB, half of it on each of two GPUs.
    assert computed.weights_gib == pytest.approx(6.276, abs=0.001)


def test_cache_size_is_that_of_the_metrics_else_of_the_log(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start()

    assert diagnose_all(log).evidence.kv_capacity_tokens == 114_688
    assert diagnose_all(log, scrapes(kv_tokens=16_000).phase(20, **LOAD)).evidence.kv_capacity_tokens == 16_000


def test_an_old_engine_s_blocks_are_counted_as_16_tokens(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log("0.6.3").start().engine("# GPU blocks: 2048, # CPU blocks: 512")

    assert diagnose_all(log).evidence.kv_capacity_tokens == 2048 * 16


def test_the_card_is_that_of_the_gpu_series(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    evidence = diagnose_all(metrics=scrapes(gpu="NVIDIA H200").phase(20, **LOAD)).evidence

    assert evidence.gpu_name == "NVIDIA H200"
    assert evidence.gpu is not None
    assert evidence.gpu.hbm_bandwidth_bytes_per_second == 4.8e12
    assert evidence.gpu_count == 1
    # 120 000 MiB used + 23 000 MiB free.
    assert evidence.gpu_total_gib == pytest.approx(143_000 / 1024)


def test_the_log_s_own_figure_of_the_card_goes_before_the_gpu_series(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = (
        vllm_log()
        .start()
        .engine(
            "Free memory on device (138.9/139.8 GiB) on startup. Desired GPU memory utilization is (0.9, 125.82 GiB). "
            "Actual usage is 12.55 GiB for weight"
        )
    )
    evidence = diagnose_all(log, scrapes(gpu="NVIDIA H200").phase(20, **LOAD)).evidence

    assert evidence.gpu_total_gib == 139.8


def test_serving_is_read_from_metrics_and_from_statistics_lines_where_there_are_none(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start().stats(9).stats(9)
    by_metrics, by_log = diagnose_all(log, scrapes().phase(20, **LOAD)).evidence, diagnose_all(log).evidence

    assert by_metrics.serving is not None
    assert by_log.serving is not None
    assert (by_metrics.serving.source, by_metrics.serving.running_max) == ("metrics", 4)
    assert (by_log.serving.source, by_log.serving.running_max) == ("log", 9)


def test_idle_metrics_leave_the_word_to_the_log(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    evidence = diagnose_all(vllm_log().healthy_start().stats(9), scrapes().phase(20)).evidence

    assert evidence.serving is not None
    assert evidence.serving.source == "log"


@pytest.mark.parametrize(
    ("kv", "full", "plentiful"), [(0.99, True, False), (0.9, True, False), (0.85, False, False), (0.3, False, True)]
)
def test_the_cache_is_full_plentiful_or_between(
    kv: float, full: bool, plentiful: bool, diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    evidence = diagnose_all(metrics=scrapes().phase(20, **{**LOAD, "waiting": 5, "kv": kv})).evidence

    assert (evidence.kv_is_full, evidence.kv_is_plentiful) == (full, plentiful)


def test_a_lone_harmful_sample_is_a_small_share_of_throttling(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    # 0x40: hardware thermal slowdown. One scrape of twenty.
    seen = scrapes(gpu="NVIDIA H200").phase(38, **LOAD).phase(2, **LOAD, throttle=0x40)
    found = diagnose_all(metrics=seen).evidence.throttled_share()

    assert found is not None
    share, reasons = found
    assert 0 < share <= 0.05
    assert reasons == ("hw_thermal_slowdown",)


def test_idle_clocks_are_no_throttling(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    seen = scrapes(gpu="NVIDIA H200").phase(20, **LOAD, throttle=0x1)

    assert diagnose_all(metrics=seen).evidence.throttled_share() == (0.0, ())


def test_an_engine_on_the_cpu_is_known_as_one(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start().engine("CPU KV cache size: 65,536 tokens").ready()

    assert diagnose_all(log).evidence.on_cpu
    assert diagnose_all(log).diagnosis.hardware == "CPU"


def test_a_quote_names_its_line_and_holds_neither_secrets_nor_escapes(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start(api_key="sk-verysecretvalue123", port=8000)
    log.line(
        "\x1b[31mOSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in "
        "use\x1b[0m HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz012345"
    )
    said = diagnose_all(log)

    proof = said.finding("crash_port_in_use").evidence[0]
    assert isinstance(proof, LogEvidence)
    assert proof.file.endswith("engine.log")
    assert proof.line == 4
    assert "\x1b" not in proof.text
    assert "hf_abcdefghijklmnopqrstuvwxyz012345" not in proof.text
    assert "sk-verysecretvalue123" not in repr(said.diagnosis)


def test_a_measured_value_is_given_under_the_engine_s_own_name_with_its_window(
    diagnose_all: Diagnose, scrapes: type[Scrapes]
) -> None:
    said = diagnose_all(metrics=scrapes().phase(60, **{**LOAD, "running": 20, "waiting": 40, "kv": 0.99}))

    series = {getattr(item, "series", "") for item in said.finding("ttft_queueing").evidence}
    assert "vllm:num_requests_waiting" in series
    windows = {getattr(item, "window", None) for item in said.finding("ttft_queueing").evidence}
    assert all(window is not None and window[1] - window[0] == 60 for window in windows)
