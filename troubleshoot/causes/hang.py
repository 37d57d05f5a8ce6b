"""An engine that is alive and does nothing."""

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
_PROGRESS = (
    "ready",
    "compile_time",
    "kv_tokens",
    "kv_memory",
    "weights_memory",
    "graph_capture_started",
)


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
            stall = serving.stall if serving else ()
            seconds = sum(moment.seconds for moment in stall)
            long_enough = seconds >= self._least_seconds(evidence, serving) and (
                serving is None or serving.source == "metrics" or len(stall) >= MIN_STALL_LOG_LINES
            )
            if serving and stall and long_enough:
                return self._stuck(
                    evidence,
                    serving.source,
                    seconds,
                    stall[-1].running or 0,
                    stall[-1].waiting or 0,
                    stall[0].start_seconds,
                    stall[-1].end_seconds,
                    said,
                )
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

    @staticmethod
    def _least_seconds(evidence: Evidence, serving: Serving | None) -> float:
        """How long without progress is a hang: engines that count only at the end of a batch or a request need longer,
        and longer than their own rhythm."""
        if evidence.engine not in COUNTS_AT_THE_END or serving is None or serving.source == "log":
            return MIN_STALL_SECONDS
        stall = serving.stall
        others = [m for m in serving.all_moments if m not in stall]
        usual = sum(moment.seconds for moment in longest_stall(others))
        return max(MIN_STALL_SECONDS_AT_THE_END, 3 * usual)

    @staticmethod
    def _means_hang(event: Event, evidence: Evidence) -> bool:
        return not (evidence.log and evidence.log.served_after(event))

    def _stuck(
        self,
        evidence: Evidence,
        source: str,
        seconds: float,
        running: float,
        waiting: float,
        start: float,
        end: float,
        said: list[Event],
    ) -> Judgement:
        proof: list[EvidenceItem] = []
        if source == "metrics" and evidence.metrics:
            names = evidence.metrics.raw_names
            proof += [
                MetricEvidence(names.get(series, series), 0.0, "increase", (start, end), "flat")
                for series in ("llm_engine_steps_total", "llm_generation_tokens_total")
                if evidence.metrics.timeline.has(series)
            ]
            proof.append(
                MetricEvidence(
                    names.get("llm_requests_running", "llm_requests_running"),
                    running,
                    "requests",
                    (start, end),
                )
            )
        elif evidence.log:
            proof += [evidence.quote(line.event) for line in evidence.log.statistics if line.makes_no_tokens][:3]
        over = evidence.serving is not None and evidence.serving.all_moments[-1].end_seconds > end
        ended = " It went on afterwards." if over else ""
        return self.finding(
            Severity.CRITICAL,
            0.95 if source == "metrics" else 0.88,
            f"For {seconds:.0f} s, with {running:.0f} requests running and {waiting:.0f} waiting, the engine counted no step and no token while the server went on answering.{ended}",
            [*proof, *(evidence.quote(event) for event in said[:2])],
            self._fixes(),
        )

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


class ShmBroadcast(Cause):
    """The engine waits on a worker that never answers."""

    id = "hang_shm_broadcast"
    family = "hang"
    title = "The engine waits for a worker that does not answer"
    needs = ("log: engine output",)
    consequences = frozenset(
        {"hang_engine_stuck", "crash_unrecognised_exception", "ttft_queueing", "thr_insufficient_load"}
    )

    def judge(self, evidence: Evidence) -> Judgement:
        """The notice also comes once in a slow compilation: what counts is that nothing follows it."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        events = log.all("shm_broadcast_wait")
        if not events:
            return (
                self.ruled_out("no worker kept the engine waiting")
                if log.begins_at_start
                else self.not_evaluated("log: from the engine's start")
            )
        last = events[-1]
        progress = any(log.came_after(last, name) for name in _PROGRESS) or any(
            line.event.file == last.file and line.event.offset > last.offset and not line.makes_no_tokens
            for line in log.statistics
        )
        number = log.count("shm_broadcast_wait")
        if progress:
            return self.ruled_out(f"the notice came {number} times and the engine went on after it")
        waited = sum(event.number("seconds") or 60 for event in events)
        return self.finding(
            Severity.CRITICAL if number > 1 else Severity.WARNING,
            0.93 if number > 1 else 0.75,
            f"The notice that no broadcast block is free came {number} times (about {waited:.0f} s) and nothing followed: a worker is stuck or gone."
            if number > 1
            else "The engine waits for a worker, and the log ends there. Once alone it may still be a slow compilation.",
            [evidence.quote(events[0]), *([evidence.quote(last)] if number > 1 else [])],
            [
                Fix(
                    "stuck worker",
                    None,
                    "py-spy dump --pid PID of every worker",
                    "the one that is not in the broadcast is the cause",
                ),
                Fix(
                    "NCCL_P2P_DISABLE",
                    None,
                    "1",
                    "where peer-to-peer between the GPUs is broken (IOMMU, virtual machines)",
                ),
                Fix(
                    "--disable-custom-all-reduce",
                    evidence.settings.get("disable_custom_all_reduce"),
                    True,
                    "rules out vLLM's own all-reduce",
                ),
            ],
        )
