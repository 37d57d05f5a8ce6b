"""`crash_engine_dead_cuda_error`: a fault inside a GPU kernel killed the engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import Judgement, SignatureCause
from troubleshoot.causes.crash.xid import xid_kind, xid_meanings
from troubleshoot.causes.pod_ends import SIGSEGV, ends_with, severity_of
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Finding, Fix, Severity
from troubleshoot.logs.events import Event


class CudaFault(SignatureCause):
    """A kernel faulted on the device and took the engine with it."""

    id = "crash_engine_dead_cuda_error"
    family = "crash"
    title = "A fault inside a GPU kernel killed the engine"
    signatures = ("cuda_fault", "xid", "segfault")
    consequences = ENGINE_DEATH | {
        "crash_nccl_or_distributed_init",
        "hang_shm_broadcast",
        "crash_backend_request_error",
    }
    confidence = 0.88

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Xids that programs cause (13, 31, 43, 45...); errors that say another cause by name are left to it."""
        if event.signature == "xid":
            return xid_kind(event) == "application"
        if event.signature == "segfault":
            return True
        near = "\n".join((*event.context[-6:], event.message))
        return not re.search(
            r"NCCL|nccl|DistBackendError|no kernel image|unsupported toolchain|out of memory|OutOfMemory",
            near,
        )

    def judge(self, evidence: Evidence) -> Judgement:
        """By the log; a container that ended with status 139 crashed even where it printed nothing."""
        judged, pod = super().judge(evidence), evidence.pod
        ends = ends_with(pod, SIGSEGV) if pod else []
        if pod is None or not ends:
            return judged
        proof = [pod.end_proof(end) for end in ends]
        if isinstance(judged, Finding):
            return replace(judged, evidence=(*judged.evidence, *proof))
        why = "The process crashed in native code: its container ended with status 139 (SIGSEGV), without a word in the log."
        return self.finding(severity_of(pod, ends[0]), 0.5, why, proof, self.fixes([], evidence))

    def weigh(self, events: Sequence[Event], evidence: Evidence) -> tuple[Severity, float]:
        """A crash of the process itself (segmentation fault) says less about the GPU."""
        severity, confidence = super().weigh(events, evidence)
        return severity, 0.5 if all(event.signature == "segfault" for event in events) else confidence

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        codes = sorted(
            {int(event.fields["xid"]) for event in events if event.signature == "xid" and event.fields.get("xid")}
        )
        if codes:
            return f"The driver reports {xid_meanings(codes)}. These are caused by the program: the GPU is not lost."
        if all(event.signature == "segfault" for event in events):
            return "The process crashed in native code (segmentation fault)."
        return "The GPU reported an illegal operation. CUDA reports it late, so the line in the traceback may not be the faulty one."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Locate, then avoid the kernel."""
        fixes = [
            Fix(
                "CUDA_LAUNCH_BLOCKING",
                None,
                "1",
                "the traceback then names the kernel",
                "slow: to locate only",
            )
        ]
        if evidence.engine in ("", "vllm"):
            fixes += change(evidence, "enforce_eager", True, "tells a fault of graph replay from one of the kernel")
            fixes.append(
                Fix(
                    "--attention-backend",
                    current(evidence, "attention_backend"),
                    "another backend",
                    "if the fault is in attention",
                )
            )
        fixes.append(
            Fix(
                "engine version",
                evidence.version or None,
                "newer",
                "kernel faults are usually fixed upstream",
            )
        )
        return fixes
