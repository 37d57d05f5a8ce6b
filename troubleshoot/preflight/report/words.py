"""The words that the reports share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from troubleshoot.findings import Severity
from troubleshoot.preflight.objects import Place
from troubleshoot.preflight.result import Finding, NotChecked, Result


def summary(result: Result) -> str:
    """`2 critical, 5 warnings, 1 info` or that there are none, and of how many checks."""
    if result.verdict == "nothing checked":
        return f"no workload that serves a model among {counted(result.objects, 'object')}: nothing was checked"
    numbers = [(result.count(level), level) for level in sorted(Severity, reverse=True)]
    words = [
        f"{count} {level.label}{'s' * (level is Severity.WARNING and count != 1)}" for count, level in numbers if count
    ]
    found = ", ".join(words) if words else "no findings"
    not_checked = f", {len(result.not_checked)} not checked" if result.not_checked else ""
    return f"{found}; {counted(len(result.passed), 'check')} passed{not_checked}"


def header(result: Result) -> list[str]:
    """What was looked at."""
    shown = list(result.files[:3]) + ([f"{len(result.files) - 3} more files"] if len(result.files) > 3 else [])
    looked_at = [result.cluster] if result.cluster else shown
    return [counted(len(result.subjects), "workload"), counted(result.objects, "object"), *looked_at]


def counted(number: int, noun: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def where(place: Place) -> str:
    """`file.yaml:12`, the file alone where there is no line; in a cluster `prod/deployment/llama`."""
    return f"{place.file}:{place.line}" if place.line else place.file or place.resource


def places(finding: Finding) -> tuple[str, str]:
    """Where it is, and what it is about: "" where the first says it."""
    kind, _, title = finding.subject.partition(" ")
    namespace, _, name = title.rpartition("/")
    is_said = finding.place.resource == f"{namespace}/{kind.lower()}/{name}"
    return where(finding.place), "" if is_said else finding.subject


def not_checked(items: Iterable[NotChecked]) -> list[str]:
    """One entry a reason: the checks, what they are about, and what they would need."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in items:
        groups[item.subject, item.needs].append(item.check)
    return [f"{', '.join(checks)} of {subject} (needs {needs})" for (subject, needs), checks in groups.items()]
