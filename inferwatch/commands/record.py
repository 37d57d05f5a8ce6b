"""`inferwatch record`: log and metrics of a running engine into a recording to share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from inferwatch.commands.access_options import access_of, access_options, given
from inferwatch.commands.diagnose_arguments import seconds_of
from inferwatch.version import VERSION


def _seconds(_ctx: click.Context, _param: click.Parameter, text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("record")
@click.option("--metrics", metavar="URL", default="", help="The engine's /metrics, scraped every 2 s.")
@click.option("--log", metavar="FILE|-", default="", help="The engine's log; - reads it from standard input.")
@click.option(
    "--duration", metavar="DURATION", default="60s", show_default=True, callback=_seconds, help="How long to watch."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR|FILE.tar.gz",
    help="A new folder or archive.",
)
@click.option("--requests", metavar="FILE", default="", help="A list of client requests (CSV) to put beside them.")
@access_options("the metrics' URL")
@click.pass_context
def command(
    ctx: click.Context, /, metrics: str, log: str, duration: float, output: Path, requests: str, **options: Any
) -> None:
    """Take down log and metrics of a running engine, to be diagnosed elsewhere: `inferwatch diagnose --recording`.

    Secrets, users' prompts and the metrics' host name are masked. Look the result over before you share it: masking
    knows secrets by their names, their shapes and the variables of this shell, not by heart.
    """
    from troubleshoot.capture.capture import Plan, record

    if not metrics and not log:
        raise click.UsageError("nothing to record; give --metrics URL, --log FILE, or both")

    first = given(options)
    if first and not metrics:
        raise click.UsageError(f"{first} needs --metrics URL")
    access = access_of(ctx, options) if first else None

    def told(_size_bytes: int) -> None:
        if sys.stderr.isatty():
            click.echo(".", nl=False, err=True)

    try:
        taken = record(Plan(metrics, log, output, duration, requests, VERSION, access), told)
    except FileExistsError:
        raise click.UsageError(f"{output} is there already; choose another --output") from None
    except OSError as error:
        raise click.UsageError(f"{output}: cannot be written ({error.strerror}); choose another --output") from None
    for problem in dict.fromkeys(taken.problems):
        click.echo(f"inferwatch: {problem}", err=True)
    if not taken.is_something:
        raise click.UsageError("neither metrics nor log could be read; nothing was written")
    click.echo(f"{output}: {taken.scrapes} scrapes, {taken.log_bytes} bytes of log, masked")
