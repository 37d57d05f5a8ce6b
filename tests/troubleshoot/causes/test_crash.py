"""An engine that does not start or dies, for a reason that its log names; and requests that fail while it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog

STEP = ("v1/engine/core.py in run_busy_loop", "v1/worker/gpu_model_runner.py in execute_model")
CUDA_ADVICE = "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."

NAMED_FAILURES = [
    pytest.param(
        "crash_nccl_or_distributed_init",
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3356, unhandled system error (run "
        "with NCCL_DEBUG=INFO for details), NCCL version 2.27.3",
        "NCCL_SOCKET_IFNAME",
        id="nccl",
    ),
    pytest.param(
        "crash_nccl_or_distributed_init",
        "torch.distributed.DistNetworkError: The client socket has timed out after 600000ms while trying to connect "
        "to (10.2.0.4, 29500).",
        "NCCL_SOCKET_IFNAME",
        id="rendezvous",
    ),
    pytest.param(
        "crash_driver_or_cuda_mismatch",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update it",
        "NVIDIA driver",
        id="old-driver",
    ),
    pytest.param(
        "crash_driver_or_cuda_mismatch",
        "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`",
        "container GPUs",
        id="no-gpu",
    ),
    pytest.param(
        "crash_unsupported_arch_or_dtype",
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has "
        "compute capability 7.5. You can use float16 instead by explicitly setting the `dtype` flag in CLI",
        "--dtype",
        id="bf16-on-turing",
    ),
    pytest.param(
        "crash_unsupported_arch_or_dtype",
        "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device",
        "engine version",
        id="no-kernels",
    ),
    pytest.param(
        "crash_unsupported_arch_or_dtype",
        "ValueError: Model architectures ['FutureForCausalLM'] are not supported for now. Supported architectures: []",
        "engine version",
        id="unknown-architecture",
    ),
    pytest.param(
        "crash_model_config_or_tokenizer",
        "ValueError: The checkpoint you are trying to load has model type `future4` but Transformers does not "
        "recognize this architecture. This could be because of an issue with the checkpoint",
        "transformers",
        id="old-transformers",
    ),
    pytest.param(
        "crash_model_config_or_tokenizer",
        "OSError: You are trying to access a gated repo. 401 Client Error. Cannot access gated repo for url "
        "https://huggingface.co/a/b/resolve/main/config.json",
        "HF_TOKEN",
        id="gated",
    ),
    pytest.param(
        "crash_model_config_or_tokenizer",
        "safetensors_rust.SafetensorError: Error while deserializing header: MetadataIncompleteBuffer",
        "model files",
        id="cut-off-download",
    ),
    pytest.param(
        "crash_model_config_or_tokenizer",
        "ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8).",
        "--tensor-parallel-size",
        id="heads",
    ),
    pytest.param(
        "crash_model_config_or_tokenizer",
        "ValueError: User-specified max_model_len (262144) is greater than the derived max_model_len "
        "(max_position_embeddings=32768 or model_max_length=None in model's config.json).",
        "--max-model-len",
        id="too-long-context",
    ),
    pytest.param(
        "crash_ray_cluster",
        "ValueError: Current node has no GPU available. current_node_resource={'node:10.0.0.5': 1.0, 'CPU': 32.0}. "
        "vLLM engine cannot start without GPU. Make sure you have at least 1 GPU available in a node",
        "VLLM_HOST_IP",
        id="ray",
    ),
    pytest.param(
        "crash_port_in_use",
        "OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
        "--port",
        id="port",
    ),
]


@pytest.mark.parametrize(("cause", "exception", "setting"), NAMED_FAILURES)
def test_a_failed_start_is_named_by_its_own_exception(
    cause: str, exception: str, setting: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(vllm_log().start().dies(exception).front_end_gives_up())

    assert said.first == cause
    assert said.finding(cause).severity.label == "critical"
    assert setting in said.settings()


@pytest.mark.parametrize(("cause", "exception", "setting"), NAMED_FAILURES)
def test_the_same_failure_of_an_earlier_start_is_no_incident_once_the_engine_serves(
    cause: str, exception: str, setting: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start().dies(exception).front_end_gives_up()

    assert diagnose_all(log.healthy_start().answers(200, 5).stats(3)).alarms == []


def test_bf16_on_an_old_gpu_asks_for_half_precision(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(
        vllm_log()
        .start(dtype="bfloat16")
        .dies(
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU "
            "has compute capability 7.5."
        )
    )

    fix = said.fix("--dtype")
    assert (fix.from_value, fix.to_value) == ("bfloat16", "half")


def test_a_port_in_use_names_the_port_and_another_one(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(
        vllm_log()
        .start(port=8123)
        .line("OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8123): address already in use")
    )

    fix = said.fix("--port")
    assert (fix.from_value, fix.to_value) == (8123, 8124)


@pytest.mark.parametrize(
    "exception",
    [
        f"torch.AcceleratorError: CUDA error: an illegal memory access was encountered\n{CUDA_ADVICE}",
        f"RuntimeError: CUDA error: device-side assert triggered\n{CUDA_ADVICE}",
        "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx",
    ],
)
def test_a_fault_in_a_kernel_is_named_before_the_death_that_it_brings(
    exception: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 5).stats(12).dies(exception, *STEP)
    log.api("AsyncLLM output_handler failed.", "ERROR")
    log.line(
        "(APIServer pid=10) vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace"
    )
    said = diagnose_all(log.answers(500, 4))

    assert said.first == "crash_engine_dead_cuda_error"
    assert "CUDA_LAUNCH_BLOCKING" in said.settings()
    assert "crash_engine_dead_killed" not in said.causes
    assert "crash_unrecognised_exception" not in said.causes[:1]


def test_a_nccl_failure_that_follows_a_device_fault_is_its_consequence(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start(tensor_parallel_size=2).answers(200, 5)
    log.dies("RuntimeError: CUDA error: device-side assert triggered", *STEP, process="Worker_TP0 pid=31")
    log.dies(
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3356, remote process exited or there "
        "was a network error",
        process="Worker_TP1 pid=32",
    )

    assert diagnose_all(log).first == "crash_engine_dead_cuda_error"


@pytest.mark.parametrize("code", [13, 31])
def test_an_xid_that_programs_cause_does_not_condemn_the_gpu(
    code: int, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 5)
    log.line(f"Nov 21 10:00:00 node-7 kernel: NVRM: Xid (PCI:0000:3b:00): {code}, pid=20, name=VLLM::EngineCor, x")
    log.dies("RuntimeError: CUDA error: an illegal memory access was encountered", *STEP)
    said = diagnose_all(log)

    assert said.first == "crash_engine_dead_cuda_error"
    assert "crash_xid_or_gpu_lost" not in said.causes


@pytest.mark.parametrize("code", [13, 31])
def test_the_driver_s_word_alone_is_enough_for_a_fault_in_a_kernel(
    code: int, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 5)
    log.line(f"Nov 21 10:00:00 node-7 kernel: NVRM: Xid (PCI:0000:3b:00): {code}, pid=20, name=VLLM::EngineCor, x")
    log.api("Engine core proc EngineCore died unexpectedly, shutting down client.", "ERROR")

    assert diagnose_all(log).first == "crash_engine_dead_cuda_error"


@pytest.mark.parametrize(
    "line",
    [
        "Nov 21 10:00:00 node-7 kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid=20, GPU has fallen off the bus.",
        "Nov 21 10:00:00 node-7 kernel: NVRM: Xid (PCI:0000:3b:00): 48, pid=20, DBE (double bit error) ECC Error",
        "Unable to determine the device handle for GPU0: 0000:3B:00.0: GPU is lost. Reboot the system to recover",
    ],
)
def test_a_lost_gpu_explains_the_faults_that_follow_and_asks_for_no_engine_setting(
    line: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 5).line(line)
    log.dies("RuntimeError: CUDA error: unspecified launch failure", *STEP)
    said = diagnose_all(log)

    assert said.first == "crash_xid_or_gpu_lost"
    assert not [setting for setting in said.settings() if setting.startswith("--")]
    assert "cordon and drain" in [fix.to_value for fix in said.finding(said.first).fixes]


def test_a_failure_that_the_engine_got_over_is_a_warning_and_less_sure(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    fault = "RuntimeError: CUDA error: an illegal memory access was encountered"
    last = diagnose_all(vllm_log().healthy_start().answers(200, 5).stats(12).dies(fault, *STEP))
    over = diagnose_all(
        vllm_log().healthy_start().answers(200, 5).stats(12).dies(fault, *STEP).healthy_start().answers(200, 5).stats(9)
    )

    cause = "crash_engine_dead_cuda_error"
    assert (last.first, over.first) == (cause, cause)
    assert (last.finding(cause).severity.label, over.finding(cause).severity.label) == ("critical", "warning")
    assert over.finding(cause).confidence < last.finding(cause).confidence


def test_context_errors_are_the_clients_and_the_server_goes_on(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.10.0").healthy_start(max_model_len=4096).answers(200, 5)
    for _ in range(4):
        log.api(
            "Error in preprocessing prompt inputs: ValueError: This model's maximum context length is 4096 tokens. "
            "However, you requested 6200 tokens (5700 in the messages, 500 in the completion). Please reduce the "
            "length of the messages or completion.",
            "ERROR",
        ).answers(400)
    said = diagnose_all(log.answers(200, 5).stats(3))

    assert said.first == "crash_context_length_request_error"
    assert said.finding(said.first).severity.label == "warning"
    assert said.fix("--max-model-len").from_value == 4096


def test_llama_cpp_divides_its_context_by_its_slots(diagnose_all: Diagnose) -> None:
    lines = ["0.00.085.304 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 1024, kv_unified = 'false'"]
    lines += ["0.00.087.079 I srv  llama_server: listening on http://127.0.0.1:8080"]
    for task in range(6):
        lines += [
            f"0.0{task}.208.838 E srv    send_error: task id = {task}, error: request (1670 tokens) exceeds the "
            "available context size (1024 tokens), try increasing it",
            f"0.0{task}.208.863 W srv          stop: cancel task, id_task = {task}",
        ]
    said = diagnose_all("\n".join(lines))

    assert said.first == "crash_context_length_request_error"
    fix = said.fix("--ctx-size")
    assert fix.from_value == 4 * 1024
    assert isinstance(fix.to_value, int)
    assert fix.to_value >= 4 * 1670


def test_tasks_that_llama_cpp_cancels_after_a_context_error_are_no_clients_that_left(diagnose_all: Diagnose) -> None:
    lines = ["0.00.085.304 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 512, kv_unified = 'false'"]
    for task in range(9):
        lines += [
            f"0.0{task}.208.838 E srv    send_error: task id = {task}, error: request (670 tokens) exceeds the "
            "available context size (512 tokens), try increasing it",
            f"0.0{task}.208.863 W srv          stop: cancel task, id_task = {task}",
        ]

    assert "thr_client_disconnects" not in diagnose_all("\n".join(lines)).alarms


def test_tasks_that_llama_cpp_cancels_without_any_error_are_clients_that_left(diagnose_all: Diagnose) -> None:
    lines = ["0.00.085.304 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 512, kv_unified = 'false'"]
    lines += [f"0.0{task}.208.863 W srv          stop: cancel task, id_task = {task}" for task in range(9)]
    said = diagnose_all("\n".join(lines))

    assert said.first == "thr_client_disconnects"
    assert "crash_context_length_request_error" not in said.causes


def test_many_answers_of_400_are_context_errors_most_likely(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(vllm_log().healthy_start().answers(200, 9).answers(400, 12).stats(3))

    assert said.first == "crash_context_length_request_error"
    assert said.finding(said.first).confidence < 0.7


@pytest.mark.parametrize(
    ("status", "path", "method"),
    [(404, "/v1/nothing", "GET"), (404, "/v1/completions", "POST"), (401, "/v1/x", "POST")],
)
def test_answers_of_404_or_401_say_nothing_of_the_context(
    status: int, path: str, method: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 9).answers(status, 40, path, method).stats(3)

    assert "crash_context_length_request_error" not in diagnose_all(log).causes


def test_triton_s_failing_model_code_is_no_crash_of_the_server(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        "I1121 10:00:01.100000 1 grpc_server.cc:2558] Started GRPCInferenceService at 0.0.0.0:8001\n"
        "I1121 10:00:01.200000 1 http_server.cc:4725] Started HTTPService at 0.0.0.0:8000\n"
        "E1121 10:05:00.000000 1 python_be.cc:1180] Failed to process the request(s) for model 'rank_0', message: "
        "KeyError: 'prompt'\n\nAt:\n  /models/rank/1/model.py(71): execute\n"
    )

    assert said.first == "crash_backend_request_error"
    assert said.finding(said.first).severity.label == "warning"
    assert not [setting for setting in said.settings() if setting.startswith("--")]


def test_triton_s_model_code_that_cannot_be_loaded_fails_no_request(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        "I1121 10:00:00.100000 1 model_lifecycle.cc:473] loading: rank:1\n"
        "E1121 10:00:01.000000 1 model_lifecycle.cc:654] failed to load 'rank' version 1: Internal: "
        "ModuleNotFoundError: No module named 'sentencepiece'\n\nAt:\n  /models/rank/1/model.py(3): <module>\n"
        "error: creating server: Internal - failed to load all models\n"
    )

    assert said.first == "crash_model_config_or_tokenizer"
    assert "crash_backend_request_error" not in said.alarms


def test_a_port_that_the_engine_replaces_by_the_next_one_is_no_failure(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start().engine("Port 29500 is already in use, trying port 29501")
    said = diagnose_all(log.weights(12.55).kv_cache(50.0, 99_000).ready().answers(200, 9).stats(9))

    assert "crash_port_in_use" not in said.causes


def test_ray_s_dead_actor_is_not_the_cause_where_the_actor_s_own_error_is_known(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start(tensor_parallel_size=2, distributed_executor_backend="ray")
    log.dies("RuntimeError: The NVIDIA driver on your system is too old (found version 11040).")
    log.line("ray.exceptions.ActorDiedError: The actor died because of an error raised in its creation task")
    said = diagnose_all(log)

    assert said.first == "crash_driver_or_cuda_mismatch"
    assert "crash_ray_cluster" not in said.alarms


def test_too_many_heads_for_the_gpus_is_no_communication_failure(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start(tensor_parallel_size=8)
    log.line("[W1121 19:44:20.3 socket.cpp:207] [c10d] The hostname of the client socket cannot be retrieved. err=-3")
    log.dies("ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8).")
    log.line(
        "[rank0]:[W1121 19:44:22.3 ProcessGroupNCCL.cpp:1496] Warning: WARNING: destroy_process_group() was not called "
        "before program exit, which can leak resources."
    )
    said = diagnose_all(log.front_end_gives_up())

    assert said.first == "crash_model_config_or_tokenizer"
    assert "crash_nccl_or_distributed_init" not in said.causes


def test_a_few_bad_requests_among_many_good_ones_are_no_alarm(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 500).answers(400, 6).answers(200, 500).stats(9)

    assert diagnose_all(log).alarms == []
