"""At least two replicas."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import AUTOSCALERS, Fix, Judgement, Severity, Subject, WorkloadCheck

LEAST = 2


class Replicas(WorkloadCheck):
    """One replica is down whenever its node, its GPU or its engine is, and for the whole load time of the next one."""

    id = "replicas"
    severity = Severity.WARNING
    title = "Fewer than two replicas"
    needs = "replicas, or the floor of an autoscaler"
    counts_on = AUTOSCALERS

    def applies(self, subject: Subject) -> bool:
        """Everything that answers requests: not a group's workers, nor one pod on each node."""
        return subject.serves and subject.workload.role != "worker" and subject.workload.owner.kind != "DaemonSet"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        if subject.workload.owner.kind == "Pod":
            yield self.finding(
                subject.title,
                subject.workload.owner.root.at("kind"),
                "A Pod of its own is not made again when its node goes or it is evicted.",
                Fix("kind", "Pod", "Deployment", "with replicas: 2, it is replaced and survives the loss of one"),
            )
            return
        count = subject.fewest_replicas
        if count < LEAST:
            field = subject.replicas_field
            name = str(field.path[-1])
            why = (
                "it may be scaled to none: the first request waits for a whole start"
                if count == 0
                else "one is no spare"
            )
            yield self.finding(
                subject.title,
                field,
                f"{name} is {count}{'' if field.exists else ' (the default)'}: {why}.",
                Fix(name, count, LEAST, "one can fail or be replaced while the other serves"),
            )
