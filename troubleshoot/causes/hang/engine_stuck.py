"""`hang_engine_stuck`: the engine is stuck: requests are held and no step is made."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, MetricEvidence, Severity
from troubleshoot.logs.events import Event
from troubleshoot.moments import longest_stall
from troubleshoot.serving import Serving

MIN_STALL_SECONDS = 8.0
"""No engine step in this time with work at hand is no long prefill: a step of 16 k tokens of a 70B model takes 2 to
3 s on one H100, and steps are counted."""
MIN_STALL_LOG_LINES = 2
COUNTS_AT_THE_END = frozenset({"sglang", "triton", "llamacpp", "kserve", "dynamo", "lmdeploy"})
"""Engines whose counters grow when a batch or a request ends: llama.cpp once a call of up to 2048 tokens."""
MIN_STALL_SECONDS_AT_THE_END = 60.0


class EngineStuck(Cause):
    """Requests run or wait, the endpoint answers, no step is made."""

    id = "hang_engine_stuck"
    family = "hang"
    title = "The engine is stuck: requests are held and no step is made"
    min_waiting_connections = 10
    needs = ("metrics: two scrapes", "log: statistics lines")
    consequences = frozenset(
        {
            "ttft_queueing",
            "thr_insufficient_load",
            "thr_client_disconnects",
            "thr_small_batch_or_max_num_seqs",
            "ttft_long_prefill",
            "ttft_decode_starvation",
            "crash_unrecognised_exception",
            "thr_requests_rejected_queue_full",
        }
    )

    def judge(self, evidence: Evidence) -> Judgement:
        """An idle engine is none: work must be at hand. A failing health check of the engine itself says it too."""
        said = (
            [event for event in evidence.log.all("engine_not_answering") if self._means_hang(event, evidence)]
            if evidence.log
            else []
        )
        for serving in (evidence.serving, evidence.log_serving):
            if serving and self._is_stuck(evidence, serving):
                return self._stuck(evidence, serving, said)
        if said:
            return self._reported(evidence, said)
        silent = self._silent_end(evidence)
        if silent is not None:
            return silent
        if evidence.serving is None:
            if evidence.metrics and len(evidence.metrics.timeline.scrape_times) > 1 and evidence.metrics.engine:
                return self.ruled_out("no request runs or waits: the engine is idle")
            return self.not_evaluated()
        return self.ruled_out("steps or tokens were counted whenever requests were at hand")

    def _is_stuck(self, evidence: Evidence, serving: Serving) -> bool:
        """Its stall is too long for any step, and in a log more than one line shows it."""
        stall = serving.stall
        if not stall or sum(moment.seconds for moment in stall) < self._least_seconds(evidence, serving):
            return False
        return serving.source == "metrics" or len(stall) >= MIN_STALL_LOG_LINES

    @staticmethod
    def _least_seconds(evidence: Evidence, serving: Serving) -> float:
        """How long without progress is a hang: engines that count only at the end of a batch or a request need longer,
        and longer than their own rhythm."""
        if evidence.engine not in COUNTS_AT_THE_END or serving.source == "log":
            return MIN_STALL_SECONDS
        stall = serving.stall
        others = [m for m in serving.all_moments if m not in stall]
        usual = sum(moment.seconds for moment in longest_stall(others))
        return max(MIN_STALL_SECONDS_AT_THE_END, 3 * usual)

    @staticmethod
    def _means_hang(event: Event, evidence: Evidence) -> bool:
        return not (evidence.log and evidence.log.served_after(event))

    def _stuck(self, evidence: Evidence, serving: Serving, said: list[Event]) -> Judgement:
        stall = serving.stall
        seconds = sum(moment.seconds for moment in stall)
        running, waiting = stall[-1].running or 0, stall[-1].waiting or 0
        end = stall[-1].end_seconds
        over = evidence.serving is not None and evidence.serving.all_moments[-1].end_seconds > end
        ended = " It went on afterwards." if over else ""
        return self.finding(
            Severity.CRITICAL,
            0.95 if serving.source == "metrics" else 0.88,
            f"For {seconds:.0f} s, with {running:.0f} requests running and {waiting:.0f} waiting, the engine counted no step and no token while the server went on answering.{ended}",
            [*self._stall_proof(evidence, serving), *(evidence.quote(event) for event in said[:2])],
            self._fixes(),
        )

    @staticmethod
    def _stall_proof(evidence: Evidence, serving: Serving) -> list[EvidenceItem]:
        """Counters that stay flat and the requests that run meanwhile; of a log, the lines without tokens."""
        proof: list[EvidenceItem] = []
        if serving.source == "metrics" and evidence.metrics:
            window = (serving.stall[0].start_seconds, serving.stall[-1].end_seconds)
            names = evidence.metrics.raw_names
            proof += [
                MetricEvidence(names.get(series, series), 0.0, "increase", window, "flat")
                for series in ("llm_engine_steps_total", "llm_generation_tokens_total")
                if evidence.metrics.timeline.has(series)
            ]
            proof.append(
                MetricEvidence(
                    names.get("llm_requests_running", "llm_requests_running"),
                    serving.stall[-1].running or 0,
                    "requests",
                    window,
                )
            )
        elif evidence.log:
            proof += [evidence.quote(line.event) for line in evidence.log.statistics if line.makes_no_tokens][:3]
        return proof

    def _silent_end(self, evidence: Evidence) -> Judgement | None:
        """Tokens stop under load while connections pile up.

        vLLM's front end refreshes its gauges only from engine output: when the engine stops between two requests
        they read 0 running for ever, and only the open connections show that clients wait.
        """
        metrics, serving = evidence.metrics, evidence.serving
        if metrics is None or serving is None or serving.source != "metrics" or not metrics.timeline.scrape_times:
            return None
        end = metrics.timeline.scrape_times[-1]
        quiet = end - max(moment.end_seconds for moment in serving.all_moments if moment.is_busy)
        open_files = metrics.timeline.points("process_open_fds", max, (end - quiet, end))
        if quiet < 2 * MIN_STALL_SECONDS or len(open_files) < 3:
            return None
        grown = open_files[-1][1] - open_files[0][1]
        if grown < self.min_waiting_connections:
            return None
        proof = [MetricEvidence("process_open_fds", grown, "increase", (end - quiet, end), "open connections")]
        text = f"No token for {quiet:.0f} s after a busy time, while {grown:.0f} more connections are open than before: clients wait for an engine that does nothing. Its gauges are stale: the front end sets them only when the engine answers."
        return self.finding(Severity.CRITICAL, 0.7, text, proof, self._fixes())

    def _reported(self, evidence: Evidence, said: list[Event]) -> Judgement:
        return self.finding(
            Severity.CRITICAL,
            0.75,
            "The front end waited for the engine in vain: it does not answer within its time limit.",
            [evidence.quote(event) for event in said[:3]],
            self._fixes(),
        )

    @staticmethod
    def _fixes() -> list[Fix]:
        return [
            Fix(
                "engine process",
                None,
                "py-spy dump --pid PID (of EngineCore and each worker), before any restart",
                "shows where it stands",
            ),
            Fix(
                "kernel log",
                None,
                "dmesg -T | grep -iE 'xid|hung'",
                "a GPU error stops an engine without a word",
            ),
            Fix(
                "liveness probe",
                "/health",
                "a probe that generates a token, or an alert on flat tokens with requests running",
                "/health answers while the engine is stuck",
            ),
        ]
