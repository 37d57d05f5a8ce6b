"""`oom_multimodal_encoder`: the image, video or audio encoder exceeds GPU memory."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.oom.stage import Stage
from troubleshoot.causes.oom.staged import StagedOom, figures
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class MultimodalEncoder(StagedOom):
    """The encoder of images, video or audio exceeds memory."""

    id = "oom_multimodal_encoder"
    family = "oom"
    title = "The image, video or audio encoder exceeds GPU memory"
    stages = frozenset({Stage.MULTIMODAL})

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return f"The error stands inside the multi-modal encoder{figures(events)}. It is sized for the largest input allowed."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Fewer and smaller inputs."""
        if evidence.engine not in ("", "vllm"):
            return change(evidence, "max_num_batched_tokens", "lower", "smaller encoder batches")
        return [
            Fix(
                "--limit-mm-per-prompt",
                current(evidence, "limit_mm_per_prompt"),
                '{"image": 1, "video": 0}',
                "the encoder is profiled for as many inputs as this allows",
            ),
            Fix("--mm-processor-kwargs", None, '{"max_pixels": ...}', "fewer pixels are fewer encoder tokens"),
            *change(evidence, "max_num_batched_tokens", "lower", "bounds the encoder's batch"),
        ]
