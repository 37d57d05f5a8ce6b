"""`crash_unsupported_arch_or_dtype`: GPU, number format or model architecture is not supported by this build."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import CUDA_FAULT, ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class UnsupportedArchOrDtype(SignatureCause):
    """This build does not support the GPU, the number format or the model's architecture."""

    id = "crash_unsupported_arch_or_dtype"
    family = "crash"
    title = "This build supports neither this GPU, number format nor model architecture as configured"
    signatures = ("unsupported_hardware",)
    consequences = ENGINE_DEATH | CUDA_FAULT | {"crash_model_config_or_tokenizer"}
    confidence = 0.9

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A notice that falls back to something else is no failure."""
        if event.level in ("INFO", "DEBUG"):
            return False
        if re.search(
            r"[Ff]all(?:ing)? ?back|[Uu]sing \S+ instead|will be used instead|disabl(?:ed|ing)|skipping",
            event.message,
        ):
            return False
        return event.level != "WARNING" or bool(
            evidence.log and not evidence.log.served_after(event) and evidence.log.has("engine_dead_consequence")
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if "no kernel image" in text or "sm_" in text.lower() or "PTXAS" in text:
            return "The build holds no kernels for this GPU's compute capability."
        if re.search(r"[Bb]float16|bf16|dtype|float8|fp8|FP8", text):
            return "The GPU does not support the number format asked for."
        if re.search(r"[Mm]odel architectures?|model architecture|Unsupported (?:model|architecture)", text):
            return "This version does not know the model's architecture."
        return "A kernel or method that was asked for does not support this GPU."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Another format, method or build."""
        text = " ".join(event.message for event in events)
        fixes: list[Fix] = []
        if re.search(r"[Bb]float16|bf16", text):
            fixes += change(evidence, "dtype", "half", "float16 works on GPUs before compute capability 8.0")
        if re.search(r"quantiz|fp8|FP8|nvfp4|marlin|awq|gptq", text):
            fixes += change(
                evidence,
                "quantization",
                "a method that this GPU supports",
                "see the minimum capability in the message",
            )
        fixes.append(
            Fix(
                "engine version",
                evidence.version or None,
                "newer, or built for this GPU",
                "new GPUs and models need new builds",
            )
        )
        return fixes
