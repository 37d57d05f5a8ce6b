"""The options of `inferwatch diagnose` for stores of metrics and logs: Prometheus and what speaks its API, and Loki."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from inferwatch.commands.access_options import access_of, access_options, flag, given
from inferwatch.commands.diagnose_arguments import WINDOW, seconds_of
from inferwatch.commands.moments import unix_seconds

if TYPE_CHECKING:
    from troubleshoot.sources.access import Access
    from troubleshoot.sources.loki import LokiRequest
    from troubleshoot.stores import StoreRequest

STORE_WINDOW = "30m"
WINDOW_HELP = f"How long to watch a live URL [default: {WINDOW}], or how far back to look in a store [{STORE_WINDOW}]."
_LONGEST_SECONDS = 86_400.0

_F = TypeVar("_F", bound=Callable[..., Any])


_OPTIONS = (
    click.option("--prometheus", metavar="URL", default="", help="A Prometheus, Thanos, Mimir or VictoriaMetrics."),
    click.option("--selector", metavar="MATCHERS", default="", help='Whose series: \'model="x",namespace="y"\'.'),
    click.option(
        "--at", metavar="TIME", default="", help="The end of the window: 02:15, 2026-11-22T02:15Z, -20m. [now]"
    ),
    click.option(
        "--alert", metavar="NAME", default="", help="Look around this alert's start, at what its labels name."
    ),
    click.option("--loki", metavar="URL", default="", help="A Loki, for logs that are gone from the node."),
    click.option("--query", metavar="LOGQL", default="", help='Which logs of Loki: \'{namespace="y", pod="z"}\'.'),
    access_options("the stores; for the URLs of --metrics where no store is given"),
    click.option("--tenant", metavar="NAME", default="", help="Sent as X-Scope-OrgID (Mimir, Loki)."),
    click.option("--timeout", metavar="DURATION", default="30s", show_default=True, help="For one answer of a store."),
)


def store_options(command: _F) -> _F:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def window_of(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float | None:
    """Read `--window`; None where it is not given."""
    try:
        return None if text is None else seconds_of(text, _LONGEST_SECONDS)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


class Stores(NamedTuple):
    """What the options ask for. `live_seconds` is how long live URLs are watched, `access` how those let one in."""

    live_seconds: float
    store: StoreRequest | None = None
    loki: LokiRequest | None = None
    access: Access | None = None


def stores_of(
    ctx: click.Context, window_seconds: float | None, metrics: Sequence[str], options: Mapping[str, Any]
) -> Stores:
    """Make requests of the options, or raise a usage error. Nothing is read yet. `metrics` are those of `--metrics`."""
    if not options["prometheus"] and not options["loki"]:
        for name in ("selector", "at", "alert", "query"):
            if options[name]:
                raise click.UsageError(f"{flag(name)} needs --prometheus URL or --loki URL", ctx)
        return Stores(_live(window_seconds, ctx), access=_live_access(ctx, metrics, options))
    _check_pairs(ctx, options)
    from troubleshoot.sources.loki import LokiRequest
    from troubleshoot.sources.prometheus.selector import parse
    from troubleshoot.stores import StoreRequest

    access = access_of(ctx, options, options["timeout"])
    at_seconds = _at(ctx, options["at"])
    back = window_seconds or seconds_of(STORE_WINDOW)
    try:
        selection = parse(options["selector"]) if options["selector"] else ()
    except ValueError as error:
        raise click.UsageError(f"--selector: {error}", ctx) from None
    store = loki = None
    if options["prometheus"]:
        store = StoreRequest(options["prometheus"], selection, options["alert"], at_seconds, back, access)
    if options["loki"]:
        loki = LokiRequest(options["loki"], options["query"], at_seconds, back, access)
    return Stores(seconds_of(WINDOW), store, loki)


def _live_access(ctx: click.Context, metrics: Sequence[str], options: Mapping[str, Any]) -> Access | None:
    """What the options say for live URLs: only where there is no store, which its credentials are for."""
    first = given(options)
    if not first:
        return None
    from troubleshoot.sources.address import looks_like_url

    if not any(map(looks_like_url, metrics)):
        raise click.UsageError(f"{first} needs --prometheus URL, --loki URL or --metrics URL", ctx)
    return access_of(ctx, options)


def _live(window_seconds: float | None, ctx: click.Context) -> float:
    if window_seconds is None:
        return seconds_of(WINDOW)
    try:
        return seconds_of(str(window_seconds))
    except ValueError:
        raise click.UsageError("--window is out of range; write between 1s and 1h", ctx) from None


def _check_pairs(ctx: click.Context, options: Mapping[str, Any]) -> None:
    wrong = {
        "--prometheus needs --selector MATCHERS or --alert NAME": options["prometheus"]
        and not (options["selector"] or options["alert"]),
        "--selector and --alert need --prometheus URL": (options["selector"] or options["alert"])
        and not options["prometheus"],
        "--loki needs --query LOGQL": options["loki"] and not options["query"],
        "--query needs --loki URL": options["query"] and not options["loki"],
    }
    for problem, holds in wrong.items():
        if holds:
            raise click.UsageError(problem, ctx)


def _at(ctx: click.Context, text: str) -> float | None:
    if not text:
        return None
    try:
        return unix_seconds(text, datetime.now().astimezone())
    except ValueError as error:
        raise click.UsageError(f"--at: {error}", ctx) from None
