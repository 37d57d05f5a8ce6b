"""What a preflight says: plain data that every report is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from troubleshoot.findings import Fix, Severity
from troubleshoot.preflight.objects import Place

__all__ = ["Finding", "Fix", "NotChecked", "Result", "Severity"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check that does not hold. `subject` is the object ("Deployment prod/llama"), `place` the field to change.

    `without` are the kinds of which no object was found that would make it hold: where not all of them are known, it
    cannot be judged.
    """

    check: str
    severity: Severity
    title: str
    subject: str
    message: str
    place: Place
    fixes: tuple[Fix, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A check that could not be made; `needs` says what it would need. It is never "ok"."""

    check: str
    subject: str
    needs: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A check that was made and holds."""

    check: str
    subject: str


OF_EVERY_OBJECT = frozenset({"required_fields", "api_version"})
"""Checks that say nothing about serving models: a ConfigMap passes them."""


@dataclass(frozen=True, slots=True)
class Result:
    """The whole answer; findings worst first, then by file and line.

    `subjects` are the workloads that serve models; `problems` inputs that could not be read, `notes` what was left out,
    `cluster` the cluster and the part of it that was looked at, "" for manifests.
    """

    subjects: tuple[str, ...] = ()
    objects: int = 0
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    passed: tuple[Passed, ...] = ()
    files: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cluster: str = ""

    @property
    def verdict(self) -> str:
        """One of "findings", "passed", or "nothing checked" where no workload serves a model."""
        if self.findings:
            return "findings"
        judged = any(each.check not in OF_EVERY_OBJECT for each in self.passed)
        return "passed" if judged else "nothing checked"

    def count(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(1 for finding in self.findings if finding.severity is severity)
