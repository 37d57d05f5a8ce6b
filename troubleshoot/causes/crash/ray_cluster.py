"""`crash_ray_cluster`: Ray cannot place the workers or its nodes do not agree on addresses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class RayCluster(SignatureCause):
    """Ray cannot place the workers, or its nodes do not find each other."""

    id = "crash_ray_cluster"
    family = "crash"
    title = "Ray cannot place the workers or its nodes do not agree on addresses"
    signatures = ("ray_cluster",)
    consequences = ENGINE_DEATH | {"crash_nccl_or_distributed_init"}
    confidence = 0.88

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """An actor that died is Ray's way to report any crash: only without another named reason. Waiting that ends
        is none either."""
        if re.search(r"ActorDiedError|RayActorError|ActorUnavailable|RayTaskError", event.message):
            return bool(
                evidence.log
                and not evidence.log.has(
                    "cuda_oom",
                    "kv_no_blocks",
                    "kv_below_one_request",
                    "cuda_fault",
                    "nccl_error",
                    "driver_mismatch",
                    "unsupported_hardware",
                    "kernel_oom_kill",
                )
            )
        if "Waiting for creating a placement group" in event.message:
            return bool(evidence.log and not evidence.log.served_after(event))
        return True

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if "node:" in text or "IP" in text or "address" in text:
            return "Ray looks for a node by an address that no node of the cluster has: the nodes know each other by other addresses."
        return "The cluster does not have the GPUs that tensor x pipeline parallelism asks for, or does not offer them to this job."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Addresses, then resources."""
        return [
            Fix(
                "VLLM_HOST_IP",
                None,
                "on each node, its own address in the network that Ray uses",
                "must equal what `ray status` and `ray list nodes` show",
            ),
            *change(
                evidence,
                "tensor_parallel_size",
                "tensor x pipeline parallel size <= free GPUs (ray status)",
                "each worker needs a GPU of its own",
            ),
        ]
