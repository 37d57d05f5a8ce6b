"""How much KV cache a request takes, and which settings give more of it."""

from __future__ import annotations

from troubleshoot.capacity import mean_resident_tokens, safe_max_num_seqs
from troubleshoot.causes.advice import change, current, split_wider
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix


def tokens_a_request(evidence: Evidence) -> float | None:
    """Mean KV tokens that a running request holds; None where lengths are unknown."""
    serving = evidence.serving
    prompt, output = (serving.mean_prompt_tokens, serving.mean_generation_tokens) if serving else (None, None)
    if prompt is None or output is None:
        return None
    return mean_resident_tokens(prompt, output) or None


def kv_fixes(evidence: Evidence) -> list[Fix]:
    """More KV cache: undo an override, raise the memory share, halve the bytes, more GPUs."""
    override = evidence.settings.number("num_gpu_blocks_override")
    fixes = [_without_override(evidence, int(override))] if override else []
    fixes += _fewer_sequences(evidence)
    if not override:
        fixes += _larger_share(evidence)
    if not str(current(evidence, "kv_cache_dtype") or "").startswith("fp8") and not evidence.on_cpu:
        fixes += change(evidence, "kv_cache_dtype", "fp8", "about twice the tokens in the same memory")
    if not override and not evidence.on_cpu:
        fixes += split_wider(evidence, "more memory beside the weights, or add replicas")
    return fixes


def _without_override(evidence: Evidence, blocks: int) -> Fix:
    memory = evidence.log.memory if evidence.log else None
    profiled = memory.kv_tokens_profiled if memory else None
    effect = (
        f"the GPU holds {profiled:,} tokens".replace(",", " ") if profiled else "the engine then uses what it measured"
    )
    return Fix(
        "--num-gpu-blocks-override",
        blocks,
        "remove",
        f"it limits the KV cache to {evidence.kv_capacity_tokens or blocks * 16} tokens",
        effect,
    )


def _fewer_sequences(evidence: Evidence) -> list[Fix]:
    """As many as the KV cache holds by the lengths of requests; where these are unknown, as many as ran."""
    per_request, capacity = tokens_a_request(evidence), evidence.kv_capacity_tokens
    seqs = current(evidence, "max_num_seqs")
    if per_request and capacity:
        safe = safe_max_num_seqs(capacity, per_request)
        if isinstance(seqs, int) and safe >= seqs:
            return []
        running = evidence.serving.running_max if evidence.serving else None
        return change(
            evidence,
            "max_num_seqs",
            safe,
            f"{capacity} tokens / {per_request:.0f} mean tokens a request",
            f"requests queue instead of being preempted (up to {running:.0f} ran at once)"
            if running
            else "requests queue instead of being preempted",
        )
    if evidence.serving and evidence.serving.running_mean:
        return change(
            evidence,
            "max_num_seqs",
            max(1, int(evidence.serving.running_mean)),
            "what ran on average with the cache full",
            "requests queue instead of being preempted",
        )
    return []


def _larger_share(evidence: Evidence) -> list[Fix]:
    utilization = current(evidence, "gpu_memory_utilization")
    if isinstance(utilization, int | float) and utilization >= 0.9:
        return []
    return change(
        evidence,
        "gpu_memory_utilization",
        0.95 if isinstance(utilization, int | float) else "higher, up to 0.95",
        "MORE KV cache, if the card is free",
    )
