"""What engines print at every good start must not wake anybody; neither must a server with nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog

NOISE = {
    "ulimit": "Found ulimit of 20000 and failed to automatically increase with error current limit exceeds maximum "
    "limit. This can cause fd limit errors like `OSError: [Errno 24] Too many open files`. Consider increasing with "
    "ulimit -n",
    "inductor": "Inductor compilation was disabled by user settings, optimizations settings that are only active "
    "during inductor compilation will be ignored.",
    "sampler": "FlashInfer is not available. Falling back to the PyTorch-native implementation of top-p & top-k "
    "sampling. For the best performance, please install FlashInfer.",
    "moe-config": "Using default MoE config. Performance might be sub-optimal! Config file not found at "
    "/opt/vllm/fused_moe/configs/E=64,N=1408,device_name=NVIDIA_H200.json",
    "turing": "Cannot use FlashAttention-2 backend for Volta and Turing GPUs.",
    "pcie": "Custom allreduce is disabled because it's not supported on more than two PCIe-only GPUs. To silence this "
    "warning, specify disable_custom_all_reduce=True explicitly.",
    "jit-monitor": "Kernel JIT monitor activated — Triton JIT compilations during inference will be logged as "
    "warnings.",
    "v0-fallback": "Compute Capability < 8.0 is experimental on VLLM_USE_V1=1. Falling back to V0 Engine.",
    "nccl-library": "Found nccl from library libnccl.so.2",
    "c10d-hostname": "[c10d] The hostname of the client socket cannot be retrieved. err=-3",
    "generation-config": "Default sampling parameters have been overridden by the model's Hugging Face generation "
    "config recommended from the model creator. If this is not intended, please relaunch with `--generation-config "
    "vllm`.",
    "chunked-prefill": "Chunked prefill is enabled by default for models with max_model_len > 32K. Chunked prefill "
    "might not work with some features or models. If you encounter any issues, please disable by launching with "
    "--enable-chunked-prefill=False.",
    "tokenizers-fork": "huggingface/tokenizers: The current process just got forked, after parallelism has already "
    "been used. Disabling parallelism to avoid deadlocks...",
    "pin-memory": "Using 'pin_memory=False' as WSL is detected. This may slow down the performance.",
    "bf16-cast": "Casting torch.bfloat16 to torch.float16.",
    "fp8-scales": "Using uncalibrated q_scale 1.0 and/or prob_scale 1.0 with fp8 attention. This may cause accuracy "
    "issues.",
    "kv-hint": "Free memory on device (138.9/139.8 GiB) on startup. Desired GPU memory utilization is (0.9, 125.8 "
    "GiB). Actual usage is 12.55 GiB for weight",
    "image-processor": "Using a slow image processor as `use_fast` is unset and a slow processor was saved with this "
    "model. `use_fast=True` will be the default behavior in v4.52.",
    "trust": "The argument `trust_remote_code` is to be used with Auto classes. It has no effect here and is ignored.",
}


@pytest.mark.parametrize("notice", NOISE.values(), ids=NOISE)
@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_a_notice_of_a_good_start_is_no_alarm(
    notice: str, level: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start().engine(notice, level).api(notice, level).weights(12.55).kv_cache(50.0, 99_000)
    said = diagnose_all(log.ready().answers(200, 9).stats(9))

    assert said.alarms == []
    assert not [cause for cause in said.causes if cause.startswith(("oom_", "crash_", "hang_"))]
    assert said.diagnosis.verdict == "healthy"


@pytest.mark.parametrize(
    "notice",
    [
        "NCCL WARN NET/OFI Failed to initialize rdma protocol, falling back to sendrecv",
        "CUDA error: out of memory while probing, retrying with a smaller workspace",
        "Failed to initialize NVML: retrying without GPU metrics",
        "Model architectures ['PluginForCausalLM'] are not supported for now, loading the plugin instead",
    ],
)
def test_trouble_that_a_start_got_over_is_not_even_a_note(
    notice: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start().engine(notice, "ERROR").weights(12.55).kv_cache(50.0, 99_000).ready()
    said = diagnose_all(log.answers(200, 9).stats(9))

    assert said.alarms == []
    assert not [cause for cause in said.causes if cause.startswith("crash_")]


def test_all_of_them_together_are_none_either(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().start()
    for notice in NOISE.values():
        log.engine(notice, "WARNING")
    said = diagnose_all(log.weights(12.55).kv_cache(50.0, 99_000).ready().answers(200, 9).stats(9))

    assert said.alarms == []


def test_triton_without_a_gpu_serves_on_the_cpu(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        "W1121 10:00:00.100000 1 pinned_memory_manager.cc:271] Unable to allocate pinned system memory, pinned memory "
        "pool will not be available: no CUDA-capable device is detected\n"
        "E1121 10:00:00.150000 1 server.cc:243] CudaDriverHelper has not been initialized.\n"
        "W1121 10:00:00.200000 1 metrics.cc:798] DCGM unable to start: DCGM initialization error\n"
        "W1121 10:00:00.210000 1 metrics.cc:800] Unable to get NVML driver version: Driver Not Loaded, Failed to "
        "initialize NVML\n"
        "I1121 10:00:01.000000 1 model_lifecycle.cc:839] successfully loaded 'echo'\n"
        "I1121 10:00:01.100000 1 grpc_server.cc:2558] Started GRPCInferenceService at 0.0.0.0:8001\n"
        "I1121 10:00:01.200000 1 http_server.cc:4725] Started HTTPService at 0.0.0.0:8000\n"
    )

    assert said.alarms == []
    assert said.diagnosis.verdict == "healthy"


def test_a_prompt_that_speaks_of_trouble_is_no_trouble(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log("0.6.3").healthy_start().answers(200, 9)
    log.api(
        "Received request chatcmpl-1: prompt: 'What does CUDA out of memory mean, and NCCL error, and Xid 79?', "
        "params: SamplingParams(n=1), prompt_token_ids: None, lora_request: None, prompt_adapter_request: None."
    )

    assert diagnose_all(log.answers(200, 3).stats(9)).alarms == []


def test_probes_and_scrapes_of_an_idle_server_are_no_alarm(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = vllm_log().healthy_start().answers(200, 50, "/health", "GET").answers(200, 50, "/metrics", "GET")
    said = diagnose_all(log.answers(404, 9, "/favicon.ico", "GET"))

    assert said.alarms == []


def test_a_text_that_is_no_engine_s_log_is_inconclusive_and_not_healthy(diagnose_all: Diagnose) -> None:
    said = diagnose_all("the quick brown fox\njumps over the lazy dog\n")

    assert said.diagnosis.verdict == "inconclusive"
    assert said.causes == []
