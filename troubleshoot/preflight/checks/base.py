"""What a check is: a small class that says what it needs, when it holds, and what to change where it does not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from troubleshoot.findings import Fix, Severity
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.result import Finding, NotChecked
from troubleshoot.preflight.subject import AUTOSCALERS, Subject

__all__ = ["AUTOSCALERS", "Check", "Fix", "Judgement", "ObjectCheck", "Severity", "Subject", "WorkloadCheck"]

Judgement = Finding | NotChecked


class Check(ABC):
    """One thing that should hold.

    `title` says what is wrong where it does not; `needs` what the check looks at. `severity` is the usual one: a
    finding may be milder or worse.
    """

    id: ClassVar[str]
    severity: ClassVar[Severity]
    title: ClassVar[str]
    needs: ClassVar[str]

    def finding(
        self,
        subject: str,
        field: Field,
        message: str,
        *fixes: Fix,
        severity: Severity | None = None,
        title: str = "",
        without: tuple[str, ...] = (),
    ) -> Finding:
        """It does not hold; `field` is what has to change. `without`: no object of these kinds was found."""
        level = self.severity if severity is None else severity
        return Finding(self.id, level, title or self.title, subject, message, field.place, fixes, without)

    def not_checked(self, subject: str, needs: str = "") -> NotChecked:
        """It cannot be judged; `needs` names what is missing."""
        return NotChecked(self.id, subject, needs or self.needs)


class WorkloadCheck(Check):
    """A check on one workload that serves a model.

    One that `reads_arguments` has not been made, whatever it did not find, where some arguments are not known. One
    that `counts_on` a kind cannot be made where not all objects of it are known.
    """

    reads_arguments: ClassVar[bool] = False
    counts_on: ClassVar[frozenset[str]] = frozenset()

    def concerns(self, subject: Subject) -> bool:
        """Whether it might apply, whatever the objects of the kinds that it counts on are."""
        return self.applies(subject)

    def applies(self, subject: Subject) -> bool:
        """Whether it says anything about this workload: by default, about those whose engine takes requests."""
        return subject.engine is not None and subject.workload.role != "worker"

    @abstractmethod
    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """What is wrong, or cannot be judged; nothing where it holds. Pure."""


class ObjectCheck(Check):
    """A check on one object, whatever it is, or of some `kinds` alone."""

    kinds: ClassVar[tuple[str, ...]] = ()

    def applies(self, item: KubeObject, cluster: Cluster) -> bool:
        """Whether it says anything about this object."""
        return True

    @abstractmethod
    def judge(self, item: KubeObject, cluster: Cluster) -> Iterable[Judgement]:
        """What is wrong, or cannot be judged; nothing where it holds. Pure."""
