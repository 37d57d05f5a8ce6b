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
    from troubleshoot.evidence import Evidence
    from troubleshoot.findings import Diagnosis

STATUS_FOUND = 1
STATUS_UNREADABLE = 2
STATUS_INCONCLUSIVE = 3


def run(arguments: Arguments, show: Callable[[Diagnosis, Evidence], None]) -> int:
    """Read, judge and `show`, with what was judged; the exit status."""

    def load() -> None:
        """Import what comes after the reading, a third of the program's modules, while a large log is searched."""
        for module in ("troubleshoot.diagnosis", f"troubleshoot.report.{arguments.report}"):
            import_module(module)

    with progress_on(sys.stderr) as progress:
        collected = collect(
            Request(arguments.logs, arguments.metrics, arguments.window_seconds, arguments.engine, arguments.symptom),
            progress,
            load,
        )
    if collected.problems:
        from click import echo

        for problem in collected.problems:
            echo(f"inferwatch: {problem}", err=True)
    if collected.evidence is None:
        return STATUS_UNREADABLE
    # Not before: see `load`.
    from troubleshoot.diagnosis import diagnose
    from troubleshoot.findings import Severity

    diagnosis = diagnose(collected.evidence, collected.inputs, interrupted=collected.interrupted)
    show(diagnosis, collected.evidence)
    if any(finding.severity >= Severity[arguments.fail_on.upper()] for finding in diagnosis.findings):
        return STATUS_FOUND
    return STATUS_INCONCLUSIVE if diagnosis.verdict == "inconclusive" else 0


def print_report(diagnosis: Diagnosis, evidence: Evidence, arguments: Arguments) -> None:
    """Write the report to standard output."""
    from troubleshoot.report import render

    render(diagnosis, arguments.report, stream=sys.stdout, evidence=evidence)
