"""`oom_host_memory`: the host or its container ran out of memory and the engine was killed or refused memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import Judgement, SignatureCause
from troubleshoot.causes.oom.dev_shm import SHARED_MEMORY
from troubleshoot.causes.pod_ends import memory_ends, memory_eviction, severity_of
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Finding, Fix, Severity
from troubleshoot.logs.events import Event

# The kernel prints the first 15 characters of a thread's name: VLLM::EngineCor, pt_main_thread, tritonserver.
_ENGINE_PROCESS = re.compile(
    r"vllm|enginecor|worker|python|pt_|ray|sglang|text-gen|triton|llama|uvicorn|model|cuda|infer",
    re.IGNORECASE,
)


class HostMemory(SignatureCause):
    """The host or the container ran out of memory."""

    id = "oom_host_memory"
    family = "oom"
    title = "The host or its container ran out of memory and the engine was killed or refused memory"
    signatures = ("kernel_oom_kill", "node_memory_pressure", "exit_137", "host_allocation_failed")
    consequences = ENGINE_DEATH | {
        "hang_shm_broadcast",
        "crash_nccl_or_distributed_init",
        "crash_ray_cluster",
        "thr_client_disconnects",
    }
    confidence = 0.93

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A kernel kill counts where it hit an engine's process, or names none."""
        if event.signature == "host_allocation_failed":
            return not SHARED_MEMORY.search(event.message) and "pin" not in event.message
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

    def judge(self, evidence: Evidence) -> Judgement:
        """By the log; and by the container's status or an eviction, where Kubernetes tells."""
        judged, pod = super().judge(evidence), evidence.pod
        ends = memory_ends(pod) if pod else []
        proof = [*(pod.end_proof(end) for end in ends), *memory_eviction(pod)] if pod else []
        if pod is None or not proof:
            return judged
        if isinstance(judged, Finding):
            return replace(judged, evidence=(*proof, *judged.evidence), confidence=0.97)
        limit = f" Its limit is {pod.memory_limit_bytes / 2**30:.4g} GiB." if pod.memory_limit_bytes else ""
        why = (
            f"The container's processes needed more memory than its limit allows: the out-of-memory killer ended it (OOMKilled).{limit}"
            if ends
            else "The node ran low on memory and the kubelet evicted the pod."
        )
        return self.finding(severity_of(pod, ends[0] if ends else None), 0.97, why, proof, self.fixes([], evidence))

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
        limit = evidence.pod.memory_limit_bytes if evidence.pod else None
        fixes = [
            Fix(
                "container memory limit",
                f"{limit / 2**30:.4g} GiB" if limit else None,
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
