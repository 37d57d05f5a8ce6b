"""`inferwatch explain`: what a cause means and what to do about it."""

from __future__ import annotations

import difflib
import re
import sys

import click

from runbooks import PAGES, family, page, title

_FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK_TO_PAGE = re.compile(r"\[(\w+)\]\(\1\.md\)")


def _print_list(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    width = max(map(len, PAGES))
    for cause in PAGES:
        click.echo(f"{cause:<{width}}  {family(cause):<10}  {title(cause)}")
    ctx.exit()


@click.command("explain")
@click.argument("cause", metavar="CAUSE")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_list,
    help="List all causes with family and title, and exit.",
)
def command(*, cause: str) -> None:
    """Explain CAUSE, an id that `inferwatch diagnose` names: meaning, impact, diagnosis, mitigation.

    The runbook is laid out on a terminal and plain Markdown in a pipe or a file.
    """
    if cause not in PAGES:
        raise click.UsageError(f"unknown cause {cause!r}{_suggestion(cause)}; --list shows all causes")
    if sys.stdout.isatty():
        _print_laid_out(page(cause))
    else:
        click.echo(page(cause), nl=False)


def _suggestion(cause: str) -> str:
    """The known ids nearest to what was typed: by spelling, or those that hold all its words."""
    typed = cause.lower().replace("-", "_")
    near = difflib.get_close_matches(typed, PAGES, n=3, cutoff=0.6)
    if typed:
        near += [known for known in PAGES if known not in near and all(w in known for w in typed.split("_"))]
    return f": did you mean {' or '.join(near[:3])}?" if near else ""


def _print_laid_out(text: str) -> None:
    """Draw Markdown with rich, which leaves colours out when NO_COLOR is set.

    Code blocks are printed apart from the prose, one line each however narrow the terminal is: a command that
    was wrapped could not be pasted.
    """
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.text import Text

    console = Console()
    for number, part in enumerate(_FENCE.split(_LINK_TO_PAGE.sub(r"`\1`", text))):
        if not part.strip():
            continue
        if number % 2:
            console.print(Text(part.rstrip("\n"), style="cyan"), soft_wrap=True)
        else:
            console.print(Markdown(part, hyperlinks=False))
        console.print()
