"""The options by which stores and live endpoints let one in, for every command that reads some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inferwatch.commands.diagnose_arguments import seconds_of

if TYPE_CHECKING:
    from troubleshoot.sources.access import Access

_LONGEST_WAIT_SECONDS = 600.0

_F = TypeVar("_F", bound=Callable[..., Any])

ACCESS = (
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
"""The options by their names in Python."""


def _file(flag: str, meaning: str) -> Callable[[_F], _F]:
    return click.option(flag, metavar="FILE", default="", help=meaning)


def access_options(whose: str) -> Callable[[_F], _F]:
    """Return what adds the options to a command; `whose` says for the first of them whom they are for."""
    options = (
        _file("--bearer-token-file", f"Token for {whose}."),
        click.option("--basic-user", metavar="NAME", default="", help="User name instead of a token."),
        _file("--basic-password-file", "Its password."),
        _file("--tls-ca", "PEM certificates that the server's is judged by."),
        _file("--tls-cert", "PEM certificate to show the server."),
        _file("--tls-key", "Its key, where it stands in another file."),
        click.option("--tls-insecure", is_flag=True, help="Do not check the server's certificate."),
        _file("--headers-file", "More headers, one `Name: value` a line."),
    )

    def add(command: _F) -> _F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def flag(name: str) -> str:
    """An option as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def given(options: Mapping[str, Any]) -> str:
    """The first of the options that is given, as it is written; empty for none."""
    return next((flag(name) for name in ACCESS if options.get(name)), "")


def access_of(ctx: click.Context, options: Mapping[str, Any], timeout: str = "") -> Access:
    """Make an `Access` of the options, or raise a usage error; no file is read yet. Not all commands have a tenant."""
    tenant: str = options.get("tenant", "")
    wrong = {
        "--basic-password-file needs --basic-user": options["basic_password_file"] and not options["basic_user"],
        "give --bearer-token-file or --basic-user, not both": options["bearer_token_file"] and options["basic_user"],
        "--tls-key needs --tls-cert": options["tls_key"] and not options["tls_cert"],
        "--tenant is no header's value: write printable ASCII": not tenant.isprintable() or not tenant.isascii(),
    }
    for problem, holds in wrong.items():
        if holds:
            raise click.UsageError(problem, ctx)
    from troubleshoot.sources.access import TIMEOUT_SECONDS, Access

    try:
        timeout_seconds = seconds_of(timeout, _LONGEST_WAIT_SECONDS) if timeout else TIMEOUT_SECONDS
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
        tenant,
        options["headers_file"],
        timeout_seconds,
    )
