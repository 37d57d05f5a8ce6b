"""`hang_shm_broadcast`: the engine waits for a worker that does not answer."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.logs.facts import LogFacts

_PROGRESS = (
    "ready",
    "compile_time",
    "kv_tokens",
    "kv_memory",
    "weights_memory",
    "graph_capture_started",
)


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
        number = log.count("shm_broadcast_wait")
        if went_on_after(last, log):
            return self.ruled_out(f"the notice came {number} times and the engine went on after it")
        waited = sum(event.number("seconds") or 60 for event in events)
        return self.finding(
            Severity.CRITICAL if number > 1 else Severity.WARNING,
            0.93 if number > 1 else 0.75,
            f"The notice that no broadcast block is free came {number} times (about {waited:.0f} s) and nothing followed: a worker is stuck or gone."
            if number > 1
            else "The engine waits for a worker, and the log ends there. Once alone it may still be a slow compilation.",
            [evidence.quote(events[0]), *([evidence.quote(last)] if number > 1 else [])],
            self._fixes(evidence),
        )

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        return [
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
        ]


def went_on_after(notice: Event, log: LogFacts) -> bool:
    """A later line of the same log shows that the start advanced or that tokens were made."""
    return any(log.came_after(notice, name) for name in _PROGRESS) or any(
        line.event.file == notice.file and line.event.offset > notice.offset and not line.makes_no_tokens
        for line in log.statistics
    )
