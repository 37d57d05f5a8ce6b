"""A PodDisruptionBudget that keeps a replica, and lets nodes be drained."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import AUTOSCALERS, Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.objects import Field, KubeObject


class DisruptionBudget(WorkloadCheck):
    """Draining nodes (upgrades, consolidation, spot) evicts pods; a budget says how many at once."""

    id = "disruption_budget"
    severity = Severity.WARNING
    title = "No disruption budget"
    needs = "a PodDisruptionBudget that selects its pods"
    counts_on = AUTOSCALERS

    def applies(self, subject: Subject) -> bool:
        """Where there are at least two replicas to keep one of."""
        return self.concerns(subject) and subject.fewest_replicas > 1

    def concerns(self, subject: Subject) -> bool:
        """Where there can be several replicas that requests choose from."""
        workload = subject.workload
        others = workload.owner.kind in {"Pod", "DaemonSet"} or workload.role in {"worker", "transformer", "explainer"}
        return subject.container is not None and not others

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        budgets = subject.cluster.budgets(subject.workload)
        if not budgets:
            yield self.finding(
                subject.title,
                subject.workload.owner.root.at("metadata", "name"),
                f"No PodDisruptionBudget {subject.cluster.surroundings.words} selects its pods: draining nodes can evict all replicas at once.",
                Fix("PodDisruptionBudget maxUnavailable", None, 1, "one pod at a time, and nodes can still be drained"),
                without=("PodDisruptionBudget",),
            )
        for budget in budgets:
            allowed = _allowed(budget, subject.fewest_replicas)
            if allowed is not None and allowed < 1:
                name = "minAvailable" if budget.root.at("spec", "minAvailable").exists else "maxUnavailable"
                field = budget.root.at("spec", name)
                yield self.finding(
                    subject.title,
                    field,
                    f"{budget.title} with {name} {field.text} never lets one of {subject.fewest_replicas} pods go: nodes cannot be drained.",
                    Fix(
                        "maxUnavailable" if name == "maxUnavailable" else name,
                        field.text,
                        _good(name, subject),
                        "one pod at a time",
                    ),
                    title="The disruption budget blocks every drain",
                )


def _good(name: str, subject: Subject) -> int:
    return 1 if name == "maxUnavailable" else subject.fewest_replicas - 1


def _allowed(budget: KubeObject, pods: int) -> int | None:
    """How many of so many pods may be down; None where it cannot be read."""
    most, least = budget.root.at("spec", "maxUnavailable"), budget.root.at("spec", "minAvailable")
    if most.exists:
        return _count(most, pods)
    kept = _count(least, pods)
    return None if kept is None else pods - kept


def _count(field: Field, pods: int) -> int | None:
    """A number of pods or a percentage, which rounds up."""
    text = field.text
    if text.endswith("%") and text[:-1].isdigit():
        return -(-pods * int(text[:-1]) // 100)
    return field.integer
