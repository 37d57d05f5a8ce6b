"""`inferwatch dashboards preview`: the boards with data, on one page, without Grafana."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dashboards.preview.board_json import BoardJson
    from dashboards.preview.variables import Period

_SCRAPE_SECONDS = 15


@click.command("preview")
@click.argument("boards", nargs=-1, metavar="[BOARD]...")
@click.option("--prometheus", "url", required=True, metavar="URL", help="The Prometheus to ask: http://host:9090.")
@click.option(
    "--at", default="now", show_default=True, metavar="TIME", help="The end: now, now-2h, ISO 8601, or unix seconds."
)
@click.option(
    "--range", "length", default="1h", show_default=True, metavar="DURATION", help="How far back: 30m, 6h, 7d."
)
@click.option(
    "--variable",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable's value instead of All; again for another variable, or for another value of the same.",
)
@click.option(
    "--scrape-interval",
    default=_SCRAPE_SECONDS,
    show_default=True,
    type=click.IntRange(1, 3600),
    metavar="SECONDS",
    help="How often Prometheus scrapes: sets $__rate_interval.",
)
@click.option(
    "--token",
    envvar="INFERWATCH_PROMETHEUS_TOKEN",
    default="",
    help="A bearer token. Better set INFERWATCH_PROMETHEUS_TOKEN: others on the machine see arguments.",
)
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header, such as X-Scope-OrgID. Repeatable."
)
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    metavar="SECONDS",
    help="How long a query may take.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The page to write.",
)
def command(
    boards: tuple[str, ...],
    url: str,
    at: str,
    length: str,
    variables: tuple[str, ...],
    scrape_interval: int,
    token: str,
    headers: tuple[str, ...],
    timeout: float,
    output: Path,
) -> None:
    """Draw boards with data from a Prometheus on one self-contained HTML page.

    BOARD is a board's name (see `inferwatch dashboards list`) or a file of Grafana JSON; without any, all boards are
    drawn. The page is a preview and not Grafana.
    """
    from catalog.boards import BOARDS
    from charts.library import ChartsUnavailableError, plotly_script
    from dashboards.preview.prometheus import PrometheusError, QueryError, connect
    from dashboards.preview.render import preview

    period = _period(at, length)
    chosen = _values_by_name(variables)
    read = [_board(name) for name in boards or BOARDS]
    _check_variables(read, chosen)
    if not output.absolute().parent.is_dir():
        raise click.UsageError(f"{output}: there is no folder {output.parent}; choose another --output")
    try:
        plotly_script()
        source = connect(url, token=token, headers=_headers(headers), timeout_seconds=timeout)
        document = preview(read, source, period, variables=chosen, scrape_seconds=scrape_interval)
    except (PrometheusError, QueryError, ChartsUnavailableError) as error:
        raise click.UsageError(str(error)) from error
    try:
        output.write_text(document, "utf-8")
    except OSError as error:
        raise _unwritable(output, error) from error
    click.echo(f"{output}: {len(read)} board{'s' if len(read) > 1 else ''}, {len(document) / 1e6:.1f} MB")


def _period(at: str, length: str) -> Period:
    from time import time

    from dashboards.preview.times import moment_of, seconds_of
    from dashboards.preview.variables import Period

    try:
        end = moment_of(at, time())
    except ValueError as error:
        raise click.UsageError(f"--at: {error}") from None
    try:
        return Period.of(end, seconds_of(length))
    except ValueError as error:
        raise click.UsageError(f"--range: {error}") from None


def _board(name: str) -> BoardJson:
    """A board by its name, or by the file of its JSON."""
    import json

    from catalog.boards import BOARDS
    from dashboards.preview.board_json import BoardError, read_board

    path = Path(name)
    try:
        if name in BOARDS:
            from dashboards.generate import board_by_name

            return read_board(board_by_name(name))
        if path.suffix == ".json" or path.is_file():
            return read_board(json.loads(path.read_bytes()))
    except OSError as error:
        raise click.UsageError(f"{name}: cannot be read: {error.strerror}; give a board's name or its JSON") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{name}: no JSON: {error}") from error
    except BoardError as error:
        raise click.UsageError(f"{name}: {error}") from error
    from difflib import get_close_matches

    close = get_close_matches(name, BOARDS, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(BOARDS)}"
    raise click.UsageError(f"{name!r} is no board; {hint}")


def _values_by_name(variables: Iterable[str]) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {}
    for one in variables:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"--variable: {one!r} is no NAME=VALUE; write it like model=llama-2-7b")
        chosen[name.strip()] = (*chosen.get(name.strip(), ()), value)
    return chosen


def _headers(written: Iterable[str]) -> dict[str, str]:
    headers = {}
    for one in written:
        name, colon, value = one.partition(":")
        if not colon or not name.strip().isascii() or not name.strip() or not value.strip().isprintable():
            raise click.UsageError("--header: write it like 'X-Scope-OrgID: team-a'")
        headers[name.strip()] = value.strip()
    return headers


def _check_variables(boards: list[BoardJson], chosen: dict[str, tuple[str, ...]]) -> None:
    from dashboards.preview.render import unknown_variables
    from dashboards.preview.variables import choosable

    unknown = unknown_variables(boards, list(chosen))
    if unknown:
        known = sorted({variable.name for board in boards for variable in choosable(board)})
        raise click.UsageError(f"--variable: no board has {unknown[0]!r}; there are {', '.join(known) or 'none'}")


def _unwritable(output: Path, error: OSError) -> click.UsageError:
    return click.UsageError(f"{output}: cannot be written ({error.strerror}); choose another --output")
