"""`oom_runtime_kv_pressure_or_fragmentation`: GPU memory runs out while serving."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.oom.stage import Stage
from troubleshoot.causes.oom.staged import StagedOom, figures, leave_room
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class RuntimeKvPressure(StagedOom):
    """The engine started well and ran out of memory while serving."""

    id = "oom_runtime_kv_pressure_or_fragmentation"
    family = "oom"
    title = "GPU memory runs out while serving"
    stages = frozenset({Stage.RUNTIME})
    also = ("runtime_allocation_failed", "llamacpp_no_kv_slot")
    consequences = ENGINE_DEATH | {
        "crash_engine_dead_cuda_error",
        "crash_backend_request_error",
        "crash_context_length_request_error",
        "thr_client_disconnects",
    }

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        if all(event.signature == "llamacpp_no_kv_slot" for event in events):
            return "The slots share one KV cache, and together they filled it: the server then fails every running request, inside answers that have begun. No single request is too long."
        return f"The engine had started; a later step needed more than was left beside weights and KV cache{figures(events)}."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Leave more beside the KV cache; smaller steps; less fragmentation."""
        if evidence.engine == "llamacpp":
            return [
                *change(
                    evidence,
                    "max_model_len",
                    "higher: slots x longest request",
                    "a KV cache that holds all slots at their longest",
                ),
                *change(evidence, "max_num_seqs", "lower", "fewer requests share it"),
            ]
        fixes = leave_room(evidence, "activations")
        fixes += change(evidence, "max_num_batched_tokens", "lower", "smaller steps need less memory")
        return [
            *fixes,
            Fix(
                "PYTORCH_CUDA_ALLOC_CONF",
                None,
                "expandable_segments:True",
                "less fragmentation where much is reserved but unallocated",
            ),
        ]
