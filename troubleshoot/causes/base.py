"""What a cause is: a small class that says what it needs, when it holds, when it is ruled out, what to change."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Family, Finding, Fix, NotEvaluated, RuledOut, Severity
from troubleshoot.logs.events import Event

_DIGITS = re.compile(r"\d+")

Judgement = Finding | RuledOut | NotEvaluated


class Cause(ABC):
    """One thing that can be wrong.

    `needs` names the evidence without which it cannot be judged. `consequences` are ids of causes that this one
    brings about: where both hold, this one is the root.
    """

    id: ClassVar[str]
    family: ClassVar[Family]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    consequences: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def judge(self, evidence: Evidence) -> Judgement:
        """Whether it holds. Pure: reads `evidence` only."""

    def finding(
        self,
        severity: Severity,
        confidence: float,
        explanation: str,
        proof: Sequence[EvidenceItem],
        fixes: Sequence[Fix] = (),
        title: str = "",
    ) -> Finding:
        """It holds."""
        return Finding(
            cause=self.id,
            family=self.family,
            severity=severity,
            confidence=round(min(max(confidence, 0.0), 0.99), 2),
            title=title or self.title,
            explanation=explanation,
            evidence=tuple(proof),
            fixes=tuple(fixes),
            runbook=f"runbooks/causes/{self.id}.md",
        )

    def ruled_out(self, because: str) -> RuledOut:
        """The evidence contradicts it."""
        return RuledOut(self.id, because)

    def not_evaluated(self, *needs: str) -> NotEvaluated:
        """It cannot be judged: names what is missing, by default all that it needs."""
        return NotEvaluated(self.id, needs or self.needs)


class SignatureCause(Cause):
    """A cause that the engine, a library or the system names in so many words.

    Holds when one of `signatures` stands in the log; `accepts` may refuse a line. Without such a line it is ruled
    out only where the log shows the whole life of the engine, which a log that starts late does not.
    """

    signatures: ClassVar[tuple[str, ...]]
    severity: ClassVar[Severity] = Severity.CRITICAL
    confidence: ClassVar[float] = 0.9
    needs = ("log: engine output",)

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Whether this line really means the cause."""
        return True

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """One or two sentences for a reader."""
        raise NotImplementedError

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """What to change."""
        return ()

    def weigh(self, events: Sequence[Event], evidence: Evidence) -> tuple[Severity, float]:
        """Severity and confidence; a failure that a later start got over is no longer critical."""
        log = evidence.log
        if self.severity is Severity.CRITICAL and log and log.served_after(events[-1]):
            return (Severity.WARNING if log.was_ready_before(events[-1]) else Severity.INFO), self.confidence * 0.8
        return self.severity, self.confidence

    def _counts(self, event: Event, evidence: Evidence) -> bool:
        """A line of a start that then serves stops nothing, whatever it says."""
        log = evidence.log
        if self.severity is Severity.CRITICAL and log and log.survived(event) and not log.was_ready_before(event):
            return False
        return self.accepts(event, evidence)

    def judge(self, evidence: Evidence) -> Judgement:
        """See the class."""
        if evidence.log is None:
            return self.not_evaluated()
        events = [event for event in evidence.log.all(*self.signatures) if self._counts(event, evidence)]
        if not events:
            return (
                self.ruled_out("no such message in the log")
                if evidence.log.begins_at_start
                else self.not_evaluated("log: from the engine's start")
            )
        severity, confidence = self.weigh(events, evidence)
        return self.finding(
            severity,
            confidence,
            self.explain(events, evidence),
            [evidence.quote(event) for event in spread(events)],
            self.fixes(events, evidence),
        )


def spread(events: Sequence[Event], most: int = 3) -> list[Event]:
    """The first events, by wording: repeats of one message, with other figures, prove nothing more."""
    chosen: dict[str, Event] = {}
    for event in events:
        chosen.setdefault(_DIGITS.sub("0", event.message[:80])[:60], event)
    return list(chosen.values())[:most]


def times(number: int) -> str:
    """ "once", "3 times"."""
    return "once" if number == 1 else f"{number:,} times".replace(",", " ")
