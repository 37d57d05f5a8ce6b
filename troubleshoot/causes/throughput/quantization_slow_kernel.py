"""`thr_quantization_slow_kernel`: quantised weights run on a slow, generic kernel."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import current
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event


class QuantizationSlowKernel(SignatureCause):
    """A generic or emulated kernel for quantised weights."""

    id = "thr_quantization_slow_kernel"
    family = "throughput"
    title = "Quantised weights run on a slow, generic kernel"
    signatures = ("slow_quantization",)
    severity = Severity.WARNING
    confidence = 0.85

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if "native support" in text:
            return "The GPU computes this format only after unpacking it: memory is saved, time is not."
        return "The engine says that the kernel chosen for these quantised weights is not an optimised one."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Let the engine choose."""
        text = " ".join(event.message for event in events)
        method = str(
            current(evidence, "quantization")
            or ("awq" if "awq" in text.lower() else "gptq" if "gptq" in text.lower() else "")
        )
        if method in ("awq", "gptq"):
            return [
                Fix(
                    "--quantization",
                    method,
                    f"remove, or {method}_marlin",
                    "the engine then converts to the fast kernel by itself",
                )
            ]
        return [
            Fix(
                "checkpoint",
                None,
                "a format with native kernels on this GPU (FP8 from compute capability 8.9, AWQ or GPTQ with Marlin from 8.0)",
                "see the message",
            )
        ]
