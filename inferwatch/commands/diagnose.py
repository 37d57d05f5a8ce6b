"""`inferwatch diagnose`: logs and metrics in, the cause out."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from troubleshoot.report import Format

_FAMILIES = ("oom", "throughput", "ttft", "crash", "hang")
_ENGINES = ("vllm", "sglang", "tgi", "triton", "tensorrt_llm", "llamacpp", "kserve", "dynamo")


def _seconds(_ctx: click.Context, _param: click.Parameter, text: str) -> float:
    """`15s`, `2m`, `1h` or plain seconds -> seconds, above 0 and at most an hour."""
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
    try:
        seconds = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no duration; write 15s, 2m or 90") from None
    if not 0 < seconds <= 3600:
        raise click.BadParameter(f"{text!r} is out of range; write between 1s and 1h")
    return seconds


def _load(report: Format) -> None:
    """Import what comes after the reading, a third of the program's modules, while a large log is searched."""
    for module in ("troubleshoot.diagnosis", f"troubleshoot.report.{report}"):
        import_module(module)


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
    default="15s",
    show_default=True,
    callback=_seconds,
    help="How long to watch a live URL.",
)
@click.option(
    "--format",
    "report",
    type=click.Choice(["text", "json", "markdown"]),
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
    type=click.Choice(["info", "warning", "critical"]),
    default="warning",
    show_default=True,
    help="Severity from which the exit status is 1.",
)
@click.option("--engine", type=click.Choice(_ENGINES), default=None, help="The engine, where it cannot be recognised.")
@click.option("--symptom", type=click.Choice(_FAMILIES), default=None, help="What you complain of: orders the report.")
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
    from troubleshoot.collect import Request, collect
    from troubleshoot.progress import progress_on

    if not logs and not metrics:
        raise click.UsageError("nothing to read; give --log FILE, --metrics URL, or both")
    with progress_on(sys.stderr) as progress:
        collected = collect(
            Request(logs, metrics, window, engine or "", symptom or ""), progress, partial(_load, report)
        )
    for problem in collected.problems:
        click.echo(f"inferwatch: {problem}", err=True)
    if collected.evidence is None:
        ctx.exit(2)
    # Not before: see `_load`.
    from troubleshoot.diagnosis import diagnose
    from troubleshoot.findings import Severity
    from troubleshoot.report import render

    diagnosis = diagnose(collected.evidence, collected.inputs, interrupted=collected.interrupted)
    if output is None:
        render(diagnosis, report, stream=sys.stdout)
    else:
        try:
            with output.open("w", encoding="utf-8") as stream:
                render(diagnosis, report, stream=stream)
        except OSError as error:
            raise click.UsageError(
                f"{output}: cannot be written ({error.strerror}); choose another --output"
            ) from error
    if any(finding.severity >= Severity[fail_on.upper()] for finding in diagnosis.findings):
        ctx.exit(1)
    ctx.exit(3 if diagnosis.verdict == "inconclusive" else 0)
