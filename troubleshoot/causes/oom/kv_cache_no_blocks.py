"""`oom_kv_cache_no_blocks`: no GPU memory is left for the KV cache."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.capacity import GIB, request_kv_bytes, utilization_needed
from troubleshoot.causes.advice import change, current, spelling, split_wider
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.causes.oom.weights import smaller_weights, weights_exceed_card
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class KvCacheNoBlocks(SignatureCause):
    """After weights and profiling nothing is left for the KV cache."""

    id = "oom_kv_cache_no_blocks"
    family = "oom"
    title = "No GPU memory is left for the KV cache"
    signatures = ("kv_no_blocks",)
    consequences = ENGINE_DEATH | {"oom_cudagraph_capture"}
    confidence = 0.95

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Not where the weights alone exceed the card, nor where a later line gives a positive budget."""
        if weights_exceed_card(evidence) or evidence.log is None:
            return False
        later = [e for e in evidence.log.all("kv_below_one_request") if e.file == event.file]
        return not later or not event.fields.get("available")

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        memory = evidence.log.memory if evidence.log else None
        parts = [
            "The budget that the memory setting allows is used up by weights and the profiling run, so not one KV block fits."
        ]
        if memory and memory.kv_gib is not None and memory.kv_gib <= 0:
            parts.append(f"The engine computed {memory.kv_gib:.2f} GiB for the KV cache.")
        utilization, total = self._utilization(evidence), evidence.gpu_total_gib
        if utilization and total and evidence.weights_gib:
            parts.append(
                f"Budget: {utilization:g} x {total:.1f} GiB = {utilization * total:.1f} GiB, weights {evidence.weights_gib:.1f} GiB."
            )
        return " ".join(parts)

    @staticmethod
    def _utilization(evidence: Evidence) -> float | None:
        value = current(evidence, "gpu_memory_utilization")
        if isinstance(value, int | float):
            return float(value)
        return evidence.log.memory.utilization if evidence.log else None

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Raise the budget by what is missing for one request of full length; else fewer bytes of weights."""
        fixes = self._larger_budget(evidence)
        if fixes is None:
            return smaller_weights(evidence)
        fixes += change(
            evidence,
            "max_num_batched_tokens",
            "lower",
            "a smaller profiling run leaves more for the KV cache",
        )
        if not evidence.settings.is_true("enforce_eager") and evidence.engine in ("", "vllm"):
            fixes += change(evidence, "enforce_eager", True, "no memory for CUDA graphs", "slower decode: a stopgap")
        fixes += split_wider(evidence, "half of the weights on each GPU")
        return fixes

    def _larger_budget(self, evidence: Evidence) -> list[Fix] | None:
        """A larger share of the card; None where what is missing is known and no share gives it."""
        utilization, total = self._utilization(evidence), evidence.gpu_total_gib
        memory = evidence.log.memory if evidence.log else None
        available = memory.kv_gib if memory else None
        name = spelling(evidence, "gpu_memory_utilization")
        if name is None:
            return []
        if utilization and total and available is not None and available <= 0:
            want = one_request_gib(evidence)
            deficit = -available + (want or 1.0)
            free = memory.free_gib * GIB if memory and memory.free_gib else None
            needed = utilization_needed(total * GIB, utilization, deficit * GIB, free)
            if needed is None:
                return None
            goal = f"one request of full length ({want:.2f} GiB)" if want else "1 GiB of KV cache"
            why = f"{-available:.2f} GiB are missing, plus {goal}: {deficit:.2f} GiB of {total:.1f} GiB"
            effect = "the least that starts; up to 0.9 where nothing else uses the card gives room for more requests"
            return [Fix(name, utilization, needed, why, effect)]
        ceiling = 0.95 if (utilization or 0) < 0.9 else None
        if ceiling is None and utilization is not None:
            return []
        return [
            Fix(
                name,
                utilization,
                ceiling or "higher, up to 0.95",
                "MORE of the card for the engine, if nothing else uses it",
                "a lower value makes this worse",
            )
        ]


def one_request_gib(evidence: Evidence) -> float | None:
    """KV cache of one request of full length, on one GPU, in GiB; None where model or length is unknown."""
    if evidence.shape is None or evidence.log is None:
        return None
    length = evidence.settings.number("max_model_len")
    printed = evidence.log.last("max_model_len")
    tokens = length or (printed.number("value") if printed else None)
    if not tokens:
        return None
    try:
        kv_dtype = str(evidence.settings.get("kv_cache_dtype") or "auto")
        return request_kv_bytes(evidence.shape, int(tokens), kv_dtype, evidence.tensor_parallel) / GIB
    except ValueError:
        return None
