"""The options of `inferwatch diagnose` for stores of metrics and logs: Prometheus and what speaks its API, and Loki."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from inferwatch.commands.diagnose_arguments import WINDOW, seconds_of
from inferwatch.commands.moments import unix_seconds

if TYPE_CHECKING:
    from troubleshoot.sources.access import Access
    from troubleshoot.sources.loki import LokiRequest
    from troubleshoot.stores import StoreRequest

STORE_WINDOW = "30m"
WINDOW_HELP = f"How long to watch a live URL [default: {WINDOW}], or how far back to look in a store [{STORE_WINDOW}]."
_LONGEST_SECONDS = 86_400.0
_LONGEST_WAIT_SECONDS = 600.0

_F = TypeVar("_F", bound=Callable[..., Any])


def _file(flag: str, meaning: str) -> Callable[[_F], _F]:
    return click.option(flag, metavar="FILE", default="", help=meaning)


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
    _file("--bearer-token-file", "Token for the stores."),
    click.option("--basic-user", metavar="NAME", default="", help="User name for the stores."),
    _file("--basic-password-file", "Its password."),
    _file("--tls-ca", "PEM certificates that the stores' are judged by."),
    _file("--tls-cert", "PEM certificate to show the stores."),
    _file("--tls-key", "Its key, where it stands in another file."),
    click.option("--tls-insecure", is_flag=True, help="Do not check the stores' certificates."),
    click.option("--tenant", metavar="NAME", default="", help="Sent as X-Scope-OrgID (Mimir, Loki)."),
    _file("--headers-file", "More headers for the stores, one `Name: value` a line."),
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
    """What the options ask for. `live_seconds` is how long live URLs are watched."""

    live_seconds: float
    store: StoreRequest | None = None
    loki: LokiRequest | None = None


def stores_of(ctx: click.Context, window_seconds: float | None, options: Mapping[str, Any]) -> Stores:
    """Make requests of the options, or raise a usage error. Nothing is read yet."""
    if not options["prometheus"] and not options["loki"]:
        for name in ("selector", "at", "alert", "query", *_ACCESS):
            if options[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} needs --prometheus URL or --loki URL", ctx)
        return Stores(_live(window_seconds, ctx))
    _check_pairs(ctx, options)
    from troubleshoot.sources.loki import LokiRequest
    from troubleshoot.sources.prometheus.selector import parse
    from troubleshoot.stores import StoreRequest

    access = _access(ctx, options)
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


_ACCESS = (
    "bearer_token_file",
    "basic_user",
    "basic_password_file",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_insecure",
    "tenant",
    "headers_file",
)


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
        "--basic-password-file needs --basic-user": options["basic_password_file"] and not options["basic_user"],
        "give --bearer-token-file or --basic-user, not both": options["bearer_token_file"] and options["basic_user"],
        "--tls-key needs --tls-cert": options["tls_key"] and not options["tls_cert"],
    }
    for problem, holds in wrong.items():
        if holds:
            raise click.UsageError(problem, ctx)


def _access(ctx: click.Context, options: Mapping[str, Any]) -> Access:
    from troubleshoot.sources.access import Access

    if not options["tenant"].isprintable() or not options["tenant"].isascii():
        raise click.UsageError("--tenant is no header's value: write printable ASCII", ctx)
    try:
        timeout_seconds = seconds_of(options["timeout"], _LONGEST_WAIT_SECONDS)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}", ctx) from None
    return Access(
        options["bearer_token_file"],
        options["basic_user"],
        options["basic_password_file"],
        options["tls_ca"],
        options["tls_cert"],
        options["tls_key"],
        options["tls_insecure"],
        options["tenant"],
        options["headers_file"],
        timeout_seconds,
    )


def _at(ctx: click.Context, text: str) -> float | None:
    if not text:
        return None
    try:
        return unix_seconds(text, datetime.now().astimezone())
    except ValueError as error:
        raise click.UsageError(f"--at: {error}", ctx) from None
