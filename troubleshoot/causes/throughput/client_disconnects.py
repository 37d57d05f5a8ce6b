"""`thr_client_disconnects`: clients give up before their answer is complete; the work done for them is lost."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.serving import Serving


class ClientDisconnects(Cause):
    """Clients give up before their answer is complete."""

    id = "thr_client_disconnects"
    family = "throughput"
    title = "Clients give up before their answer is complete; the work done for them is lost"
    needs = ("metrics: two scrapes with request counters", "log: abort lines")

    def judge(self, evidence: Evidence) -> Judgement:
        """Aborts where they are counted; else first tokens against finished requests (vLLM 0.32 counts no abort)."""
        serving = evidence.serving
        if serving and serving.timeline:
            judged = self._by_counters(evidence, serving)
            if judged is not None:
                return judged
        log = evidence.log
        closed = [e for e in log.all("http_4xx") if e.fields.get("status") == "499"] if log else []
        if log and len(closed) >= 3:
            return self._holds(
                evidence,
                0.8,
                f"At least {len(closed)} requests were closed by the client before the answer (status 499 of the proxy).",
                [evidence.quote(e) for e in closed[:3]],
            )
        gone = log.count("client_gone") - log.count("context_length_error") if log else 0
        if log and gone >= 3 and not log.has("engine_dead_consequence", "engine_process_died", "shutdown"):
            finished = log.count("request_finished")
            if finished and gone < 0.2 * (gone + finished):
                return self.ruled_out(f"{gone} requests were aborted, {finished} finished")
            return self._holds(
                evidence,
                0.7,
                f"{gone} requests were aborted by their clients in the log{f', {finished} finished' if finished else ''}.",
                [evidence.quote(e) for e in log.all("client_gone")[:3]],
            )
        if serving is None and log is None:
            return self.not_evaluated()
        return (
            self.ruled_out("requests that start also finish") if serving and serving.timeline else self.not_evaluated()
        )

    def _by_counters(self, evidence: Evidence, serving: Serving) -> Judgement | None:
        finished = serving.increase("llm_requests_total")
        aborted = serving.increase("llm_requests_total", reason="abort") or 0.0
        first = serving.histogram("llm_time_to_first_token_seconds")
        if finished is None:
            return None
        started = first.count if first else 0.0
        at_start = (
            serving.timeline.points("llm_requests_running", sum, (0.0, serving.window[0])) if serving.timeline else []
        )
        last = serving.moments[-1]
        in_flight = (last.running or 0.0) + (last.waiting or 0.0) - (at_start[-1][1] if at_start else 0.0)
        vanished = max(0.0, started - finished - max(0.0, in_flight)) if finished else 0.0
        lost, total = aborted + vanished, finished + vanished
        if lost < max(5.0, 2 * (serving.running_max or 0.0) if not aborted else 5.0) or lost / total < 0.2:
            return (
                self.ruled_out(
                    f"{finished:.0f} of {max(started, finished):.0f} started requests finished, {aborted:.0f} aborted"
                )
                if finished
                else None
            )
        how = (
            f"{started:.0f} requests got a first token, {finished:.0f} finished, {aborted:.0f} of them aborted"
            if vanished
            else f"{aborted:.0f} of {finished:.0f} finished requests were aborted"
        )
        proof: list[EvidenceItem] = [evidence.metric("llm_requests_total", finished, "increase", "finished")]
        if first:
            proof.insert(0, evidence.metric("llm_time_to_first_token_seconds", first.count, "increase", "first tokens"))
        wasted = self._wasted(serving)
        text = f"In {serving.seconds:.0f} s {how}.{f' {wasted:.0%} of the generated tokens belong to requests that never finished.' if wasted else ''}"
        return self._holds(evidence, 0.92, text, proof)

    @staticmethod
    def _wasted(serving: Serving) -> float | None:
        made = serving.increase("llm_generation_tokens_total")
        kept = serving.histogram("llm_request_generation_tokens")
        return max(0.0, 1 - kept.total / made) if made and kept else None

    def _holds(self, evidence: Evidence, sure: float, text: str, proof: list[EvidenceItem]) -> Judgement:
        duration = evidence.serving.mean_of("llm_request_duration_seconds") if evidence.serving else None
        return self.finding(
            Severity.WARNING,
            sure,
            text,
            proof,
            [
                Fix(
                    "client and proxy timeouts",
                    None,
                    "above the end-to-end latency of the longest answers",
                    f"finished requests took {duration:.1f} s on average"
                    if duration
                    else "a load balancer's idle timeout is the usual one",
                ),
                Fix("max_tokens of requests", None, "lower", "shorter answers end before the timeout"),
            ],
        )
