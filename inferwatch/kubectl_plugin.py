"""`kubectl inferwatch`: `inferwatch diagnose --kube` under kubectl's usual flags.

kubectl runs the program `kubectl-inferwatch` of the PATH with the words behind `inferwatch`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from inferwatch.cli import STATUS_BROKEN_PIPE, drop_output, run_command
from inferwatch.commands.diagnose import report_options, reported
from inferwatch.commands.diagnose_arguments import WINDOW, Arguments, seconds_of
from inferwatch.commands.diagnose_kube import pod_options, request_of
from inferwatch.version import VERSION


def _window(_ctx: click.Context, _param: click.Parameter, text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("kubectl inferwatch", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("target", metavar="[POD | KIND/NAME]", required=False, default="")
@click.option("-n", "--namespace", metavar="NAME", default="", help="[the context's]")
@click.option("--context", "kube_context", metavar="NAME", default="", help="[the kubeconfig's current one]")
@click.option("-l", "--selector", metavar="LABELS", default="", help="Pods by their labels, instead of a name.")
@pod_options
@click.option(
    "--window", metavar="DURATION", default=WINDOW, show_default=True, callback=_window, help="How long to watch."
)
@report_options
@click.version_option(VERSION, prog_name="kubectl-inferwatch", message="%(prog)s %(version)s")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    namespace: str,
    kube_context: str,
    selector: str,
    window: float,
    report: Any,
    output: Path | None,
    fail_on: str,
    engine: str | None,
    symptom: str | None,
    **options: Any,
) -> None:
    """Say what is wrong with the inference engine of a pod, or of all replicas of a workload, and what to change.

    KIND is deployment, statefulset or inferenceservice. Nothing in the cluster is changed.
    Exit status: 0 healthy, 1 a finding at or above --fail-on, 2 bad usage or nothing read, 3 inconclusive.
    """
    from troubleshoot.sources.errors import InputError
    from troubleshoot.sources.kube.target import plugin_target

    try:
        found = plugin_target(target, namespace, kube_context, selector)
    except InputError as error:
        raise click.UsageError(str(error), ctx) from None
    kube = request_of(ctx, found, window, options, engine or "", symptom or "")
    ctx.exit(reported(Arguments((), report=report, fail_on=fail_on, kube=kube), output))


def main() -> None:
    """Run the plugin and exit with its status."""
    try:
        run_command(command, "kubectl inferwatch")
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
        sys.exit(STATUS_BROKEN_PIPE)


if __name__ == "__main__":
    main()
