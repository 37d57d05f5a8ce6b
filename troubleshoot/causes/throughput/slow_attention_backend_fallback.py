"""`thr_slow_attention_backend_fallback`: a slower attention backend was selected."""

from __future__ import annotations

from troubleshoot.causes.advice import current
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity


class SlowAttentionBackend(Cause):
    """A slower attention kernel was selected."""

    id = "thr_slow_attention_backend_fallback"
    family = "throughput"
    title = "A slower attention backend was selected"
    needs = ("log: start-up lines",)

    def judge(self, evidence: Evidence) -> Judgement:
        """A missing package can be installed; an old GPU cannot be helped and is only noted."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        missing = [
            e for e in log.all("fast_kernel_missing") if "sampling" not in e.message and "top-p" not in e.message
        ]
        hardware = log.all("attention_hardware_fallback")
        if missing:
            return self.finding(
                Severity.WARNING,
                0.75,
                "The engine could not use its fast attention kernels and fell back to slower ones.",
                [evidence.quote(e) for e in missing[:2]],
                [
                    Fix(
                        "package named in the message",
                        "missing",
                        "install (FlashAttention or FlashInfer)",
                        "then the fast backend is chosen by itself",
                    ),
                    Fix(
                        "--attention-backend",
                        current(evidence, "attention_backend"),
                        "the fast one, by name",
                        "the start then fails loudly if it cannot be used",
                    ),
                ],
            )
        if hardware:
            severity = Severity.WARNING if evidence.symptom == "throughput" else Severity.INFO
            return self.finding(
                severity,
                0.5,
                "This GPU does not support FlashAttention 2; another backend is used. That is normal on it, and slower for long contexts.",
                [evidence.quote(e) for e in hardware[:2]],
                [Fix("GPU", None, "compute capability 8.0 or newer", "where long contexts are too slow")],
            )
        return self.ruled_out("no fallback in the log") if log.begins_at_start else self.not_evaluated()
