"""`inferwatch diagnose`: logs and metrics in, the cause out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inferwatch.commands.diagnose_arguments import (
    ENGINES,
    FAMILIES,
    FORMATS,
    SEVERITIES,
    WINDOW,
    Arguments,
    seconds_of,
)

if TYPE_CHECKING:
    from troubleshoot.evidence import Evidence
    from troubleshoot.findings import Diagnosis
    from troubleshoot.report import Format


def _seconds(_ctx: click.Context, _param: click.Parameter, text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


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
    "--window",
    metavar="DURATION",
    default=WINDOW,
    show_default=True,
    callback=_seconds,
    help="How long to watch a live URL.",
)
@click.option(
    "--format",
    "report",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Form of the report.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report to FILE instead of standard output.",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="warning",
    show_default=True,
    help="Severity from which the exit status is 1.",
)
@click.option("--engine", type=click.Choice(ENGINES), default=None, help="The engine, where it cannot be recognised.")
@click.option("--symptom", type=click.Choice(FAMILIES), default=None, help="What you complain of: orders the report.")
@click.pass_context
def command(
    ctx: click.Context,
    logs: tuple[str, ...],
    metrics: tuple[str, ...],
    window: float,
    report: Format,
    output: Path | None,
    fail_on: str,
    engine: str | None,
    symptom: str | None,
) -> None:
    """Say what is wrong with an inference engine, why, and which setting to change.

    Exit status: 0 healthy, 1 a finding at or above --fail-on, 2 bad usage or unreadable input, 3 inconclusive.
    """
    from inferwatch.commands.diagnose_run import print_report, run

    if not logs and not metrics:
        raise click.UsageError("nothing to read; give --log FILE, --metrics URL, or both")
    arguments = Arguments(logs, metrics, window, report, fail_on, engine or "", symptom or "")

    if report == "html":
        _check_page(output)

    def show(diagnosis: Diagnosis, evidence: Evidence) -> None:
        if output is None:
            print_report(diagnosis, evidence, arguments)
        else:
            _write_report(diagnosis, evidence, report, output)

    ctx.exit(run(arguments, show))


def _check_page(output: Path | None) -> None:
    """Refuse to fill a terminal with a page; say beforehand that it will have no charts, where that is so."""
    from charts import library

    if output is None and sys.stdout.isatty():
        raise click.UsageError("--format html writes a page for a browser; give -o report.html")
    missing = library.missing()
    if missing:
        click.echo(f"inferwatch: the page is written without charts: {missing}", err=True)


def _write_report(diagnosis: Diagnosis, evidence: Evidence, report: Format, output: Path) -> None:
    from troubleshoot.report import render

    try:
        with output.open("w", encoding="utf-8") as stream:
            render(diagnosis, report, stream=stream, evidence=evidence)
    except OSError as error:
        raise click.UsageError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error
