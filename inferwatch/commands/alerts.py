"""`inferwatch alerts`: write, check and explain the Prometheus rules."""

from __future__ import annotations

from pathlib import Path

import click

from alerts.config import EXAMPLE_DOMAIN, Config, load
from alerts.explain import explain_alert, list_alerts
from alerts.generate import KINDS, generated_files
from alerts.rules import alerts_of
from catalog.generated_files import stale, write
from catalog.settings import SettingsError

_CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="Your models, SLOs, thresholds and prices (slo.yaml); without it, everything has its default.",
)
_FOLDER = click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("alerts/generated"),
    show_default=True,
    help="Folder of the generated files.",
)


@click.group("alerts")
def command() -> None:
    """Prometheus rules for GPUs and inference engines."""


@command.command()
@_CONFIG
@_FOLDER
def generate(config_file: Path | None, folder: Path) -> None:
    """Write rule files, PrometheusRules, Alertmanager and autoscaling examples."""
    config = _load(config_file)
    files = generated_files(config)
    try:
        changed = write(files, folder, kinds=KINDS)
    except OSError as error:
        raise click.UsageError(f"{error.filename}: cannot be written: {error.strerror}") from error
    click.echo(f"{folder}: {len(changed)} of {len(files)} files written")
    if EXAMPLE_DOMAIN in config.links.runbooks or EXAMPLE_DOMAIN in config.links.dashboards:
        click.echo("links still lead to example addresses: set links.runbooks and links.dashboards", err=True)


@command.command()
@_CONFIG
@_FOLDER
@click.pass_context
def check(ctx: click.Context, config_file: Path | None, folder: Path) -> None:
    """Exit with 1 when the folder's files are not what would be written."""
    changed = stale(generated_files(_load(config_file)), folder, kinds=KINDS)
    for name in changed:
        click.echo(folder / name)
    ctx.exit(1 if changed else 0)


@command.command("list")
@_CONFIG
def list_command(config_file: Path | None) -> None:
    """List the alerts, a line each."""
    for line in list_alerts(_load(config_file)):
        click.echo(line)


@command.command()
@click.argument("alert")
@_CONFIG
def explain(alert: str, config_file: Path | None) -> None:
    """Explain an alert: why it exists, its expression, what it needs, what to do."""
    config = _load(config_file)
    known = alerts_of(config)
    if alert not in known:
        from difflib import get_close_matches

        close = get_close_matches(alert, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "see inferwatch alerts list"
        raise click.UsageError(f"{alert!r} is no alert; {hint}")
    click.echo(explain_alert(config, alert))


def _load(config_file: Path | None) -> Config:
    try:
        return load(config_file)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
