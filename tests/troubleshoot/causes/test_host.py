"""Memory of the host: RAM, /dev/shm, pinned buffers; and the disk, which is none of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog

KERNEL = (
    "Nov 21 10:11:12 node-7 kernel: Memory cgroup out of memory: Killed process 4242 (VLLM::EngineCor) "
    "total-vm:190112344kB, anon-rss:65011712kB, file-rss:1024kB, shmem-rss:0kB, UID:0 oom_score_adj:996"
)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(KERNEL, id="cgroup"),
        pytest.param("[88123.1] Out of memory: Killed process 991 (pt_main_thread) total-vm:1kB", id="global"),
        pytest.param("    Last State:  Terminated  Reason:  OOMKilled  Exit Code:  137", id="kubectl-describe"),
        pytest.param(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,task=tritonserver,pid=77,uid=0",
            id="constraint",
        ),
    ],
)
def test_the_kernel_s_word_for_an_engine_s_end_is_host_memory(
    line: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 3).line(line)
    log.api("EngineDeadError: EngineCore encountered an issue. See stack trace for the root cause.", "ERROR")
    said = diagnose_all(log)

    assert said.first == "oom_host_memory"
    assert said.finding("oom_host_memory").severity.label == "critical"
    assert "container memory limit" in said.settings()


def test_the_kernel_killing_somebody_else_is_no_incident_of_the_engine(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 3).stats(2)
    log.line("[88123.1] Out of memory: Killed process 991 (mysqld) total-vm:8012344kB, anon-rss:1024kB")

    assert diagnose_all(log.answers(200, 2).stats(2)).alarms == []


def test_status_137_alone_is_less_sure_than_the_kernel_s_own_word(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    status = diagnose_all(vllm_log().healthy_start().line("container engine exited with code 137"))
    kernel = diagnose_all(vllm_log().healthy_start().line(KERNEL))

    assert status.first in {"oom_host_memory", "crash_engine_dead_killed"}
    assert kernel.first == "oom_host_memory"
    sure = kernel.finding("oom_host_memory").confidence
    assert status.finding(status.first).confidence < 0.7 < sure


def test_an_allocation_that_the_host_refuses_is_host_memory(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    log = (
        vllm_log()
        .start()
        .dies(
            "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
            "you tried to allocate 68719476736 bytes. Error code 12 (Cannot allocate memory)",
            "model_executor/model_loader/weight_utils.py in safetensors_weights_iterator",
        )
    )

    assert diagnose_all(log.front_end_gives_up()).first == "oom_host_memory"


@pytest.mark.parametrize(
    "exception",
    [
        "OSError: [Errno 28] No space left on device: '/dev/shm/psm_4f1c2a'",
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_991_42>: No space left on device (28)",
        "node-3:71:71 [1] misc/shmutils.cc:72 NCCL WARN Error: failed to extend /dev/shm/nccl-AAAAAA to 9637892 bytes",
        "RuntimeError: DataLoader worker (pid 55) is killed by signal: Bus error. It is possible that dataloader's "
        "workers are out of shared memory. Please try to raise your shared memory limit.",
    ],
)
def test_a_full_shared_memory_asks_for_a_larger_one(
    exception: str, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(vllm_log().start(tensor_parallel_size=4).dies(exception).front_end_gives_up())

    assert said.first == "oom_shm"
    assert any("shm" in setting for setting in said.settings())


def test_a_full_disk_is_not_shared_memory(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(
        vllm_log()
        .start()
        .dies(
            "OSError: [Errno 28] No space left on device: '/root/.cache/huggingface/hub/models--a--b/1f.incomplete'",
            "model_executor/model_loader/weight_utils.py in download_weights_from_hf",
        )
        .front_end_gives_up()
    )

    assert "oom_shm" not in said.causes
    assert not [cause for cause in said.causes if cause.startswith("oom_")]
    assert said.diagnosis.verdict == "incident"


def test_swap_space_larger_than_the_host_asks_for_less(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(
        vllm_log("0.6.3")
        .start(swap_space=64.0)
        .dies("ValueError: Too large swap space. 64.00 GiB out of the 62.70 GiB total CPU memory is allocated for it.")
    )

    assert said.first == "oom_swap_space_pinned"
    fix = said.fix("--swap-space")
    assert fix.from_value == 64.0
    assert isinstance(fix.to_value, int | float)
    assert fix.to_value < 64


def test_swap_space_that_ran_full_asks_for_more(diagnose_all: Diagnose, vllm_log: type[EngineLog]) -> None:
    said = diagnose_all(
        vllm_log("0.6.3")
        .healthy_start()
        .dies(
            "RuntimeError: Aborted due to the lack of CPU swap space. Please increase the swap space to avoid this "
            "error."
        )
    )

    assert said.first == "oom_swap_space_pinned"
    assert said.fix("--swap-space").to_value == "higher"


def test_triton_without_a_gpu_needs_no_pinned_memory(diagnose_all: Diagnose) -> None:
    said = diagnose_all(
        "W1121 10:00:00.100000 1 pinned_memory_manager.cc:271] Unable to allocate pinned system memory, pinned memory "
        "pool will not be available: CUDA driver version is insufficient for CUDA runtime version\n"
        "I1121 10:00:00.200000 1 cuda_memory_manager.cc:117] CUDA memory pool disabled\n"
        "I1121 10:00:01.000000 1 model_lifecycle.cc:839] successfully loaded 'echo'\n"
        "I1121 10:00:01.100000 1 grpc_server.cc:2558] Started GRPCInferenceService at 0.0.0.0:8001\n"
        "I1121 10:00:01.200000 1 http_server.cc:4725] Started HTTPService at 0.0.0.0:8000\n"
    )

    assert said.alarms == []


def test_status_137_after_a_shutdown_on_request_is_a_grace_period_that_ran_out(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().healthy_start().answers(200, 50).stats(5)
    log.line("(APIServer pid=10) INFO:     Shutting down", "    State: Terminated", "    Exit Code:    137")

    assert "oom_host_memory" not in diagnose_all(log).alarms
