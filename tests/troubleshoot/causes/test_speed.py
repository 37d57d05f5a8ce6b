"""Slower than the hardware, or not given enough to do: judged by what the memory bandwidth allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

H200 = "NVIDIA H200"
# 4.8 TB/s / 12.55 GiB = 356 steps a second at most. A gap of 4.5 ms is 222 tokens/s, 62 %; of 13.3 ms 75/s, 21 %.
QUICK_GAP, LAUNCH_BOUND_GAP = 0.0045, 0.0133
ONE_CLIENT = {
    "running": 1, "kv": 0.01, "finished": 0.85, "prompt_tokens": 64, "output_tokens": 256, "prompt": 54,
    "generation": 218, "steps": 219, "ttft": 0.013, "queue": 0.0001, "prefill": 0.012, "duration": 1.16,
}  # fmt: skip
FOUR_CLIENTS = {**ONE_CLIENT, "running": 4, "generation": 300, "finished": 1.2, "steps": 75, "duration": 3.4}


def test_one_client_at_the_roofline_is_too_little_load_and_no_incident(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start().answers(200, 9)
    said = diagnose_all(log, scrapes(gpu=H200).phase(60, **ONE_CLIENT, gap=QUICK_GAP))

    assert said.first == "thr_insufficient_load"
    assert said.finding(said.first).severity.label == "info"
    assert said.diagnosis.verdict == "healthy"
    assert "thr_enforce_eager" in said.ruled_out


def test_whoever_misses_throughput_hears_of_it_as_a_warning(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start().answers(200, 9)
    seen = scrapes(gpu=H200).phase(60, **ONE_CLIENT, gap=QUICK_GAP)

    assert diagnose_all(log, seen, symptom="throughput").alarms == ["thr_insufficient_load"]


@pytest.mark.parametrize("load", [ONE_CLIENT, FOUR_CLIENTS], ids=["one-client", "four-clients"])
def test_eager_mode_far_below_the_roofline_is_the_engine_not_the_load(
    load: dict[str, float], diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start(enforce_eager=True).answers(200, 9)
    said = diagnose_all(log, scrapes(gpu=H200).phase(60, **load, gap=LAUNCH_BOUND_GAP))

    assert said.first == "thr_enforce_eager"
    assert said.finding(said.first).severity.label == "warning"
    assert "thr_insufficient_load" not in said.causes
    fix = said.fix("--enforce-eager")
    assert (fix.from_value, fix.to_value) == (True, "remove")


def test_eager_mode_without_figures_is_a_note(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(vllm_log().healthy_start(enforce_eager=True).answers(200, 9))

    assert said.finding("thr_enforce_eager").severity.label == "info"
    assert said.diagnosis.verdict == "healthy"


def test_utilisation_of_100_percent_is_no_proof_of_a_busy_gpu(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    """`Scrapes` shows utilisation 100 % whenever a request runs, as an H200 does for one client."""
    seen = scrapes(gpu=H200).phase(60, **ONE_CLIENT, gap=QUICK_GAP)

    assert diagnose_all(vllm_log().healthy_start(), seen).first == "thr_insufficient_load"


def test_a_loaded_engine_is_not_given_too_little(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    seen = scrapes(gpu=H200).phase(60, **{**ONE_CLIENT, "running": 48, "generation": 6000, "gap": 0.008})

    assert "thr_insufficient_load" in diagnose_all(metrics=seen).ruled_out


def test_a_front_end_that_fills_its_core_is_cpu_bound(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    load = {**ONE_CLIENT, "running": 60, "generation": 6000, "finished": 20, "gap": 0.01}
    full = diagnose_all(metrics=scrapes(gpu=H200).phase(60, **load, cpu=0.99))
    idle = diagnose_all(metrics=scrapes(gpu=H200).phase(60, **load, cpu=0.3))

    assert full.first == "thr_cpu_bound_frontend_or_tokenizer"
    assert "--api-server-count" in full.settings()
    assert "thr_cpu_bound_frontend_or_tokenizer" in idle.ruled_out


def test_a_slow_tokenizer_is_named_by_the_engine(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start()
    log.api(
        "Using a slow tokenizer. This might cause a significant slowdown. Consider using a fast tokenizer instead.",
        "WARNING",
    )
    said = diagnose_all(log.weights(12.55).kv_cache(50.0, 99_000).ready().answers(200, 3).stats(3))

    assert "thr_cpu_bound_frontend_or_tokenizer" in said.causes
    assert "tokenizer" in said.settings("thr_cpu_bound_frontend_or_tokenizer")


PCIE = (
    "Custom allreduce is disabled because it's not supported on more than two PCIe-only GPUs. To silence this warning, "
    "specify disable_custom_all_reduce=True explicitly."
)


def test_tensor_parallelism_over_pcie_is_a_note_until_it_is_shown_to_cost(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().start(tensor_parallel_size=4).engine(PCIE, "WARNING").weights(12.55).kv_cache(9.0, 99_000)
    log.ready().answers(200, 9)
    alone = diagnose_all(log)
    slow = diagnose_all(log, scrapes(gpu=H200).phase(60, **FOUR_CLIENTS, gap=LAUNCH_BOUND_GAP))

    assert alone.finding("thr_tp_over_pcie_or_comm").severity.label == "info"
    assert slow.first == "thr_tp_over_pcie_or_comm"
    assert slow.fix("--tensor-parallel-size").from_value == 4


def test_the_pcie_notice_of_a_single_gpu_means_nothing(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start(tensor_parallel_size=1).engine(PCIE, "WARNING").weights(12.55).kv_cache(9.0, 99_000)

    assert "thr_tp_over_pcie_or_comm" not in diagnose_all(log.ready().answers(200, 9)).causes


def test_a_missing_attention_package_can_be_installed(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log("0.6.3").start()
    log.engine(
        "Cannot use FlashAttention-2 backend because the vllm.vllm_flash_attn package is not found. Make sure that "
        "vllm_flash_attn was built and installed (on by default)."
    ).engine("Using XFormers backend.")
    said = diagnose_all(log.weights(12.55).kv_cache(9.0, 99_000).ready().answers(200, 9))

    assert said.first == "thr_slow_attention_backend_fallback"
    assert said.finding(said.first).severity.label == "warning"


def test_an_old_gpu_s_fallback_is_a_note(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log("0.6.3").start().engine("Cannot use FlashAttention-2 backend for Volta and Turing GPUs.")
    said = diagnose_all(
        log.engine("Using XFormers backend.").weights(12.55).kv_cache(9.0, 99_000).ready().answers(200, 9)
    )

    assert said.finding("thr_slow_attention_backend_fallback").severity.label == "info"
    assert said.alarms == []


@pytest.mark.parametrize(
    ("notice", "method"),
    [
        ("awq quantization is not fully optimized yet. The speed can be slower than non-quantized models.", "awq"),
        (
            "Detected that the model can run with gptq_marlin, however you specified quantization=gptq explicitly, so "
            "forcing gptq. Use quantization=gptq_marlin for faster inference",
            "gptq",
        ),
    ],
)
def test_a_generic_kernel_for_quantised_weights_is_left_to_the_engine_s_choice(
    notice: str, method: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.6.3").start(quantization=method).api(notice, "WARNING")
    said = diagnose_all(log.weights(4.1).kv_cache(9.0, 99_000).ready().answers(200, 9).stats(9))

    assert said.first == "thr_quantization_slow_kernel"
    fix = said.fix("--quantization")
    assert fix.from_value == method
    assert f"{method}_marlin" in str(fix.to_value)


def test_a_kernel_that_the_engine_chose_for_quantised_weights_is_well(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.6.3").start()
    log.api("The model is convertible to awq_marlin during runtime. Using awq_marlin kernel.")
    said = diagnose_all(log.weights(4.1).kv_cache(9.0, 99_000).ready().answers(200, 9).stats(9))

    assert "thr_quantization_slow_kernel" not in said.causes
    assert said.alarms == []


def test_schemas_that_take_long_to_compile_are_named_by_the_log(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.7.3").healthy_start().answers(200, 9)
    log.api(
        "xgrammar does not support advanced JSON schema features like enums or patterns. Falling back to use outlines "
        "instead.",
        "WARNING",
    )
    said = diagnose_all(log.stats(9))

    assert said.first == "thr_guided_decoding"
    assert "schemas" in said.settings()


def test_request_and_debug_lines_are_a_note_of_what_they_cost(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start(enable_log_requests=True).answers(200, 9)
    log.api("Received request cmpl-1: params: SamplingParams(n=1), lora_request: None.")
    said = diagnose_all(log.stats(9))

    assert said.finding("thr_logging_or_metrics_overhead").severity.label == "info"
    assert said.alarms == []
    assert said.fix("--enable-log-requests", "thr_logging_or_metrics_overhead").from_value is True


def test_debug_lines_that_fill_the_log_of_a_serving_engine_are_a_warning(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 9)
    for step in range(200):
        log.said_by("EngineCore pid=20", f"EngineCore loop active. step {step}", "DEBUG")
    said = diagnose_all(log.stats(9).stats(9))

    assert "thr_logging_or_metrics_overhead" in said.alarms
    fix = said.fix("VLLM_LOGGING_LEVEL", "thr_logging_or_metrics_overhead")
    assert (fix.from_value, fix.to_value) == ("DEBUG", "INFO")


LOAD = {**ONE_CLIENT, "running": 40, "generation": 5000, "finished": 16, "gap": 0.01}


def test_a_hot_gpu_is_throttled(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    # 0x40: hardware thermal slowdown.
    seen = scrapes(gpu=H200).phase(60, **LOAD, throttle=0x40, sm_clock=1200)
    said = diagnose_all(metrics=seen)

    assert "thr_gpu_throttled" in said.alarms
    assert not [setting for setting in said.settings("thr_gpu_throttled") if setting.startswith("--")]


def test_an_idle_gpu_s_low_clock_is_not_throttled(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    # 0x1: idle; 0x2: the clocks that an application asked for.
    seen = scrapes(gpu=H200).phase(60, **LOAD).phase(60, throttle=0x1, sm_clock=345).phase(10, **LOAD, throttle=0x2)

    assert "thr_gpu_throttled" not in diagnose_all(metrics=seen).causes


def test_a_power_cap_that_costs_no_clock_is_not_throttled(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    # 0x4: software power cap, at full clock.
    seen = scrapes(gpu=H200).phase(60, **LOAD, throttle=0x4, sm_clock=1950)

    assert "thr_gpu_throttled" not in diagnose_all(metrics=seen).causes


def test_a_power_cap_that_halves_the_clock_is_throttled(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    seen = scrapes(gpu=H200).phase(20, **LOAD).phase(90, **LOAD, throttle=0x4, sm_clock=900)

    assert "thr_gpu_throttled" in diagnose_all(metrics=seen).alarms


def test_without_gpu_series_throttling_is_not_evaluated(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    assert "thr_gpu_throttled" in diagnose_all(metrics=scrapes().phase(60, **LOAD)).not_evaluated


def test_weights_that_take_minutes_are_slow_to_load(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start("meta-llama/Llama-3.1-70B-Instruct").engine("Loading weights took 611.20 seconds")
    said = diagnose_all(log.weights(131.5, 640.0).kv_cache(20.0, 65_000).ready().answers(200, 9))

    assert said.first == "thr_model_loading_slow"
    assert "--load-format" in said.settings()


def test_weights_that_take_seconds_are_not(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    assert "thr_model_loading_slow" in diagnose_all(vllm_log().healthy_start().answers(200, 9)).ruled_out


def test_a_front_end_that_stops_waiting_for_the_start_is_critical(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start("meta-llama/Llama-3.1-70B-Instruct").engine("Starting to load model ...")
    log.line(
        "(APIServer pid=10) TimeoutError: Timed out waiting for engine core processes to start. This is often caused "
        "by slow weight loading for large models. Waited 600s (configured by VLLM_ENGINE_READY_TIMEOUT_S)."
    )
    said = diagnose_all(log)

    assert said.first == "thr_model_loading_slow"
    assert said.finding(said.first).severity.label == "critical"
    assert str(said.fix("VLLM_ENGINE_READY_TIMEOUT_S").from_value) == "600"


DRAFTS = {"model": "small/draft", "num_speculative_tokens": 5}


def test_drafts_that_are_mostly_rejected_cost_more_than_they_give(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start(speculative_config=DRAFTS).answers(200, 9)
    said = diagnose_all(log, scrapes(gpu=H200).phase(60, **LOAD, drafted=1000, accepted=120))

    # 120 of 1000 accepted: 12 %, under 30 %.
    assert said.first == "thr_spec_decode_low_acceptance"
    fix = said.fix("num_speculative_tokens")
    assert fix.from_value == 5
    assert isinstance(fix.to_value, int)
    assert 1 <= fix.to_value < 5


def test_drafts_that_are_mostly_accepted_are_well(
    diagnose_all: Diagnose, vllm_log: type[EngineLog], scrapes: type[Scrapes]
) -> None:
    log = vllm_log().healthy_start(speculative_config=DRAFTS).answers(200, 9)
    said = diagnose_all(log, scrapes(gpu=H200).phase(60, **LOAD, drafted=1000, accepted=700))

    assert "thr_spec_decode_low_acceptance" in said.ruled_out


def test_the_log_s_own_acceptance_rate_counts_where_no_counter_does(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    low, high = vllm_log().healthy_start(), vllm_log().healthy_start()
    for log, rate in ((low, 8.1), (high, 71.9)):
        log.answers(200, 9).api(
            "SpecDecoding metrics: Mean acceptance length: 1.40, Accepted throughput: 8.00 tokens/s, Drafted "
            "throughput: 100.00 tokens/s, Accepted: 80 tokens, Drafted: 1000 tokens, Per-position acceptance rate: "
            f"0.3, 0.1, Avg Draft acceptance rate: {rate}%"
        )

    assert diagnose_all(low).first == "thr_spec_decode_low_acceptance"
    assert "thr_spec_decode_low_acceptance" in diagnose_all(high).ruled_out
