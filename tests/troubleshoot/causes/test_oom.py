"""Out of GPU memory: which stage it was, and which way the remedy goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog, Scrapes

NO_BLOCKS = (
    "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing "
    "the engine (this flag also controls CPU memory reservation on the CPU backend, despite its name)."
)
OOM_OWN = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {wanted}. GPU 0 has a total capacity of 79.25 GiB "
    "of which 312.00 MiB is free. Including non-PyTorch memory, this process has 78.90 GiB memory in use. Of the "
    "allocated memory 77.10 GiB is allocated by PyTorch, and 610.00 MiB is reserved by PyTorch but unallocated."
)
OOM_SMALL = OOM_OWN.format(wanted="224.00 MiB")
OOM_LARGE = OOM_OWN.format(wanted="4.50 GiB")

LOADING = ("v1/worker/gpu_worker.py in load_model", "model_executor/layers/linear.py in create_weights")
PROFILING = (
    "v1/worker/gpu_worker.py in determine_available_memory",
    "v1/worker/gpu_model_runner.py in profile_run",
    "model_executor/layers/activation.py in forward",
)
CAPTURE = ("v1/worker/gpu_model_runner.py in capture_model", "compilation/cuda_graph.py in __call__")
SAMPLER = ("v1/worker/gpu_model_runner.py in _dummy_sampler_run", "v1/sample/sampler.py in sample")
VISION = (
    "v1/worker/gpu_model_runner.py in profile_run",
    "v1/worker/gpu_model_runner.py in profile_mm",
    "model_executor/models/qwen2_vl.py in get_multimodal_embeddings",
)
ADAPTERS = ("lora/layers/column_parallel_linear.py in create_lora_weights",)
STEP = ("v1/engine/core.py in run_busy_loop", "v1/worker/gpu_model_runner.py in execute_model")


def failed_start(log: EngineLog, exception: str, *frames: str) -> EngineLog:
    return log.dies(exception, *frames).front_end_gives_up()


@pytest.mark.parametrize(
    ("cause", "frames", "exception"),
    [
        pytest.param("oom_weights_do_not_fit", LOADING, OOM_SMALL, id="loading"),
        pytest.param("oom_activation_peak_profile_run", PROFILING, OOM_LARGE, id="profiling"),
        pytest.param("oom_cudagraph_capture", CAPTURE, OOM_SMALL, id="graph-capture"),
        pytest.param("oom_logits_or_sampler", SAMPLER, OOM_LARGE, id="sampler"),
        pytest.param("oom_multimodal_encoder", VISION, OOM_LARGE, id="vision-encoder"),
        pytest.param("oom_lora", ADAPTERS, OOM_SMALL, id="adapters"),
    ],
)
def test_the_traceback_tells_at_which_stage_memory_ran_out(
    cause: str, frames: tuple[str, ...], exception: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(failed_start(vllm_log().start(), exception, *frames))

    assert said.first == cause
    assert said.finding(cause).severity.label == "critical"
    stages = {"oom_weights_do_not_fit", "oom_activation_peak_profile_run", "oom_cudagraph_capture"}
    stages |= {"oom_logits_or_sampler", "oom_multimodal_encoder", "oom_lora"}
    assert not (stages - {cause}) & set(said.causes)


def test_weights_that_do_not_fit_need_more_gpus_or_fewer_bits_and_no_shorter_context(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = failed_start(vllm_log().start("meta-llama/Llama-3.1-70B-Instruct"), OOM_SMALL, *LOADING)
    said = diagnose_all(log)

    fix = said.fix("--tensor-parallel-size")
    assert (fix.from_value, fix.to_value) == (1, 2)
    assert "--quantization" in said.settings()
    assert "--max-model-len" not in said.settings()


def test_weights_larger_than_the_card_are_named_although_the_engine_says_no_cache_blocks(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start("big/model", gpu_memory_utilization=0.9)
    log.engine(
        "Free memory on device (23.40/23.64 GiB) on startup. Desired GPU memory utilization is (0.9, 21.28 GiB). "
        "Actual usage is 25.90 GiB for weight"
    )
    log.weights(25.9).engine("Available KV cache memory: -6.21 GiB")
    said = diagnose_all(failed_start(log, NO_BLOCKS))

    # 25.9 GiB of weights on 23.64 GiB: not even 0.98 x 23.64 = 23.2 GiB would do.
    assert said.first == "oom_weights_do_not_fit"
    assert "oom_kv_cache_no_blocks" not in said.causes


def test_weights_that_fit_the_card_but_not_the_budget_want_a_larger_budget(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = (
        vllm_log()
        .start("some/32b", gpu_memory_utilization=0.75)
        .engine(
            "Free memory on device (78.9/79.25 GiB) on startup. Desired GPU memory utilization is (0.75, 59.44 GiB). "
            "Actual usage is 61.20 GiB for weight"
        )
    )
    log.weights(61.2).engine("Available KV cache memory: -3.4 GiB")
    said = diagnose_all(failed_start(log, NO_BLOCKS))

    # 61.2 of 79.25 GiB are 77 % of the card. Missing: 3.4 + 1 GiB of 79.25: 0.75 + 4.4 / 79.25 = 0.8055, up to 0.81.
    assert said.first == "oom_kv_cache_no_blocks"
    fix = said.fix("--gpu-memory-utilization")
    assert (fix.from_value, fix.to_value) == (0.75, 0.81)


def test_no_cache_blocks_asks_for_more_of_the_card(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start(gpu_memory_utilization=0.15).weights(12.55).engine("Available KV cache memory: -1.03 GiB")
    said = diagnose_all(failed_start(log, NO_BLOCKS))

    assert said.first == "oom_kv_cache_no_blocks"
    fix = said.fix("--gpu-memory-utilization")
    assert fix.from_value == 0.15
    assert isinstance(fix.to_value, float)
    assert fix.to_value > 0.15
    assert "oom_weights_do_not_fit" not in said.causes


def test_cache_for_less_than_one_request_is_no_empty_cache(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start(max_model_len=32768, gpu_memory_utilization=0.9).weights(15.3)
    log.engine("Available KV cache memory: 3.31 GiB")
    said = diagnose_all(
        failed_start(
            log,
            "ValueError: To serve at least one request with the model's max seq len (32768), (4.0 GiB KV cache is "
            "needed, which is larger than the available KV cache memory (3.31 GiB). Based on the available memory, "
            "the estimated maximum model length is 27104. Try increasing `gpu_memory_utilization` or decreasing "
            "`max_model_len` when initializing the engine.",
        )
    )

    assert said.first == "oom_max_len_exceeds_kv_cache"
    assert "oom_kv_cache_no_blocks" not in said.causes
    fix = said.fix("--max-model-len")
    assert (fix.from_value, fix.to_value) == (32768, 27104)


def test_a_card_in_use_asks_for_less_of_it(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(
        failed_start(
            vllm_log().start(gpu_memory_utilization=0.9),
            "ValueError: Free memory on device cuda:0 (31.12/79.25 GiB) on startup is less than desired GPU memory "
            "utilization (0.9, 71.33 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
            "processes.",
        )
    )

    assert said.first == "oom_gpu_memory_shared_with_other_process"
    fix = said.fix("--gpu-memory-utilization")
    # 31.12 / 79.25 = 0.3927: rounded down to hundredths, so that the start-up check passes.
    assert (fix.from_value, fix.to_value) == (0.9, 0.39)
    assert "other process on the GPU" in said.settings()


def test_an_allocation_error_that_lists_another_process_names_it(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(
        failed_start(
            vllm_log().start(),
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB. GPU 0 has a total capacity of "
            "79.25 GiB of which 98.00 MiB is free. Process 3111 has 66.20 GiB memory in use. Including non-PyTorch "
            "memory, this process has 12.94 GiB memory in use.",
            *LOADING,
        )
    )

    assert said.first == "oom_gpu_memory_shared_with_other_process"


def test_an_allocation_error_of_a_process_alone_on_the_card_names_no_other(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(failed_start(vllm_log().start(), OOM_SMALL, *LOADING))

    assert "oom_gpu_memory_shared_with_other_process" not in said.causes


def test_memory_that_changes_while_it_is_measured_is_another_process(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(
        failed_start(
            vllm_log().start().weights(12.55),
            "AssertionError: Error in memory profiling. Initial free memory 40.12 GiB, current free memory 51.90 GiB. "
            "This happens when other processes sharing the same container release GPU memory while vLLM is profiling "
            "during initialization.",
        )
    )

    assert said.first == "oom_gpu_memory_shared_with_other_process"


def test_a_profiling_run_too_large_asks_for_smaller_steps(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start(max_num_batched_tokens=65536, max_num_seqs=1024).weights(60.1)
    said = diagnose_all(failed_start(log, OOM_LARGE, *PROFILING))

    budget, seqs = said.fix("--max-num-batched-tokens"), said.fix("--max-num-seqs")
    assert (budget.from_value, budget.to_value) == (65536, 32768)
    assert (seqs.from_value, seqs.to_value) == (1024, 512)


def test_graphs_that_do_not_fit_ask_for_less_kv_cache(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start(gpu_memory_utilization=0.97).weights(60.1).kv_cache(14.2, 120_000)
    log.line("Capturing CUDA graph shapes:  40%|████      | 14/35 [00:03<00:04,  4.61it/s]")
    said = diagnose_all(failed_start(log, OOM_SMALL))

    assert said.first == "oom_cudagraph_capture"
    fix = said.fix("--gpu-memory-utilization")
    assert (fix.from_value, fix.to_value) == (0.97, 0.92)


def test_the_sampler_s_own_message_halves_the_sequences(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(
        failed_start(
            vllm_log().start(max_num_seqs=1024).weights(60.1).kv_cache(9.0, 70_000),
            "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests. Please try "
            "lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine.",
        )
    )

    assert said.first == "oom_logits_or_sampler"
    fix = said.fix("--max-num-seqs")
    assert (fix.from_value, fix.to_value) == (1024, 512)


def test_an_encoder_too_large_asks_for_fewer_inputs_a_prompt(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(failed_start(vllm_log().start("Qwen/Qwen2-VL-7B-Instruct"), OOM_LARGE, *VISION))

    assert "--limit-mm-per-prompt" in said.settings()


def test_adapters_too_large_ask_for_fewer_and_thinner_ones(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start(enable_lora=True, max_loras=32, max_lora_rank=256)
    said = diagnose_all(failed_start(log, OOM_SMALL, *ADAPTERS))

    loras, rank = said.fix("--max-loras"), said.fix("--max-lora-rank")
    assert (loras.from_value, loras.to_value) == (32, 16)
    assert (rank.from_value, rank.to_value) == (256, 128)


def test_memory_that_runs_out_while_serving_is_no_failed_start(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start(gpu_memory_utilization=0.95).answers(200, 20).stats(40, kv=0.7)
    said = diagnose_all(log.dies(OOM_LARGE, *STEP))

    assert said.first == "oom_runtime_kv_pressure_or_fragmentation"
    fix = said.fix("--gpu-memory-utilization")
    assert fix.from_value == 0.95
    assert isinstance(fix.to_value, float)
    assert fix.to_value < 0.95
    assert "oom_weights_do_not_fit" not in said.causes


def test_llama_cpp_slots_that_fill_one_cache_are_memory_not_long_requests(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        "0.00.080.285.304 I srv    load_model: initializing, n_slots = 8, n_ctx_slot = 4096, kv_unified = 'true'\n"
        "0.00.087.079 I srv  llama_server: listening on http://0.0.0.0:8080\n"
        "0.41.208.770 I slot launch_slot_: id  3 | task 2 | processing task, is_child = 0\n"
        "0.58.120.011 E srv  update_slots: failed to find free space in the KV cache, retrying with smaller batch "
        "size, i = 0, n_batch = 1, ret = 1\n"
        "0.58.120.031 E srv    send_error: task id = 9, error: Context size has been exceeded.\n"
    )

    assert said.first == "oom_runtime_kv_pressure_or_fragmentation"
    assert "--ctx-size" in said.settings()


def test_sglang_speaks_of_its_own_memory_flag(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        "[2026-11-21 10:00:00] server_args=ServerArgs(model_path='meta-llama/Llama-3.1-8B', mem_fraction_static=0.3, "
        "tp_size=1)\n"
        "[2026-11-21 10:00:20] Load weight end. type=LlamaForCausalLM, dtype=torch.bfloat16, avail mem=8.11 GB, mem "
        "usage=15.02 GB.\n"
        "[2026-11-21 10:00:21] Scheduler hit an exception: Traceback (most recent call last):\n"
        '  File "/opt/sglang/python/sglang/srt/managers/scheduler.py", line 1748, in run_scheduler_process\n'
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.\n"
    )

    assert said.first == "oom_kv_cache_no_blocks"
    fix = said.fix("--mem-fraction-static")
    assert fix.from_value == 0.3
    assert isinstance(fix.to_value, float)
    assert fix.to_value > 0.3


def test_a_failed_start_that_a_good_one_follows_is_no_incident(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = failed_start(vllm_log().start(gpu_memory_utilization=0.15), NO_BLOCKS)
    log.healthy_start(gpu_memory_utilization=0.9).answers(200, 5).stats(3)
    said = diagnose_all(log)

    assert said.alarms == []
    assert said.diagnosis.verdict == "healthy"


def test_a_good_start_that_a_failed_one_follows_is_an_incident(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start(gpu_memory_utilization=0.9).answers(200, 5).stats(3)
    said = diagnose_all(failed_start(log.start(gpu_memory_utilization=0.15), NO_BLOCKS))

    assert said.first == "oom_kv_cache_no_blocks"
    assert said.finding("oom_kv_cache_no_blocks").severity.label == "critical"


def test_a_full_kv_cache_is_not_out_of_memory(diagnose_all: Diagnose, scrapes: type[Scrapes]) -> None:
    said = diagnose_all(
        metrics=scrapes().phase(
            60, running=20, waiting=30, kv=1.0, steps=40, finished=2, output_tokens=500, generation=1000, preemptions=2
        )
    )

    assert not [cause for cause in said.causes if cause.startswith("oom_")]


def test_tgi_s_warm_up_is_a_profiling_run(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        '2026-11-21T10:00:00.000000Z  INFO text_generation_launcher: Args { model_id: "a/b", num_shard: Some(2) }\n'
        "2026-11-21T10:00:40.000000Z ERROR text_generation_launcher: Method Warmup encountered an error.\n"
        "2026-11-21T10:00:41.000000Z ERROR warmup{max_prefill_tokens=4096}:warmup: text_generation_client: "
        "router/client/src/lib.rs:45: Server error: Not enough memory to handle 4096 prefill tokens. You need to "
        "decrease `--max-batch-prefill-tokens`\n"
        "2026-11-21T10:00:42.000000Z ERROR text_generation_launcher: Webserver Crashed\n"
    )

    assert said.first == "oom_activation_peak_profile_run"
    assert "--max-batch-prefill-tokens" in said.settings()
