"""No number of replicas beside an autoscaler."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class AutoscaledReplicas(WorkloadCheck):
    """Each apply of the manifest sets the number back, and the autoscaler climbs again while requests wait."""

    id = "autoscaled_replicas"
    severity = Severity.WARNING
    title = "Every apply undoes what the autoscaler did"
    needs = "replicas, and an autoscaler of this workload"

    def applies(self, subject: Subject) -> bool:
        """Where something scales it."""
        return bool(subject.autoscalers) and subject.serves

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        field = subject.workload.replicas
        if field.exists:
            scaler = subject.autoscalers[0]
            yield self.finding(
                subject.title,
                field,
                f"replicas: {field.text} stands beside {scaler.title}: each apply sets the number back to {field.text}, also from more under load.",
                Fix("replicas", field.integer, "remove", "the autoscaler alone sets it"),
            )
