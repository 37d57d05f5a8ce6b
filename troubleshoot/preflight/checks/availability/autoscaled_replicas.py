"""No number of replicas beside an autoscaler."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import AUTOSCALERS, Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.live import written_replicas


class AutoscaledReplicas(WorkloadCheck):
    """Each apply of the manifest sets the number back, and the autoscaler climbs again while requests wait."""

    id = "autoscaled_replicas"
    severity = Severity.WARNING
    title = "Every apply undoes what the autoscaler did"
    needs = "replicas, and an autoscaler of this workload"
    counts_on = AUTOSCALERS

    def applies(self, subject: Subject) -> bool:
        """Where something scales it."""
        return bool(subject.autoscalers) and self.concerns(subject)

    def concerns(self, subject: Subject) -> bool:
        """Where something may scale it."""
        return subject.serves

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        field, written = subject.workload.replicas, written_replicas(subject.workload.owner)
        if not written.is_known:
            yield self.not_checked(
                subject.title, "the manifest or chart: a live object always has a number of replicas"
            )
        elif field.exists and written.is_set:
            scaler = subject.autoscalers[0]
            number = field.text if written.replicas is None else written.replicas
            yield self.finding(
                subject.title,
                field,
                f"replicas: {number} stands beside {scaler.title}: each apply sets the number back to {number}, also from more under load.",
                Fix("replicas", written.replicas, "remove", "the autoscaler alone sets it"),
            )
