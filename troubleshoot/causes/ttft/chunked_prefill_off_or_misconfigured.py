"""`ttft_chunked_prefill_off_or_misconfigured`: chunked prefill is off or its token budget contradicts the context length."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event


class ChunkedPrefill(SignatureCause):
    """Chunked prefill is off, or its budget does not fit the context."""

    id = "ttft_chunked_prefill_off_or_misconfigured"
    family = "ttft"
    title = "Chunked prefill is off or its token budget contradicts the context length"
    signatures = ("batch_budget_below_context", "chunked_prefill_off")
    consequences = frozenset({"crash_unrecognised_exception", "crash_model_config_or_tokenizer", "ttft_long_prefill"})
    confidence = 0.93

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A dump of settings is judged through the settings."""
        return event.signature == "batch_budget_below_context" or "config:" not in event.message

    def weigh(self, events: Sequence[Event], evidence: Evidence) -> tuple[Severity, float]:
        """A contradiction stops the start; being off is only a choice until someone misses the first token."""
        if any(event.signature == "batch_budget_below_context" for event in events):
            return super().weigh(events, evidence)
        return (Severity.WARNING if evidence.symptom == "ttft" else Severity.INFO), 0.6

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        budget, max_len = self._figures(events)
        if budget and max_len:
            return f"Without chunking a step must hold a whole prompt: the budget is {budget:.0f} tokens, the context {max_len:.0f}."
        return "Without chunking a long prompt occupies a step alone while all others wait."

    @staticmethod
    def _figures(events: Sequence[Event]) -> tuple[float | None, float | None]:
        for event in events:
            if event.number("budget") is not None:
                return event.number("budget"), event.number("max_len")
        return None, None

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Leave it on; or a budget as large as the context."""
        budget, max_len = self._figures(events)
        fixes = [
            Fix(
                "--enable-chunked-prefill",
                evidence.settings.get("enable_chunked_prefill"),
                True,
                "then the budget may be smaller than the context",
            )
        ]
        if budget and max_len:
            fixes += change(
                evidence,
                "max_num_batched_tokens",
                int(max_len),
                "at least the context length while chunking is off",
                "",
                int(budget),
            )
            fixes += change(
                evidence,
                "max_model_len",
                int(budget),
                "or a context no longer than the budget",
                "",
                int(max_len),
            )
        return fixes
