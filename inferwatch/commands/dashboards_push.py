"""`inferwatch dashboards push`: import the boards into a Grafana."""

from __future__ import annotations

from pathlib import Path

import click

_TOKEN_VARIABLE = "INFERWATCH_GRAFANA_TOKEN"  # noqa: S105 (the variable's name, no token)


@click.command("push")
@click.argument("boards", nargs=-1, metavar="[BOARD]...")
@click.option("--url", required=True, metavar="URL", help="Grafana's address: https://grafana.example.com.")
@click.option(
    "--token",
    envvar=_TOKEN_VARIABLE,
    default="",
    help=f"A service account's token. Better set {_TOKEN_VARIABLE}: others on the machine see arguments.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that holds the token.",
)
@click.option(
    "--folder",
    default="InferWatch",
    show_default=True,
    help="Folder for the boards, made if there is none; '' is the top.",
)
@click.option("--overwrite/--no-overwrite", default=True, show_default=True, help="Replace boards that are there.")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificates to trust in place of the system's.",
)
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    metavar="SECONDS",
    help="How long an answer may take.",
)
def command(
    boards: tuple[str, ...],
    url: str,
    token: str,
    token_file: Path | None,
    folder: str,
    overwrite: bool,
    ca_file: Path | None,
    timeout: float,
) -> None:
    """Import boards, all of them without BOARD, into a folder of a Grafana.

    Boards keep their uid, so that importing them again updates them.
    """
    from dashboards.generate import board_by_name
    from dashboards.push import Grafana, GrafanaError, push

    names = _names(boards)
    grafana = Grafana(
        url=url,
        token=_token(token, token_file),
        folder=folder,
        overwrite=overwrite,
        timeout_seconds=timeout,
        ca_file=str(ca_file or ""),
    )
    try:
        for pushed in push(grafana, [board_by_name(name) for name in names]):
            click.echo(f"{pushed.title}: {pushed.url} (version {pushed.version})")
    except GrafanaError as error:
        raise click.UsageError(str(error)) from None


def _names(boards: tuple[str, ...]) -> tuple[str, ...]:
    from dashboards.boards import BOARDS

    for name in boards:
        if name not in BOARDS:
            from difflib import get_close_matches

            close = get_close_matches(name, BOARDS, n=2)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(BOARDS)}"
            raise click.UsageError(f"{name!r} is no board; {hint}")
    return tuple(dict.fromkeys(boards)) or tuple(BOARDS)


def _token(token: str, token_file: Path | None) -> str:
    """The token of a file, else the one given. Both as options are a mistake; the environment's may stay set."""
    if token_file is not None:
        source = click.get_current_context().get_parameter_source("token")
        if token and source == click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("give --token or --token-file, not both")
        try:
            token = token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--token-file: {token_file}: cannot be read as text") from error
    if not token.strip():
        raise click.UsageError(f"a token is needed: set {_TOKEN_VARIABLE}, or give --token-file")
    return token.strip()
