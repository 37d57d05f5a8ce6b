"""Replicas on different nodes and zones."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import AUTOSCALERS, Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.cluster import selects
from troubleshoot.preflight.objects import Field

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
_ZONES = {ZONE, "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/region"}


class Spread(WorkloadCheck):
    """Without a rule, the scheduler may put all replicas onto one node with eight GPUs."""

    id = "spread"
    severity = Severity.WARNING
    title = "Replicas are not spread over nodes"
    needs = "topologySpreadConstraints or podAntiAffinity"
    counts_on = AUTOSCALERS

    def applies(self, subject: Subject) -> bool:
        """Where there are at least two replicas, each of one pod."""
        return self.concerns(subject) and subject.fewest_replicas > 1

    def concerns(self, subject: Subject) -> bool:
        """Where each replica is one pod, and others can be beside it."""
        workload = subject.workload
        alone = workload.owner.kind in {"Pod", "DaemonSet"} or workload.role in {"worker", "transformer", "explainer"}
        return subject.container is not None and not alone

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        workload = subject.workload
        rules = list(_rules(workload.pod))
        if not rules:
            if "arguments" in workload.supplied:
                yield self.not_checked(subject.title, "the presets that the platform merges in")
                return
            yield self.finding(
                subject.title,
                workload.pod.at("topologySpreadConstraints"),
                f"No rule keeps its {subject.fewest_replicas} replicas on different nodes: one node's failure can take them all.",
                Fix(
                    "topologySpreadConstraints",
                    None,
                    f"maxSkew 1 over {HOST}",
                    "a replica a node; add one for zones",
                ),
            )
            return
        missing = [rule for rule in rules if not selects(_selector(rule), workload.labels)]
        for rule in missing:
            yield self.finding(
                subject.title,
                _selector(rule),
                "Its label selector does not select the pods that it stands in: it spreads nothing.",
                Fix("labelSelector", None, "the pod template's labels", "the rule counts only pods that it selects"),
                title="A rule for spreading selects no pod of this workload",
            )
        if not missing and not {rule.at("topologyKey").text for rule in rules} & _ZONES:
            yield self.finding(
                subject.title,
                rules[0],
                "Replicas are spread over nodes, but may all be in one zone.",
                Fix(
                    "topologySpreadConstraints",
                    None,
                    f"ScheduleAnyway over {ZONE}",
                    "a zone can fail",
                ),
                severity=Severity.INFO,
                title="Replicas are not spread over zones",
            )


def _rules(pod: Field) -> Iterable[Field]:
    """Spread constraints and anti-affinity terms, each with a topologyKey and a labelSelector."""
    yield from pod.at("topologySpreadConstraints").items()
    against = pod.at("affinity", "podAntiAffinity")
    yield from against.at("requiredDuringSchedulingIgnoredDuringExecution").items()
    for term in against.at("preferredDuringSchedulingIgnoredDuringExecution").items():
        yield term.at("podAffinityTerm")


def _selector(rule: Field) -> Field:
    return rule.at("labelSelector")
