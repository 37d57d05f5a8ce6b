"""`ttft_multimodal_preprocessing`: images, video or audio are prepared slowly on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event


class MultimodalPreprocessing(SignatureCause):
    """Images, video or audio are processed slowly on the CPU."""

    id = "ttft_multimodal_preprocessing"
    family = "ttft"
    title = "Images, video or audio are prepared slowly on the CPU"
    signatures = ("multimodal_slow",)
    severity = Severity.WARNING
    confidence = 0.75

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Notices of the start are none."""
        return event.level not in ("DEBUG",)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return "Multi-modal inputs are decoded and resized on the CPU before the prefill can begin."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Less work, or more hands."""
        return [
            Fix(
                "--mm-processor-kwargs",
                evidence.settings.get("mm_processor_kwargs"),
                '{"max_pixels": ...} lower',
                "smaller images are processed faster and make fewer tokens",
            ),
            Fix(
                "--api-server-count",
                evidence.settings.get("api_server_count"),
                2,
                "preprocessing runs in the API server processes",
            ),
        ]
