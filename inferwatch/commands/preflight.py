"""`inferwatch preflight`: Kubernetes manifests held against a production checklist."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inferwatch.version import VERSION

if TYPE_CHECKING:
    from troubleshoot.preflight.report import Format
    from troubleshoot.preflight.result import Result

_FORMATS = ("text", "json", "sarif", "markdown")
_SEVERITIES = ("info", "warning", "critical")
_STATUS_FOUND = 1
_STATUS_UNREADABLE = 2
_STATUS_NOTHING_CHECKED = 3


def _list_checks(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from troubleshoot.preflight.checks import CHECKS

    width = max(len(check.id) for check in CHECKS)
    for check in CHECKS:
        click.echo(f"{check.id:<{width}}  {check.severity.label:<8}  {check.title}")
    ctx.exit()


@click.command("preflight")
@click.argument("manifests", nargs=-1, metavar="MANIFEST...")
@click.option(
    "--format", "report", type=click.Choice(_FORMATS), default="text", show_default=True, help="Form of the report."
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
    type=click.Choice(_SEVERITIES),
    default="warning",
    show_default=True,
    help="Severity from which the exit status is 1.",
)
@click.option("--skip", multiple=True, metavar="CHECK", help="Leave a check out. Repeatable.")
@click.option(
    "--load-rate",
    type=click.FloatRange(1, 1_000_000),
    metavar="MB/S",
    help="How fast your storage gives weights; without it, from a slow volume to a fast disk.",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_checks,
    help="List all checks with their usual severity, and exit.",
)
@click.pass_context
def command(
    ctx: click.Context,
    manifests: tuple[str, ...],
    report: Format,
    output: Path | None,
    fail_on: str,
    skip: tuple[str, ...],
    load_rate: float | None,
) -> None:
    """Check Kubernetes manifests of inference servers before they are applied.

    MANIFEST is a file, a directory, or - for standard input (kustomize build | inferwatch preflight -).

    Exit status: 0 passed, 1 a finding at or above --fail-on, 2 bad usage or a manifest that cannot be read, 3 no
    workload in it serves a model.
    """
    from dataclasses import replace

    from troubleshoot.findings import Severity
    from troubleshoot.preflight import Options, preflight
    from troubleshoot.sources.manifests import read_manifests

    if not manifests:
        raise click.UsageError("nothing to check; give manifests, a directory of them, or - for standard input")
    _refuse_unknown(skip)
    read = read_manifests(manifests)
    for problem in read.problems:
        click.echo(f"inferwatch: {problem}", err=True)
    if not read.objects:
        ctx.exit(_STATUS_UNREADABLE)
    options = Options(load_rate * 1e6 if load_rate else None)
    result = replace(
        preflight(read.objects, options, frozenset(skip)),
        files=tuple(read.files),
        problems=tuple(read.problems),
        notes=tuple(read.notes),
    )
    _write(result, report, output)
    if any(finding.severity >= Severity[fail_on.upper()] for finding in result.findings):
        ctx.exit(_STATUS_FOUND)
    if read.problems:
        ctx.exit(_STATUS_UNREADABLE)
    ctx.exit(_STATUS_NOTHING_CHECKED if result.verdict == "nothing checked" else 0)


def _refuse_unknown(skip: tuple[str, ...]) -> None:
    from difflib import get_close_matches

    from troubleshoot.preflight.checks import CHECKS

    known = [check.id for check in CHECKS]
    for name in skip:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see inferwatch preflight --list"
            raise click.UsageError(f"{name!r} is no check; {hint}")


def _write(result: Result, report: Format, output: Path | None) -> None:
    from troubleshoot.preflight.report import render

    if output is None:
        render(result, report, stream=sys.stdout, version=VERSION)
        return
    try:
        with output.open("w", encoding="utf-8") as stream:
            render(result, report, stream=stream, version=VERSION)
    except OSError as error:
        raise click.UsageError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error
