"""Time to end running requests."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck

KUBERNETES_DEFAULT_SECONDS = 30
GOOD_SECONDS = 120


class Termination(WorkloadCheck):
    """A long answer takes a minute and more; a pod that is told to stop is killed after its grace period."""

    id = "termination"
    severity = Severity.WARNING
    title = "Running requests are cut off when a pod stops"
    needs = "terminationGracePeriodSeconds"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        workload = subject.workload
        grace = workload.pod.at("terminationGracePeriodSeconds")
        if "termination" in workload.supplied and not grace.exists:
            return
        seconds = KUBERNETES_DEFAULT_SECONDS if grace.integer is None else grace.integer
        if seconds <= KUBERNETES_DEFAULT_SECONDS:
            default = "" if grace.exists else " (the default)"
            yield self.finding(
                subject.title,
                grace,
                f"terminationGracePeriodSeconds is {seconds}{default}: every rollout, drain and scale-down ends longer answers.",
                Fix(
                    "terminationGracePeriodSeconds",
                    seconds,
                    GOOD_SECONDS,
                    "as long as the longest answer takes; add a preStop sleep of 10 s, until no new requests arrive",
                ),
            )
