"""`crash_xid_or_gpu_lost`: the GPU failed or was lost."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.aftermath import CUDA_FAULT, ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.causes.crash.xid import xid_kind, xid_meanings
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class XidOrGpuLost(SignatureCause):
    """The GPU failed or was lost."""

    id = "crash_xid_or_gpu_lost"
    family = "crash"
    title = "The GPU failed or was lost"
    signatures = ("gpu_lost", "xid")
    consequences = (
        ENGINE_DEATH
        | CUDA_FAULT
        | {
            "crash_nccl_or_distributed_init",
            "hang_shm_broadcast",
            "hang_engine_stuck",
            "crash_driver_or_cuda_mismatch",
        }
    )
    confidence = 0.92

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Hardware and driver Xids; an unknown code counts too, a program's own or an informational one not."""
        return event.signature != "xid" or xid_kind(event) in ("hardware", "driver", "")

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        codes = sorted({int(event.fields["xid"]) for event in events if event.fields.get("xid", "").isdigit()})
        meanings = xid_meanings(codes)
        return f"The driver reports a hardware failure or a lost device{f' ({meanings})' if meanings else ''}. No engine setting helps."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Take the node out."""
        return [
            Fix("node", "in service", "cordon and drain", "the next engine on this GPU fails as well"),
            Fix(
                "GPU",
                None,
                "reset (nvidia-smi --gpu-reset) or power-cycle; exchange it if it comes back",
                "a lost device returns only after a reset",
            ),
        ]
