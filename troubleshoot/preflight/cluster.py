"""All objects together, and which of them belong to a workload: joined by selectors and references."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from troubleshoot.preflight.kinds import READERS, Setting, workloads_of
from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.surroundings import Surroundings
from troubleshoot.preflight.workload import Workload

_T = TypeVar("_T")

_OPERATORS: Mapping[str, Callable[[str | None, set[str]], bool]] = {
    "In": lambda value, values: value is not None and value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def selects(selector: Field, labels: Mapping[str, str]) -> bool:
    """Whether a label selector (`matchLabels`, `matchExpressions`) selects these labels. An empty one selects all."""
    if not isinstance(selector.value, dict):
        return False
    if any(labels.get(key) != wanted.text for key, wanted in selector.at("matchLabels").entries()):
        return False
    for expression in selector.at("matchExpressions").items():
        judge = _OPERATORS.get(expression.at("operator").text)
        values = {item.text for item in expression.at("values").items()}
        if judge is None or not judge(labels.get(expression.at("key").text), values):
            return False
    return True


def _grouped(items: Iterable[_T], key: Callable[[_T], str]) -> Mapping[str, list[_T]]:
    found: dict[str, list[_T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def same_namespace(one: str, other: str) -> bool:
    """Whether two objects can be in one namespace; a manifest that names none goes wherever it is applied."""
    return one == other or not one or not other


@dataclass(frozen=True)
class Cluster:
    """The objects that were given. What is not among manifests may exist all the same: findings say so."""

    objects: tuple[KubeObject, ...]
    surroundings: Surroundings = field(default_factory=Surroundings)

    @staticmethod
    def of(objects: Iterable[KubeObject], surroundings: Surroundings | None = None) -> Cluster:
        """From any source's objects."""
        return Cluster(tuple(objects), surroundings or Surroundings())

    @property
    def everything(self) -> tuple[KubeObject, ...]:
        """The objects, and those that are only looked up."""
        return (*self.objects, *self.surroundings.beside)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """The workloads of all objects that make pods."""
        setting = Setting.of(self.everything, self.surroundings.unread)
        return tuple(workload for item in self.objects for workload in workloads_of(item, setting))

    def of_kind(self, *kinds: str) -> list[KubeObject]:
        """The objects of these kinds."""
        return [item for kind in kinds for item in self._by_kind.get(kind, ())]

    @cached_property
    def _by_kind(self) -> Mapping[str, list[KubeObject]]:
        return _grouped(self.everything, lambda item: item.kind)

    @cached_property
    def _by_target(self) -> Mapping[str, list[KubeObject]]:
        """Autoscalers by the name of what they scale: a cluster has thousands."""
        return _grouped(self.of_kind("HorizontalPodAutoscaler", "ScaledObject"), _target)

    @cached_property
    def _by_owner(self) -> Mapping[str, list[Workload]]:
        return _grouped(self.workloads, lambda workload: workload.owner.name)

    def services(self, workload: Workload) -> list[KubeObject]:
        """The Services that lead to its pods."""
        return [
            service
            for service in self._beside("Service", workload)
            if (wanted := service.root.at("spec", "selector").labels) and wanted.items() <= workload.labels.items()
        ]

    def budgets(self, workload: Workload) -> list[KubeObject]:
        """The PodDisruptionBudgets that cover its pods."""
        return [
            budget
            for budget in self._beside("PodDisruptionBudget", workload)
            if selects(budget.root.at("spec", "selector"), workload.labels)
        ]

    def autoscalers(self, workload: Workload) -> list[KubeObject]:
        """The HorizontalPodAutoscalers and KEDA ScaledObjects that set its number of replicas."""
        return [item for item in self._by_target.get(workload.owner.name, ()) if _scales(item, workload)]

    def target_of(self, autoscaler: KubeObject) -> Workload | None:
        """The workload that an autoscaler scales, where it is among the objects."""
        return next((each for each in self._by_owner.get(_target(autoscaler), ()) if _scales(autoscaler, each)), None)

    def pod_monitors(self, workload: Workload) -> list[KubeObject]:
        """The PodMonitors that select its pods."""
        return [
            monitor
            for monitor in self.of_kind("PodMonitor")
            if reaches(monitor, workload.namespace) and selects(monitor.root.at("spec", "selector"), workload.labels)
        ]

    def service_monitors(self, service: KubeObject) -> list[KubeObject]:
        """The ServiceMonitors that select a Service, by the Service's own labels."""
        labels = service.root.at("metadata", "labels").labels
        return [
            monitor
            for monitor in self.of_kind("ServiceMonitor")
            if reaches(monitor, service.namespace) and selects(monitor.root.at("spec", "selector"), labels)
        ]

    def around(self, workload: Workload) -> list[KubeObject]:
        """Everything that is joined with a workload."""
        services = self.services(workload)
        monitors = [monitor for service in services for monitor in self.service_monitors(service)]
        return [
            *services,
            *self.budgets(workload),
            *self.autoscalers(workload),
            *self.pod_monitors(workload),
            *{id(monitor): monitor for monitor in monitors}.values(),
        ]

    def _beside(self, kind: str, workload: Workload) -> list[KubeObject]:
        return [item for item in self.of_kind(kind) if same_namespace(item.namespace, workload.namespace)]


def _target(autoscaler: KubeObject) -> str:
    return autoscaler.root.at("spec", "scaleTargetRef", "name").text


def _scales(autoscaler: KubeObject, workload: Workload) -> bool:
    """Whether it sets this workload's replicas, if it names it."""
    kind = autoscaler.root.at("spec", "scaleTargetRef", "kind").text
    kind = kind or ("Deployment" if autoscaler.kind == "ScaledObject" else workload.owner.kind)
    return kind == workload.owner.kind and same_namespace(autoscaler.namespace, workload.namespace)


def reaches(monitor: KubeObject, namespace: str) -> bool:
    """Whether a monitor looks into this namespace: its own, unless it names others."""
    chosen = monitor.root.at("spec", "namespaceSelector")
    if chosen.at("any").value is True:
        return True
    names = [item.text for item in chosen.at("matchNames").items()]
    return namespace in names if names and namespace else bool(names) or same_namespace(monitor.namespace, namespace)


def makes_pods(item: KubeObject) -> bool:
    """Whether an object of this kind makes pods that are looked at here."""
    return item.kind in READERS
