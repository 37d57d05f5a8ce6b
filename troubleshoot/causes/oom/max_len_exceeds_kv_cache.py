"""`oom_max_len_exceeds_kv_cache`: the KV cache cannot hold one request of the configured context length."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.capacity import GIB, utilization_needed
from troubleshoot.causes.advice import change, current, spelling, split_wider
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class MaxLenExceedsKvCache(SignatureCause):
    """The KV cache has room, but not for one request of the configured length."""

    id = "oom_max_len_exceeds_kv_cache"
    family = "oom"
    title = "The KV cache cannot hold one request of the configured context length"
    signatures = ("kv_below_one_request",)
    consequences = ENGINE_DEATH | {
        "oom_kv_cache_no_blocks",
        "oom_weights_do_not_fit",
        "oom_runtime_kv_pressure_or_fragmentation",
        "crash_model_config_or_tokenizer",
    }
    confidence = 0.96

    def _figures(self, events: Sequence[Event]) -> dict[str, float]:
        names = ("max_len", "needed", "available", "tokens", "estimate")
        return {name: value for event in events for name in names if (value := event.number(name)) is not None}

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        found = self._figures(events)
        if "needed" in found and "available" in found:
            return f"One request of {found.get('max_len', 0):.0f} tokens needs {found['needed']:.2f} GiB of KV cache, {found['available']:.2f} GiB are there."
        if "tokens" in found:
            return f"The context is {found.get('max_len', 0):.0f} tokens, the KV cache holds {found['tokens']:.0f}."
        return "The memory left after the weights does not hold the KV cache of one request at this context length."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """The engine's own estimate of the longest context, else the same by proportion; or more memory."""
        found = self._figures(events)
        length = found.get("max_len") or evidence.settings.number("max_model_len")
        before = int(length) if length else None
        fits = longest_fitting(found)
        fixes = change(
            evidence,
            "max_model_len",
            fits or "shorter",
            "the longest context that the KV cache holds" if fits else "a shorter context needs less KV cache",
            "longer requests are refused",
            before,
        )
        utilization, total = current(evidence, "gpu_memory_utilization"), evidence.gpu_total_gib
        name = spelling(evidence, "gpu_memory_utilization")
        if name and "needed" in found and isinstance(utilization, int | float) and total:
            missing = found["needed"] - found["available"]
            needed = utilization_needed(total * GIB, float(utilization), missing * GIB)
            if needed is not None:
                fixes.append(
                    Fix(
                        name,
                        utilization,
                        needed,
                        f"{missing:.2f} GiB more for the KV cache",
                        "keeps the context length; the card must be free",
                    )
                )
        elif name and (not isinstance(utilization, int | float) or utilization < 0.95):
            fixes.append(Fix(name, utilization, 0.95, "MORE of the card for the engine, if nothing else uses it"))
        if "needed" in found and found["available"] >= found["needed"] / 2 and not current(evidence, "kv_cache_dtype"):
            fixes += change(evidence, "kv_cache_dtype", "fp8", "halves the KV cache of a request")
        fixes += split_wider(evidence, "weights and KV heads split over more GPUs")
        return fixes


def longest_fitting(found: dict[str, float]) -> int | None:
    """Tokens that fit: the engine's estimate, the cache's size, or needed and available by proportion in blocks."""
    if "estimate" in found:
        return int(found["estimate"])
    if "tokens" in found:
        return int(found["tokens"])
    if {"max_len", "needed", "available"} <= found.keys() and found["needed"] > 0 and found["available"] > 0:
        return int(found["max_len"] * found["available"] / found["needed"] / 16) * 16 or None
    return None
