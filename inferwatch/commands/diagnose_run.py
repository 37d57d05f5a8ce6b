"""From the arguments of `inferwatch diagnose` to its report and exit status: everything but the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from troubleshoot.collect import Request, collect
from troubleshoot.progress import progress_on

if TYPE_CHECKING:
    from inferwatch.commands.diagnose_arguments import Arguments
    from troubleshoot.collect import Report
    from troubleshoot.collect_kube import KubeRequest
    from troubleshoot.evidence import Evidence
    from troubleshoot.findings import Diagnosis

    _Judged = tuple[Diagnosis, Evidence | None]
    _Read = tuple[list[str], Callable[[], _Judged] | None]

STATUS_FOUND = 1
STATUS_UNREADABLE = 2
STATUS_INCONCLUSIVE = 3


def run(arguments: Arguments, show: Callable[[Diagnosis, Evidence | None], None]) -> int:
    """Read, judge and `show`, with what was judged; the exit status."""

    def load() -> None:
        """Import what comes after the reading, a third of the program's modules, while a large log is searched."""
        for module in ("troubleshoot.diagnosis", f"troubleshoot.report.{arguments.report}"):
            import_module(module)

    with progress_on(sys.stderr) as progress:
        problems, diagnosed = (
            _read_kube(arguments.kube, progress) if arguments.kube else _read(arguments, progress, load)
        )
    if problems:
        from click import echo

        for problem in problems:
            echo(f"inferwatch: {problem}", err=True)
    if diagnosed is None:
        return STATUS_UNREADABLE
    # Not before: see `load`.
    from troubleshoot.findings import Severity

    diagnosis, evidence = diagnosed()
    show(diagnosis, evidence)
    if any(finding.severity >= Severity[arguments.fail_on.upper()] for finding in diagnosis.findings):
        return STATUS_FOUND
    return STATUS_INCONCLUSIVE if diagnosis.verdict == "inconclusive" else 0


def _read(arguments: Arguments, progress: Report, load: Callable[[], None]) -> _Read:
    """Files, URLs and stores."""
    collected = collect(
        Request(
            arguments.logs,
            arguments.metrics,
            arguments.window_seconds,
            arguments.engine,
            arguments.symptom,
            arguments.store,
            arguments.loki,
            arguments.access,
        ),
        progress,
        load,
    )
    evidence = collected.evidence
    if evidence is None:
        return collected.problems, None

    def judge() -> _Judged:
        from troubleshoot.diagnosis import diagnose

        return diagnose(evidence, collected.inputs, interrupted=collected.interrupted), evidence

    return collected.problems, judge


def _read_kube(request: KubeRequest, progress: Report) -> _Read:
    """A pod, or the replicas of a workload."""
    from troubleshoot.collect_kube import collect_kube
    from troubleshoot.replicas import diagnose_replicas

    found = collect_kube(request, progress)
    if not found.replicas:
        return found.problems, None
    # A page draws one replica's curves; of several it draws none rather than one of them.
    evidence = found.replicas[0].evidence if len(found.replicas) == 1 else None
    return found.problems, lambda: (diagnose_replicas(found.replicas, interrupted=found.interrupted), evidence)


def print_report(diagnosis: Diagnosis, evidence: Evidence | None, arguments: Arguments) -> None:
    """Write the report to standard output."""
    from troubleshoot.report import render

    render(diagnosis, arguments.report, stream=sys.stdout, evidence=evidence)
