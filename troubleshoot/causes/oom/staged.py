"""What the out-of-memory errors of the GPU have in common: each belongs to one stage of the engine's life."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import Cause, Judgement, spread
from troubleshoot.causes.oom.stage import UNCERTAIN, Stage, gib, oom_events, stage_of
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event


class StagedOom(Cause):
    """Base of the causes that are an out-of-memory error of the GPU at one stage of the engine's life.

    The stage is read from the traceback before the error, else from how far the start had come.
    """

    stages: frozenset[Stage]
    also: tuple[str, ...] = ()
    needs = ("log: the error with its traceback",)
    consequences = ENGINE_DEATH

    def own_events(self, evidence: Evidence) -> list[tuple[Event, float]]:
        """The events that mean this cause, with how sure each is."""
        log = evidence.log
        if log is None:
            return []
        staged = [
            (event, stage)
            for event in oom_events(log)
            for stage in [stage_of(event, evidence)]
            if stage.stage in self.stages
        ]
        found = [(event, stage.confidence) for event, stage in staged]
        return found + [(event, 0.95) for event in log.all(*self.also)]

    def judge(self, evidence: Evidence) -> Judgement:
        """See the class."""
        if evidence.log is None:
            return self.not_evaluated()
        found = self.own_events(evidence)
        if not found:
            return (
                self.ruled_out("no such out-of-memory error in the log")
                if evidence.log.begins_at_start
                else self.not_evaluated("log: from the engine's start")
            )
        events = [event for event, _ in found]
        severity = Severity.CRITICAL
        if evidence.log.served_after(events[-1]):
            severity = Severity.WARNING if evidence.log.was_ready_before(events[-1]) else Severity.INFO
        sure = max(sure for _, sure in found)
        guessed = " The log does not show at which stage; this one is a guess." if sure <= UNCERTAIN else ""
        proof = [evidence.quote(event) for event in spread(events)]
        return self.finding(
            severity, sure, self.explain(events, evidence) + guessed, proof, self.fixes(events, evidence)
        )

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """What happened, with the figures of the error."""
        raise NotImplementedError

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """What to change."""
        return ()


def figures(events: Sequence[Event]) -> str:
    """ " (wanted 1.25 GiB, 0.27 GiB free of 15.8 GiB)" as far as an error tells."""
    for event in events:
        wanted, free, capacity = (gib(event.fields.get(name)) for name in ("wanted", "free", "capacity"))
        if wanted is not None:
            of = f", {free:.2f} GiB free" if free is not None else ""
            total = f" of {capacity:.1f} GiB" if capacity is not None else ""
            return f" (wanted {wanted:.2f} GiB{of}{total})"
    return ""


def leave_room(evidence: Evidence, what: str) -> list[Fix]:
    """A smaller KV cache in favour of what comes after it."""
    utilization = current(evidence, "gpu_memory_utilization")
    lower = round(float(utilization) - 0.05, 2) if isinstance(utilization, int | float) else "lower by 0.05"
    return change(evidence, "gpu_memory_utilization", lower, f"LESS for the KV cache leaves room for {what}")
