"""`oom_lora`: the buffers of LoRA adapters exceed GPU memory."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.oom.stage import Stage
from troubleshoot.causes.oom.staged import StagedOom, figures
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class Lora(StagedOom):
    """Buffers of LoRA adapters exceed memory."""

    id = "oom_lora"
    family = "oom"
    title = "The buffers of LoRA adapters exceed GPU memory"
    stages = frozenset({Stage.LORA})

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return f"Memory ran out where the adapters' buffers are made{figures(events)}. They are reserved for max_loras x max_lora_rank in every layer, used or not."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Fewer and thinner adapters."""
        loras, rank = current(evidence, "max_loras"), current(evidence, "max_lora_rank")
        if evidence.engine == "sglang":
            return [Fix("--max-loras-per-batch", None, "lower", "adapters held at once")]
        return [
            *change(
                evidence,
                "max_loras",
                max(1, int(loras) // 2) if isinstance(loras, int) else "lower",
                "adapters held on the GPU at once",
            ),
            *change(
                evidence,
                "max_lora_rank",
                max(8, int(rank) // 2) if isinstance(rank, int) else "the largest rank in use",
                "buffers grow with the rank",
            ),
        ]
