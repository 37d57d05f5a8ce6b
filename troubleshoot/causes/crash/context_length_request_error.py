"""`crash_context_length_request_error`: requests are longer than the model's context and are refused."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import UNNAMED_EXCEPTION
from troubleshoot.causes.base import Judgement, SignatureCause, times
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Finding, Fix, Severity
from troubleshoot.logs.events import Event


class ContextLengthRequestError(SignatureCause):
    """Requests longer than the context are refused; the server goes on."""

    id = "crash_context_length_request_error"
    family = "crash"
    title = "Requests are longer than the model's context and are refused"
    signatures = ("context_length_error",)
    severity = Severity.WARNING
    min_refused = 5
    min_refused_share = 0.02
    confidence = 0.9
    consequences = UNNAMED_EXCEPTION | {
        "crash_backend_request_error",
        "thr_client_disconnects",
        "thr_requests_rejected_queue_full",
    }

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A notice of a tokenizer or of the start is none."""
        return "Token indices sequence length" not in event.message or event.level not in ("WARNING", "")

    def judge(self, evidence: Evidence) -> Judgement:
        """By the message; where the server sends it to the client alone (vLLM 0.24 and later), by answers of 400."""
        judged = super().judge(evidence)
        log = evidence.log
        if isinstance(judged, Finding) or log is None:
            return judged
        refused = [
            e
            for e in log.all("http_4xx")
            if e.fields.get("status") in ("400", "413", "422") and e.fields.get("method") == "POST"
        ]
        if len(refused) < self.min_refused or log.count("http_4xx") < self.min_refused_share * log.count(
            "served_request"
        ):
            return judged
        return self.finding(
            Severity.WARNING,
            0.6,
            f"At least {len(refused)} requests were answered {refused[-1].fields['status']}. The reason went to the client alone; a prompt with max_tokens beyond the context is the usual one.",
            [evidence.quote(event) for event in (refused[0], refused[-1])],
            self.fixes([], evidence),
            title="Requests are refused with status 400, most likely because they exceed the model's context",
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        number = evidence.log.count(*self.signatures) if evidence.log else len(events)
        limit, longest = (
            self._limit(events),
            max(
                (v for e in events for n in ("requested", "prompt", "prompt2") if (v := e.number(n)) is not None),
                default=None,
            ),
        )
        size = (
            f" The limit is {limit:.0f} tokens" + (f", the longest seen asked for {longest:.0f}." if longest else ".")
            if limit
            else ""
        )
        return f"Refused {times(number)} with status 400; the server itself is well.{size}"

    @staticmethod
    def _limit(events: Sequence[Event]) -> float | None:
        return next(
            (value for event in events for name in ("limit", "limit2") if (value := event.number(name)) is not None),
            None,
        )

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Shorter requests, or a longer context where memory allows."""
        limit = self._limit(events)
        fixes = [
            Fix(
                "client",
                None,
                "truncate prompts, or lower max_tokens",
                f"prompt + max_tokens must stay within {limit:.0f}"
                if limit
                else "prompt + max_tokens must fit the context",
            )
        ]
        slots = evidence.settings.number("parallel")
        if evidence.engine == "llamacpp":
            slots_event = evidence.log.last("llamacpp_slots") if evidence.log else None
            number = slots_event.number("slots") if slots_event else slots
            per_slot = (
                f"each of {number:.0f} slots gets --ctx-size / {number:.0f}"
                if number
                else "each slot gets --ctx-size / --parallel"
            )
            total = int(limit * number * 2) if limit and number else "higher"
            return [
                *fixes,
                Fix(
                    "--ctx-size",
                    int(limit * number) if limit and number else None,
                    total,
                    per_slot,
                    "more KV memory",
                ),
            ]
        return fixes + change(
            evidence,
            "max_model_len",
            "higher, if the model and the KV cache allow it",
            "the limit in the message",
            "",
            int(limit) if limit else None,
        )
