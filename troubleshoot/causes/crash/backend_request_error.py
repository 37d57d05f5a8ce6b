"""`crash_backend_request_error`: the model's code or the request handler fails for some requests."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.aftermath import UNNAMED_EXCEPTION
from troubleshoot.causes.base import Judgement, SignatureCause, times
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Finding, Fix, Severity
from troubleshoot.logs.events import Event


class BackendRequestError(SignatureCause):
    """The model's own code fails for some requests; the server goes on."""

    id = "crash_backend_request_error"
    family = "crash"
    title = "The model's code or the request handler fails for some requests; the server goes on"
    signatures = ("backend_request_error",)
    min_failed = 3
    min_share = 0.05
    severity = Severity.WARNING
    consequences = UNNAMED_EXCEPTION
    confidence = 0.8

    def judge(self, evidence: Evidence) -> Judgement:
        """By the log's lines; by the counter of failed requests where the server only counts them."""
        judged = super().judge(evidence)
        timeline = evidence.metrics.timeline if evidence.metrics else None
        if isinstance(judged, Finding) or timeline is None or timeline.window is None:
            return judged
        failed = timeline.increase("llm_requests_total", timeline.window, reason="error") or 0.0
        failed -= timeline.increase("llm_requests_rejected_total", timeline.window) or 0.0
        finished = timeline.increase("llm_requests_total", timeline.window) or 0.0
        if failed < self.min_failed or failed < self.min_share * finished:
            return judged
        return self.finding(
            Severity.CRITICAL if failed >= 0.5 * finished else Severity.WARNING,
            0.75,
            f"{failed:.0f} of {finished:.0f} requests failed inside the server, which goes on answering.",
            [evidence.metric("llm_requests_total", failed, "increase", "failed")],
            self.fixes([], evidence),
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        number = evidence.log.count(*self.signatures) if evidence.log else len(events)
        return f"Requests failed inside the server {times(number)}; others are still answered. Triton's python backend counts such requests as successes."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """In the code."""
        return [
            Fix(
                "model code or request",
                None,
                "reproduce the first failing request, then fix the code or refuse such input at the edge",
                "engine flags do not help",
            )
        ]
