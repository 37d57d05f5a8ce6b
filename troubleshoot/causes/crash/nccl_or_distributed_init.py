"""`crash_nccl_or_distributed_init`: communication between the GPU workers failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import current
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class NcclOrDistributedInit(SignatureCause):
    """A collective library or a process group failed."""

    id = "crash_nccl_or_distributed_init"
    family = "crash"
    title = "Communication between the GPU workers failed"
    signatures = ("nccl_error", "nccl_watchdog", "process_group_failed")
    consequences = ENGINE_DEATH | {"hang_shm_broadcast"}
    confidence = 0.9

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """NCCL's warnings count where they are errors; the benign hostname and leak notices of c10d do not."""
        if "NCCL WARN" in event.message and "nvls" in event.message and evidence.log:
            # NVLink multicast is optional: NCCL falls back to other transports and goes on.
            return evidence.log.has("engine_dead_consequence", "engine_process_died", "nccl_watchdog")
        if event.signature == "nccl_error" and "NCCL WARN" in event.message:
            return bool(
                re.search(
                    r"error|fail|abort|timed? ?out|refused|unreachable|mismatch|not found|closed|invalid|Call to|lost",
                    event.message,
                    re.IGNORECASE,
                )
            )
        return not re.search(
            r"destroy_process_group\(\) was not called|hostname of the client socket cannot be retrieved",
            event.message,
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        if any(event.signature == "nccl_watchdog" for event in events):
            return "A collective operation did not finish in time on every rank: one rank is stuck, gone, or cannot reach the others."
        if all(event.signature == "process_group_failed" for event in events):
            return "The workers could not form, or lost, their process group: a rank is missing, an address or port is unreachable, or a rank died first."
        return "NCCL, the library that moves data between GPUs, returned an error."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Interface, peer-to-peer, versions; in the order in which they are usual."""
        fixes = [
            Fix("NCCL_DEBUG", None, "INFO", "the lines before the error then name the transport and the peer"),
            Fix(
                "NCCL_SOCKET_IFNAME",
                None,
                "the interface that all ranks share",
                "several networks, or a container's own",
            ),
            Fix(
                "NCCL_P2P_DISABLE",
                None,
                "1",
                "where peer-to-peer over PCIe is broken (IOMMU, ACS, virtual machines)",
            ),
        ]
        if evidence.engine in ("", "vllm") and not evidence.settings.is_true("disable_custom_all_reduce"):
            fixes.append(
                Fix(
                    "--disable-custom-all-reduce",
                    current(evidence, "disable_custom_all_reduce"),
                    True,
                    "falls back to NCCL where vLLM's own all-reduce fails",
                )
            )
        return fixes
