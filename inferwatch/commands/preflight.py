"""`inferwatch preflight`: Kubernetes manifests, or what is deployed, held against a production checklist."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inferwatch.commands.preflight_kube import kube_options, target_of
from inferwatch.version import VERSION

if TYPE_CHECKING:
    from troubleshoot.preflight import Options
    from troubleshoot.preflight.report import Format
    from troubleshoot.preflight.result import Result
    from troubleshoot.sources.kube.target import Target

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
@click.argument("manifests", nargs=-1, metavar="[MANIFEST...]")
@kube_options
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
    /,
    manifests: tuple[str, ...],
    report: Format,
    output: Path | None,
    fail_on: str,
    skip: tuple[str, ...],
    load_rate: float | None,
    **kube: Any,
) -> None:
    """Check Kubernetes manifests of inference servers before they are applied, or what is deployed.

    MANIFEST is a file, a directory, or - for standard input (kustomize build | inferwatch preflight -). With --kube
    the objects are read from the API server instead; nothing there is changed.

    Exit status: 0 passed, 1 a finding at or above --fail-on, 2 bad usage, or a manifest or workloads that cannot be
    read, 3 no workload among them serves a model.
    """
    from troubleshoot.findings import Severity
    from troubleshoot.preflight import Options

    target = target_of(manifests, kube)
    if target is None and not manifests:
        raise click.UsageError(
            "nothing to check; give manifests, a directory of them, or - for standard input, or --kube"
        )
    _refuse_unknown(skip)
    options = Options(load_rate * 1e6 if load_rate else None)
    if target is None:
        result = _of_manifests(manifests, options, frozenset(skip))
    else:
        result = _of_cluster(target, kube["kubeconfig"], options, frozenset(skip))
    for problem in result.problems:
        click.echo(f"inferwatch: {problem}", err=True)
    if result.problems and not result.objects:
        ctx.exit(_STATUS_UNREADABLE)
    _write(result, report, output)
    if any(finding.severity >= Severity[fail_on.upper()] for finding in result.findings):
        ctx.exit(_STATUS_FOUND)
    if result.problems:
        ctx.exit(_STATUS_UNREADABLE)
    ctx.exit(_STATUS_NOTHING_CHECKED if result.verdict == "nothing checked" else 0)


def _of_manifests(manifests: tuple[str, ...], options: Options, skip: frozenset[str]) -> Result:
    from dataclasses import replace

    from troubleshoot.preflight import preflight
    from troubleshoot.sources.manifests import read_manifests

    read = read_manifests(manifests)
    result = preflight(read.objects, options, skip)
    notes = (*read.notes, *result.notes)
    return replace(result, files=tuple(read.files), problems=tuple(read.problems), notes=notes)


def _of_cluster(target: Target, kubeconfig: str, options: Options, skip: frozenset[str]) -> Result:
    from dataclasses import replace

    from troubleshoot.preflight import Result, preflight
    from troubleshoot.sources.errors import InputError
    from troubleshoot.sources.kube.deployed import read_deployed

    try:
        read = read_deployed(target, kubeconfig)
    except InputError as error:
        return Result(problems=(str(error),))
    result = preflight(read.objects, options, skip, read.surroundings)
    return replace(result, cluster=read.name, problems=read.problems, notes=(*read.notes, *result.notes))


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
