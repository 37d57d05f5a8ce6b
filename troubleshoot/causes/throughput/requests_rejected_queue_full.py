"""`thr_requests_rejected_queue_full`: requests are refused: the server's queue limit or queue timeout is reached."""

from __future__ import annotations

import re

from troubleshoot.causes.advice import change
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.logs.events import Event


class RequestsRejected(Cause):
    """Requests are refused because a queue limit is reached."""

    id = "thr_requests_rejected_queue_full"
    family = "throughput"
    title = "Requests are refused: the server's queue limit or queue timeout is reached"
    needs = ("log: engine output", "metrics: two scrapes with rejection counters")
    consequences = frozenset({"ttft_queueing", "crash_backend_request_error", "thr_small_batch_or_max_num_seqs"})

    def judge(self, evidence: Evidence) -> Judgement:
        """By the counter and by the lines: Triton counts only timeouts and logs only the full queue."""
        counted = self._counted(evidence)
        events = self._events(evidence)
        logged = self._logged(evidence, events)
        if not counted and not logged:
            if evidence.log is None and (evidence.metrics is None or counted is None):
                return self.not_evaluated()
            return self.ruled_out("no request was refused")
        proof: list[EvidenceItem] = (
            [evidence.metric("llm_requests_rejected_total", counted, "increase")] if counted else []
        )
        proof += [evidence.quote(event) for event in events[:2]]
        parts = []
        if logged:
            parts.append(f"{logged:,} refused in the log".replace(",", " "))
        if counted:
            parts.append(f"{counted:.0f} counted in the window")
        limits = self._limits(evidence)
        return self.finding(
            Severity.CRITICAL if logged + (counted or 0) >= 20 else Severity.WARNING,
            0.93 if events or counted else 0.7,
            f"{' and '.join(parts)}: more arrives than the queue may hold{f' ({limits})' if limits else ''}.",
            proof,
            self._fixes(evidence),
        )

    @staticmethod
    def _counted(evidence: Evidence) -> float | None:
        metrics = evidence.metrics
        if metrics is None or metrics.timeline.window is None:
            return None
        return metrics.timeline.increase("llm_requests_rejected_total", metrics.timeline.window)

    @staticmethod
    def _events(evidence: Evidence) -> list[Event]:
        if evidence.log is None:
            return []
        own = [
            e
            for e in evidence.log.all("request_rejected")
            if not re.search(r"huggingface|hf\.co|hub", e.message, re.IGNORECASE)
        ]
        access = [
            e
            for e in evidence.log.all("http_429_503")
            if e.fields.get("method", "POST") == "POST"
            and not re.search(r"/health|/ready|/live|/metrics|/ping", e.fields.get("path", ""))
        ]
        return [*own, *access]

    @staticmethod
    def _logged(evidence: Evidence, events: list[Event]) -> int:
        log = evidence.log
        if log is None or not events:
            return 0
        kept = {"request_rejected", "http_429_503"} & {event.signature for event in events}
        return max(log.count(name) for name in kept)

    @staticmethod
    def _limits(evidence: Evidence) -> str:
        if evidence.log is None:
            return ""
        values = [
            *(
                f"max_queue_size {e.fields['size']}"
                for e in evidence.log.all("triton_queue_limit")
                if e.fields.get("size")
            ),
            *(
                f"queue timeout {int(e.fields['timeout']) / 1e6:g} s"
                for e in evidence.log.all("triton_queue_limit")
                if e.fields.get("timeout")
            ),
        ]
        return ", ".join(dict.fromkeys(values))

    def _fixes(self, evidence: Evidence) -> list[Fix]:
        return [
            Fix(
                "replicas",
                None,
                "more, or more instances of the model",
                "the queue is full because work arrives faster than it is done",
            ),
            *self._limit_fixes(evidence),
            Fix(
                "clients",
                None,
                "retry with exponential back-off and jitter",
                "at once repeated, refused requests keep the queue full",
            ),
        ]

    @staticmethod
    def _limit_fixes(evidence: Evidence) -> list[Fix]:
        """The engine's own limit of its queue."""
        to, why = "higher only within the latency objective", "a longer queue trades refusals for waiting"
        if evidence.engine == "triton":
            return [
                Fix(
                    "config.pbtxt: instance_group count",
                    None,
                    "higher, where the device has room",
                    "more batches at once",
                ),
                Fix("config.pbtxt: max_queue_size", None, to, why),
            ]
        if evidence.engine in ("", "vllm"):
            return change(evidence, "max_num_queued_reqs", to, why)
        if evidence.engine == "tgi":
            before = evidence.settings.get("max_concurrent_requests")
            return [Fix("--max-concurrent-requests", before, to, "requests beyond it are answered 429")]
        if evidence.engine == "sglang":
            return [Fix("--max-queued-requests", None, to, "requests beyond it are refused")]
        return []
