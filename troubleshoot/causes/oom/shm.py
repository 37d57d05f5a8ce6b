"""`oom_shm`: /dev/shm is too small."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.causes.oom.dev_shm import SHARED_MEMORY
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class SharedMemoryTooSmall(SignatureCause):
    """/dev/shm is too small."""

    id = "oom_shm"
    family = "oom"
    title = "/dev/shm is too small"
    signatures = ("shm_too_small", "no_space_left")
    consequences = ENGINE_DEATH | {
        "crash_nccl_or_distributed_init",
        "hang_shm_broadcast",
        "oom_host_memory",
        "crash_backend_request_error",
    }
    confidence = 0.93

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A full disk is something else: the line or its traceback must speak of shared memory."""
        if event.signature == "no_space_left":
            return bool(SHARED_MEMORY.search(event.message) or SHARED_MEMORY.search("\n".join(event.context[-15:])))
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
