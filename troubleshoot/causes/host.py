"""Memory of the host that does not suffice: RAM or a cgroup limit, /dev/shm, swap space and pinned memory."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event

_START_FAILURES = frozenset({"crash_unrecognised_exception", "crash_engine_dead_killed"})
# The kernel prints the first 15 characters of a thread's name: VLLM::EngineCor, pt_main_thread, tritonserver.
_ENGINE_PROCESS = re.compile(
    r"vllm|enginecor|worker|python|pt_|ray|sglang|text-gen|triton|llama|uvicorn|model|cuda|infer",
    re.IGNORECASE,
)
_SHM = re.compile(r"/dev/shm|\bshm\b|shared[_ ]memory|psm_|torch_\d+_|nccl-|/shm", re.IGNORECASE)


class HostMemory(SignatureCause):
    """The host or the container ran out of memory."""

    id = "oom_host_memory"
    family = "oom"
    title = "The host or its container ran out of memory and the engine was killed or refused memory"
    signatures = ("kernel_oom_kill", "node_memory_pressure", "exit_137", "host_allocation_failed")
    consequences = _START_FAILURES | {
        "hang_shm_broadcast",
        "crash_nccl_or_distributed_init",
        "crash_ray_cluster",
        "thr_client_disconnects",
    }
    confidence = 0.93

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A kernel kill counts where it hit an engine's process, or names none."""
        if event.signature == "host_allocation_failed":
            return not _SHM.search(event.message) and "pin" not in event.message
        if event.signature == "exit_137" and evidence.log:
            # Its grace period ran out: SIGKILL follows a shutdown that was asked for.
            asked = [e for e in evidence.log.all("shutdown") if e.file == event.file and e.offset < event.offset]
            return not asked
        if event.signature == "kernel_oom_kill":
            name = next((event.fields[key] for key in ("name", "task", "name2") if event.fields.get(key)), "")
            return not name or bool(_ENGINE_PROCESS.search(name))
        return True

    def weigh(self, events: Sequence[Event], evidence: Evidence) -> tuple[Severity, float]:
        """Exit status 137 alone also means any other SIGKILL."""
        severity, confidence = super().weigh(events, evidence)
        only_status = all(event.signature == "exit_137" for event in events)
        return severity, 0.55 if only_status else confidence

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        kinds = {event.signature for event in events}
        if "kernel_oom_kill" in kinds:
            return "The kernel's out-of-memory killer ended the engine's process (SIGKILL, exit status 137): host RAM or the container's memory limit is exhausted."
        if "host_allocation_failed" in kinds:
            return "An allocation of host memory was refused."
        if "node_memory_pressure" in kinds:
            return "The node is low on memory; workers are killed or evicted for it."
        return "A container ended with status 137 (SIGKILL), as the out-of-memory killer does."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """More memory, or less use of it."""
        fixes = [
            Fix(
                "container memory limit",
                None,
                "higher (weights in host RAM while loading, plus pinned and swap space)",
                "the limit, or the host's RAM, is what was hit",
            )
        ]
        swap = evidence.settings.number("swap_space")
        if swap:
            fixes += change(evidence, "swap_space", 0, "pinned host memory for a swap that V1 does not use")
        offload = evidence.settings.number("cpu_offload_gb")
        if offload:
            fixes += change(evidence, "cpu_offload_gb", 0, f"{offload:g} GiB of host memory hold weights")
        if evidence.settings.is_false("enable_chunked_prefill") and evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--enable-chunked-prefill",
                    False,
                    True,
                    "without it the profiling run is as large as the context (matters where GPU and host share memory)",
                )
            )
        fixes.append(
            Fix(
                "--gpu-memory-utilization",
                evidence.settings.get("gpu_memory_utilization"),
                "lower, where GPU and CPU share one memory",
                "on unified memory (GB10, Jetson) the engine's budget is the host's RAM",
            )
        )
        return fixes


class SharedMemoryTooSmall(SignatureCause):
    """/dev/shm is too small."""

    id = "oom_shm"
    family = "oom"
    title = "/dev/shm is too small"
    signatures = ("shm_too_small", "no_space_left")
    consequences = _START_FAILURES | {
        "crash_nccl_or_distributed_init",
        "hang_shm_broadcast",
        "oom_host_memory",
        "crash_backend_request_error",
    }
    confidence = 0.93

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A full disk is something else: the line or its traceback must speak of shared memory."""
        if event.signature == "no_space_left":
            return bool(_SHM.search(event.message) or _SHM.search("\n".join(event.context[-15:])))
        return "object store is using /tmp" not in event.message or len(event.context) > 0

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return "Processes of one engine pass data through /dev/shm, and it is full. Docker gives 64 MiB by default; tensor parallelism needs gigabytes."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """A larger one."""
        return [
            Fix("docker --shm-size", "64m", "16g", "or --ipc=host"),
            Fix(
                "/dev/shm emptyDir (Kubernetes)",
                None,
                "medium: Memory, sizeLimit: 16Gi",
                "counts against the container's memory limit",
            ),
        ]


class SwapSpacePinned(SignatureCause):
    """Swap space or pinned host memory cannot be reserved."""

    id = "oom_swap_space_pinned"
    family = "oom"
    title = "Host memory for swap space or pinned buffers cannot be reserved"
    signatures = ("swap_space_too_large", "cuda_oom", "cuda_fault", "host_allocation_failed")
    consequences = _START_FAILURES | {
        "oom_weights_do_not_fit",
        "oom_activation_peak_profile_run",
        "oom_runtime_kv_pressure_or_fragmentation",
        "crash_engine_dead_cuda_error",
        "oom_host_memory",
    }
    confidence = 0.88

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """An allocation error only where its traceback pins host memory; Triton's notice without a GPU is none."""
        if event.signature == "swap_space_too_large":
            return evidence.engine != "triton"
        near = "\n".join((*event.context[-14:], event.message, *event.after[:14]))
        return bool(
            re.search(
                r"pin_memory|pinned memory|_pinned|cudaHostAlloc|cudaHostRegister|cpu_cache|swap_space|cpu_swap|CPU swap",
                near,
            )
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        for event in events:
            if "lack of CPU swap space" in event.message:
                return "Preempted sequences did not fit into the CPU swap space, so requests were aborted."
            swap, ram = event.number("swap"), event.number("ram")
            if swap is not None and ram is not None:
                return f"{swap:g} GiB of swap space are asked for, of {ram:g} GiB of host memory; every rank takes its own."
        return "Pinned host memory could not be reserved: too much was asked for, or the memory-lock limit is low."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Less of it, except where it ran full."""
        before = evidence.settings.get("swap_space")
        if any("lack of CPU swap space" in event.message for event in events):
            return [
                Fix(
                    "--swap-space",
                    before,
                    "higher",
                    "swapped sequences need room; it is reserved for each rank",
                ),
                *change(evidence, "max_num_seqs", "lower", "fewer sequences are swapped out"),
            ]
        return [
            Fix(
                "--swap-space",
                before,
                0 if before is None or (isinstance(before, int | float) and before <= 4) else 4,
                "pinned host memory for each rank",
            ),
            Fix("ulimit -l (memlock)", None, "unlimited", "pinned memory counts against it"),
        ]
