"""Weights against the GPU's memory: whether they can fit at all, and what makes them smaller."""

from __future__ import annotations

from troubleshoot.causes.advice import change, current, split_wider
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix

MAX_SENSIBLE_UTILIZATION = 0.98


def weights_exceed_card(evidence: Evidence) -> bool:
    """True where weights and card are known and no `--gpu-memory-utilization` makes room."""
    weights, total = evidence.weights_gib, evidence.gpu_total_gib
    return weights is not None and total is not None and weights > MAX_SENSIBLE_UTILIZATION * total


def smaller_weights(evidence: Evidence) -> list[Fix]:
    """More GPUs, or fewer bytes a weight."""
    fixes = []
    if not current(evidence, "quantization"):
        fixes += change(
            evidence,
            "quantization",
            "a quantised checkpoint (fp8 or awq)",
            "fp8 halves the weights, 4 bits quarter them",
            "the context length does not matter here",
        )
    fixes += split_wider(evidence, "weights are split over the GPUs")
    if evidence.engine in ("", "vllm"):
        fixes.append(
            Fix(
                "--cpu-offload-gb",
                None,
                "GiB to keep in host memory",
                "last resort: every step reads them over PCIe",
                "slow",
            )
        )
    if evidence.engine == "llamacpp":
        fixes.append(Fix("--n-gpu-layers", None, "fewer layers", "the rest runs on the CPU"))
    return fixes
