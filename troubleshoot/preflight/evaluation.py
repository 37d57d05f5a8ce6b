"""Runs the checks over objects and orders what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from troubleshoot.preflight.checks import CHECKS, Check, ObjectCheck, WorkloadCheck
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.objects import KubeObject
from troubleshoot.preflight.result import Finding, NotChecked, Passed, Result
from troubleshoot.preflight.subject import Options, Subject

__all__ = ["preflight"]

ARGUMENTS = "the arguments that a script, a --config file, the serving runtime or a preset gives"

_Said = Finding | NotChecked | Passed


def preflight(objects: Iterable[KubeObject], options: Options | None = None, skip: Set[str] = frozenset()) -> Result:
    """Hold objects, from any source, against the checks. `skip` names checks that are left out. Pure."""
    cluster = Cluster.of(objects)
    subjects = [Subject(workload, cluster, options or Options()) for workload in cluster.workloads]
    serving = [subject for subject in subjects if subject.serves]
    said: list[_Said] = []
    for check in CHECKS:
        if check.id not in skip:
            said += _said_by(check, cluster, serving)
    order = {item.root.origin.file: number for number, item in reversed(list(enumerate(cluster.objects)))}
    findings = sorted(
        dict.fromkeys(each for each in said if isinstance(each, Finding)),
        key=lambda each: (-each.severity, order.get(each.place.file, 0), each.place.line or 0),
    )
    return Result(
        subjects=tuple(dict.fromkeys(subject.title for subject in serving)),
        objects=len(cluster.objects),
        findings=tuple(findings),
        not_checked=tuple(dict.fromkeys(each for each in said if isinstance(each, NotChecked))),
        passed=tuple(each for each in said if isinstance(each, Passed)),
    )


def _said_by(check: Check, cluster: Cluster, subjects: Iterable[Subject]) -> Iterator[_Said]:
    if isinstance(check, ObjectCheck):
        for item in cluster.objects:
            if check.applies(item, cluster):
                yield from list(check.judge(item, cluster)) or _passed(check, item.title)
    elif isinstance(check, WorkloadCheck):
        for subject in subjects:
            if check.applies(subject):
                yield from list(check.judge(subject)) or _silence(check, subject)


def _silence(check: WorkloadCheck, subject: Subject) -> list[_Said]:
    """What it means that a check found nothing."""
    engine = subject.engine
    if check.reads_arguments and engine is not None and not engine.arguments_known:
        return [check.not_checked(subject.title, ARGUMENTS)]
    return _passed(check, subject.title)


def _passed(check: Check, subject: str) -> list[_Said]:
    return [Passed(check.id, subject)]
