"""`thr_guided_decoding`: structured output is slow: schema compilation or token masking dominates."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.base import Judgement, SignatureCause
from troubleshoot.causes.waiting import mostly_deferred
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.serving import Serving


def waits_deferred(serving: Serving) -> float:
    """Mean number of deferred requests."""
    if serving.timeline is None:
        values = [moment.deferred or 0.0 for moment in serving.moments]
    else:
        values = serving.timeline.values("llm_requests_waiting_by_reason", sum, serving.window, reason="deferred")
    return sum(values) / max(len(values), 1)


class GuidedDecoding(SignatureCause):
    """Compiling schemas or masking tokens dominates.

    Named by the log; or by requests that wait although there is room for them: vLLM counts those that wait for a
    compiled schema as deferred.
    """

    id = "thr_guided_decoding"
    family = "throughput"
    title = "Structured output is slow: schema compilation or token masking dominates"
    signatures = ("guided_decoding_slow",)
    severity = Severity.WARNING
    confidence = 0.75
    consequences = frozenset({"ttft_queueing"})

    def judge(self, evidence: Evidence) -> Judgement:
        """See the class."""
        serving = evidence.serving
        other_reason = evidence.settings.get("kv_transfer_config") or evidence.settings.is_true("enable_lora")
        if serving and not other_reason and mostly_deferred(serving) and waits_deferred(serving) >= 1:
            mean = waits_deferred(serving)
            text = f"{mean:.1f} requests wait on average although there is room for them (deferred): they wait for their schema to be compiled. {serving.running_mean or 0:.0f} run meanwhile."
            return self.finding(
                Severity.WARNING,
                0.75,
                text,
                [evidence.metric("llm_requests_waiting_by_reason", round(mean, 1), "requests", "deferred, mean")],
                self.fixes([], evidence),
            )
        return super().judge(evidence)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return "A schema is compiled before its first token, and masks are made for each step; the backend in use is slow for these schemas or falls back."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """The fast backend, simpler schemas."""
        fixes: list[Fix] = []
        if evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--structured-outputs-config.backend",
                    None,
                    "xgrammar",
                    "the fastest for JSON schemas that it supports",
                )
            )
        elif evidence.engine == "sglang":
            fixes.append(Fix("--grammar-backend", None, "xgrammar", "the fastest for JSON schemas that it supports"))
        return [
            *fixes,
            Fix(
                "schemas",
                None,
                "fewer, simpler, the same text each time",
                "compiled schemas are cached by their text",
            ),
        ]
