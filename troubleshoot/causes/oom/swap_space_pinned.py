"""`oom_swap_space_pinned`: host memory for swap space or pinned buffers cannot be reserved."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class SwapSpacePinned(SignatureCause):
    """Swap space or pinned host memory cannot be reserved."""

    id = "oom_swap_space_pinned"
    family = "oom"
    title = "Host memory for swap space or pinned buffers cannot be reserved"
    signatures = ("swap_space_too_large", "cuda_oom", "cuda_fault", "host_allocation_failed")
    consequences = ENGINE_DEATH | {
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
