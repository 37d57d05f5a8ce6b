"""Runs the checks over objects and orders what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from troubleshoot.preflight.checks import CHECKS, Check, ObjectCheck, WorkloadCheck
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.objects import KubeObject
from troubleshoot.preflight.result import Finding, NotChecked, Passed, Result
from troubleshoot.preflight.standing import standing
from troubleshoot.preflight.subject import Options, Subject
from troubleshoot.preflight.surroundings import Surroundings

__all__ = ["preflight"]

ARGUMENTS = "the arguments that a script, a --config file, the serving runtime or a preset gives"

_Said = Finding | NotChecked | Passed


def preflight(
    objects: Iterable[KubeObject],
    options: Options | None = None,
    skip: Set[str] = frozenset(),
    surroundings: Surroundings | None = None,
) -> Result:
    """Hold objects, from any source, against the checks. `skip` names checks that are left out. Pure.

    What controllers make of other objects is left out: its maker is checked.
    """
    cluster, unmade = standing(objects, surroundings or Surroundings())
    subjects = [Subject(workload, cluster, options or Options()) for workload in cluster.workloads]
    serving = [subject for subject in subjects if subject.serves]
    said: list[_Said] = []
    for check in CHECKS:
        if check.id not in skip:
            said += [_weighed(each, cluster.surroundings.unread) for each in _said_by(check, cluster, serving)]
    origins = (item.root.origin for item in cluster.everything)
    order = {(each.file, each.resource): number for number, each in reversed(list(enumerate(origins)))}
    findings = sorted(
        dict.fromkeys(each for each in said if isinstance(each, Finding)),
        key=lambda each: (-each.severity, order.get((each.place.file, each.place.resource), 0), each.place.line or 0),
    )
    return Result(
        subjects=tuple(dict.fromkeys(subject.title for subject in serving)),
        objects=len(cluster.objects),
        findings=tuple(findings),
        not_checked=tuple(dict.fromkeys(each for each in said if isinstance(each, NotChecked))),
        passed=tuple(each for each in said if isinstance(each, Passed)),
        notes=tuple(unmade),
    )


def _said_by(check: Check, cluster: Cluster, subjects: Iterable[Subject]) -> Iterator[_Said]:
    unread = cluster.surroundings.unread
    if isinstance(check, ObjectCheck):
        for item in cluster.objects:
            if check.applies(item, cluster):
                yield from list(check.judge(item, cluster)) or _passed(check, item.title)
        yield from (check.not_checked(f"every {kind}", unread[kind]) for kind in check.kinds if kind in unread)
    elif isinstance(check, WorkloadCheck):
        for subject in subjects:
            missing = sorted(check.counts_on & subject.unread)
            if missing and check.concerns(subject):
                yield check.not_checked(subject.title, _needs(missing, unread))
            elif not missing and check.applies(subject):
                yield from list(check.judge(subject)) or _silence(check, subject)


def _weighed(said: _Said, unread: Mapping[str, str]) -> _Said:
    """A finding for want of an object proves nothing where not all objects of its kind are known."""
    missing = [kind for kind in said.without if kind in unread] if isinstance(said, Finding) else []
    return NotChecked(said.check, said.subject, _needs(missing, unread)) if missing else said


def _needs(kinds: Iterable[str], unread: Mapping[str, str]) -> str:
    return " and ".join(dict.fromkeys(unread[kind] for kind in kinds))


def _silence(check: WorkloadCheck, subject: Subject) -> list[_Said]:
    """What it means that a check found nothing."""
    engine = subject.engine
    if check.reads_arguments and engine is not None and not engine.arguments_known:
        return [check.not_checked(subject.title, ARGUMENTS)]
    return _passed(check, subject.title)


def _passed(check: Check, subject: str) -> list[_Said]:
    return [Passed(check.id, subject)]
