"""`inferwatch dashboards`: write, check, list, import and preview the Grafana boards."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.boards import BOARDS as IDENTITIES
from catalog.generated_files import stale, write
from dashboards.boards import BOARDS
from dashboards.generate import KINDS, generated_files
from inferwatch.commands import dashboards_preview, dashboards_push

_FOLDER = click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dashboards/generated"),
    show_default=True,
    help="Folder of the generated files.",
)


@click.group("dashboards")
def command() -> None:
    """Grafana boards of GPUs and inference engines."""


command.add_command(dashboards_preview.command)
command.add_command(dashboards_push.command)


@command.command()
@_FOLDER
def generate(folder: Path) -> None:
    """Write the boards: for Grafana's API and import page, as ConfigMaps, as resources of its operator."""
    files = generated_files()
    try:
        changed = write(files, folder, kinds=KINDS)
    except OSError as error:
        raise click.UsageError(f"{error.filename}: cannot be written: {error.strerror}") from error
    click.echo(f"{folder}: {len(changed)} of {len(files)} files written")


@command.command()
@_FOLDER
@click.pass_context
def check(ctx: click.Context, folder: Path) -> None:
    """Exit with 1 when the folder's files are not what would be written."""
    try:
        changed = stale(generated_files(), folder, kinds=KINDS)
    except (OSError, UnicodeDecodeError) as error:
        name = getattr(error, "filename", None) or folder
        reason = getattr(error, "strerror", None) or "no text"
        raise click.UsageError(f"{name}: cannot be read: {reason}") from error
    for name in changed:
        click.echo(folder / name)
    ctx.exit(1 if changed else 0)


@command.command("list")
def list_command() -> None:
    """List the boards: name, uid, title, what it is for."""
    width = max(map(len, BOARDS))
    for name, build in BOARDS.items():
        identity = IDENTITIES[name]
        click.echo(f"{name:<{width}}  {identity.uid:<18}  {identity.title:<30}  {build().description}")
