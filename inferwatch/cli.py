"""The command line's entry: `inferwatch SUBCOMMAND`, each subcommand imported only when it is called."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import click

from inferwatch.version import VERSION

# Shells report a process that SIGPIPE or SIGINT ended as 128 plus the signal's number.
STATUS_BROKEN_PIPE = 141
STATUS_INTERRUPTED = 130
_STATUS_USAGE = 2
_OBJECTS_A_COLLECTION = 50_000


class _Entry(NamedTuple):
    """A subcommand: `target` is `module:attribute`, `summary` its line in `inferwatch --help`."""

    target: str
    summary: str


_COMMANDS = {
    "diagnose": _Entry(
        "inferwatch.commands.diagnose:command",
        "Say what is wrong with an inference server, why, and what to change.",
    ),
    "plan": _Entry(
        "inferwatch.commands.plan:command",
        "Say what a model needs and gives on given GPUs, or which GPUs a load needs.",
    ),
    "preflight": _Entry(
        "inferwatch.commands.preflight:command",
        "Check Kubernetes manifests of inference servers before they are applied.",
    ),
    "exporter": _Entry(
        "inferwatch.commands.exporter:command",
        "Serve a node's GPUs and inference engines to Prometheus, under one schema.",
    ),
    "alerts": _Entry(
        "inferwatch.commands.alerts:command",
        "Write, check and explain the Prometheus rules.",
    ),
    "dashboards": _Entry(
        "inferwatch.commands.dashboards:command",
        "Write, check, list, import and preview the Grafana boards.",
    ),
    "explain": _Entry(
        "inferwatch.commands.explain:command",
        "Explain a cause that a diagnosis can name.",
    ),
    "demo": _Entry(
        "inferwatch.commands.demo:command",
        "Diagnose a recorded engine that is played back live: no GPU needed.",
    ),
    "record": _Entry(
        "inferwatch.commands.record:command",
        "Take down log and metrics of a running engine, masked, to diagnose elsewhere.",
    ),
    "replay": _Entry(
        "inferwatch.commands.replay:command",
        "Serve a recording of a real engine as if it were running.",
    ),
}


class _LazyGroup(click.Group):
    """A group that knows its subcommands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a reader that went away (`| head`) ends it without a word."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            drop_output()
            ctx.exit(STATUS_BROKEN_PIPE)
        return result


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="inferwatch", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context) -> None:
    """Observability and SRE toolkit for LLM inference."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line and exit with its status; a subcommand sets it with `ctx.exit(status)`.

    Bad usage and unreadable input exit with 2 and one line on standard error.
    """
    run_command(root, "inferwatch")


def run_command(command: click.Command, name: str) -> None:
    """Run a command of that name as `main` does."""
    try:
        with _rare_collections():
            status = command.main(prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        click.echo(_one_line(error, name), err=True)
        sys.exit(_STATUS_USAGE)
    except click.Abort:
        sys.exit(STATUS_INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def drop_output() -> None:
    """After a broken pipe: what is still buffered would fail again when the interpreter flushes it on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect garbage rarely, and none of what is left at the end: a tenth of a short run would go into it."""
    thresholds = gc.get_threshold()
    gc.set_threshold(_OBJECTS_A_COLLECTION, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.freeze()


def _one_line(error: click.ClickException, name: str) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else name
    message = " ".join(error.format_message().split())
    return f"{command}: {message}" + (f" (see {command} --help)" if context else "")
