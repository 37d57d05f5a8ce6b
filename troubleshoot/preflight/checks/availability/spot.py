"""Spot nodes, and what survives their end."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.objects import Field

_LABELS = {
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
    "node.kubernetes.io/lifecycle": "spot",
}
_NOTICE_SECONDS = 120
"""AWS gives two minutes of notice, Google Cloud and Azure 30 s."""


class Spot(WorkloadCheck):
    """Spot nodes go with little notice, and often all of one kind at once."""

    id = "spot"
    severity = Severity.WARNING
    title = "Runs on spot nodes alone"
    needs = "node selector, affinity and tolerations"

    def applies(self, subject: Subject) -> bool:
        """Where nodes are chosen."""
        return subject.container is not None

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        workload = subject.workload
        for key, value in workload.node_labels():
            if _LABELS.get(key) == value.text:
                yield self.finding(
                    subject.title,
                    value,
                    f"{key}: {value.text} is required: when spot capacity ends, no replica is left, and none can start.",
                    Fix(
                        "nodeAffinity",
                        "required",
                        "preferred",
                        "or a second workload on on-demand nodes that carries the least load",
                    ),
                )
                return
        chosen = list(_tolerated_or_preferred(workload.pod))
        if chosen and not subject.cluster.budgets(workload):
            yield self.finding(
                subject.title,
                chosen[0],
                f"It may run on spot nodes, whose drain gives {_NOTICE_SECONDS} s or less, and no disruption budget covers it.",
                Fix("PodDisruptionBudget maxUnavailable", None, 1, "drains ahead of the end go one pod at a time"),
                title="On spot nodes without a disruption budget",
                without=("PodDisruptionBudget",),
            )


def _tolerated_or_preferred(pod: Field) -> Iterable[Field]:
    for toleration in pod.at("tolerations").items():
        if toleration.at("key").text in _LABELS:
            yield toleration
    terms = pod.at("affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution")
    for term in terms.items():
        for wanted in term.at("preference", "matchExpressions").items():
            spot = _LABELS.get(wanted.at("key").text)
            if spot and spot in {value.text for value in wanted.at("values").items()}:
                yield wanted
