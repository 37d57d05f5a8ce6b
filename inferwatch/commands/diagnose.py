"""`inferwatch diagnose`: logs and metrics in, the cause out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inferwatch.commands.diagnose_arguments import (
    ENGINES,
    FAMILIES,
    FORMATS,
    SEVERITIES,
    Arguments,
)
from inferwatch.commands.diagnose_kube import kube_of, kube_options
from inferwatch.commands.diagnose_stores import WINDOW_HELP, store_options, stores_of, window_of

if TYPE_CHECKING:
    from troubleshoot.evidence import Evidence
    from troubleshoot.findings import Diagnosis
    from troubleshoot.report import Format


_F = TypeVar("_F", bound=Callable[..., Any])

_REPORT_OPTIONS = (
    click.option(
        "--format",
        "report",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="Form of the report.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the report to FILE instead of standard output.",
    ),
    click.option(
        "--fail-on",
        type=click.Choice(SEVERITIES),
        default="warning",
        show_default=True,
        help="Severity from which the exit status is 1.",
    ),
    click.option(
        "--engine", type=click.Choice(ENGINES), default=None, help="The engine, where it cannot be recognised."
    ),
    click.option(
        "--symptom", type=click.Choice(FAMILIES), default=None, help="What you complain of: orders the report."
    ),
)


def report_options(command: _F) -> _F:
    """Add the options of the report to a command."""
    for option in reversed(_REPORT_OPTIONS):
        command = option(command)
    return command


@click.command("diagnose")
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="PATH|-",
    help="Log of the engine: a file (plain, .gz, .zst, .bz2, .xz) or - for standard input. Repeatable.",
)
@click.option(
    "--metrics",
    "metrics",
    multiple=True,
    metavar="URL|PATH",
    help="A live /metrics URL, a saved exposition, or an OpenMetrics file with many scrapes. Repeatable.",
)
@click.option(
    "--recording",
    "recordings",
    multiple=True,
    metavar="DIR|TAR",
    help="A recording: its log and its metrics. Repeatable.",
)
@click.option(
    "--window",
    metavar="DURATION",
    callback=window_of,
    help=WINDOW_HELP,
)
@report_options
@kube_options
@store_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    logs: tuple[str, ...],
    metrics: tuple[str, ...],
    recordings: tuple[str, ...],
    window: float | None,
    report: Format,
    output: Path | None,
    fail_on: str,
    engine: str | None,
    symptom: str | None,
    **options: Any,
) -> None:
    """Say what is wrong with an inference engine, why, and which setting to change.

    Exit status: 0 healthy, 1 a finding at or above --fail-on, 2 bad usage or unreadable input, 3 inconclusive.
    """
    logs, metrics = (*logs, *recordings), (*metrics, *recordings)
    asked = stores_of(ctx, window, metrics, options)
    kube = kube_of(ctx, asked.live_seconds, options, engine or "", symptom or "")
    if kube and (logs or metrics or asked.store or asked.loki):
        raise click.UsageError("--kube reads log and metrics of the pod itself; leave other sources out")
    if not (logs or metrics or asked.store or asked.loki or kube):
        raise click.UsageError(
            "nothing to read; give --log FILE, --metrics URL, or both, or --prometheus URL, or --kube NAMESPACE/POD"
        )
    arguments = Arguments(
        logs,
        metrics,
        asked.live_seconds,
        report,
        fail_on,
        engine or "",
        symptom or "",
        asked.store,
        asked.loki,
        kube,
        asked.access,
    )
    ctx.exit(reported(arguments, output))


def reported(arguments: Arguments, output: Path | None) -> int:
    """Diagnose, and write the report to `output` or to standard output; the exit status."""
    from inferwatch.commands.diagnose_run import print_report, run

    if arguments.report == "html":
        _check_page(output)

    def show(diagnosis: Diagnosis, evidence: Evidence | None) -> None:
        if output is None:
            print_report(diagnosis, evidence, arguments)
        else:
            _write_report(diagnosis, evidence, arguments.report, output)

    return run(arguments, show)


def _check_page(output: Path | None) -> None:
    """Refuse to fill a terminal with a page; say beforehand that it will have no charts, where that is so."""
    from charts import library

    if output is None and sys.stdout.isatty():
        raise click.UsageError("--format html writes a page for a browser; give -o report.html")
    missing = library.missing()
    if missing:
        click.echo(f"inferwatch: the page is written without charts: {missing}", err=True)


def _write_report(diagnosis: Diagnosis, evidence: Evidence | None, report: Format, output: Path) -> None:
    from troubleshoot.report import render

    try:
        with output.open("w", encoding="utf-8") as stream:
            render(diagnosis, report, stream=stream, evidence=evidence)
    except OSError as error:
        raise click.UsageError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error
