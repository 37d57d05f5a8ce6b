"""`oom_gpu_memory_shared_with_other_process`: another process holds GPU memory that the engine asks for."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.capacity import GIB, utilization_that_fits
from troubleshoot.causes.advice import spelling
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.causes.oom.stage import gib
from troubleshoot.causes.oom.staged import figures
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class GpuMemoryShared(SignatureCause):
    """Another process holds memory that the engine wants."""

    id = "oom_gpu_memory_shared_with_other_process"
    family = "oom"
    title = "Another process holds GPU memory that the engine asks for"
    signatures = ("free_memory_below_target", "memory_changed_while_profiling", "cuda_oom")
    consequences = ENGINE_DEATH | {
        "oom_weights_do_not_fit",
        "oom_kv_cache_no_blocks",
        "oom_activation_peak_profile_run",
        "oom_runtime_kv_pressure_or_fragmentation",
    }
    confidence = 0.95

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """An out-of-memory error only where it shows that others hold much of the card."""
        if event.signature != "cuda_oom":
            return True
        others, capacity = others_gib(event), gib(event.fields.get("capacity"))
        return others is not None and capacity is not None and others >= max(1.0, 0.15 * capacity)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        for event in events:
            free, total, wanted, share = (event.number(name) for name in ("free", "total", "wanted", "utilization"))
            if event.signature == "free_memory_below_target" and free is not None and total is not None:
                want = (
                    f" The engine asks for {share:g} of the card, {wanted:.1f} GiB."
                    if share is not None and wanted is not None
                    else ""
                )
                return f"{total - free:.1f} GiB of {total:.1f} GiB were in use before the engine started; {free:.1f} GiB are free.{want}"
            if event.signature == "cuda_oom" and (others := others_gib(event)) is not None:
                return f"Other processes hold {others:.1f} GiB of the card{figures([event])}."
        return (
            "The memory in use changed while the engine measured it: another process takes or frees memory of this GPU."
        )

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Stop the other process, or ask for no more than is free."""
        fixes = [
            Fix(
                "other process on the GPU",
                "running",
                "stop",
                "`nvidia-smi` names it; a stale worker of a crashed engine is the usual one",
                "the setting may stay as it is",
            )
        ]
        for event in events:
            free, total, share = (event.number(name) for name in ("free", "total", "utilization"))
            name = spelling(evidence, "gpu_memory_utilization")
            if name and free is not None and total and share is not None:
                fits = utilization_that_fits(free * GIB, total * GIB)
                weights = evidence.weights_gib
                if fits is not None and fits < share and (weights is None or weights < fits * total):
                    fixes.append(
                        Fix(
                            name,
                            share,
                            fits,
                            f"{free:.2f} of {total:.2f} GiB are free: {fits:g} x {total:.2f} = {fits * total:.2f} GiB",
                            "LESS; start engines that share a card one after the other",
                        )
                    )
                break
        return fixes


def others_gib(event: Event) -> float | None:
    """GiB that other processes hold: what is neither free nor the process's own.

    Inside a container PyTorch cannot tell its own process and lists it as "Process N": without a "this process has",
    a listed process that holds at least what PyTorch allocated is the failing one itself.
    """
    listed, own, allocated = (gib(event.fields.get(name)) for name in ("other", "own", "allocated"))
    capacity, free = (gib(event.fields.get(name)) for name in ("capacity", "free"))
    if own is None and listed is not None:
        all_in_use = capacity is not None and free is not None and listed >= 0.97 * (capacity - free)
        if all_in_use or (allocated is not None and listed >= allocated):
            own, listed = listed, None
    if listed is not None:
        return listed
    if capacity is None or free is None or own is None:
        return None
    return capacity - free - own
