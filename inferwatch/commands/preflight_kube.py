"""The options of `inferwatch preflight` for Kubernetes: what is deployed instead of manifests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from troubleshoot.sources.kube.target import Target

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--kube",
        is_flag=False,
        flag_value="",
        default=None,
        metavar="[TARGET]",
        help="What is deployed: [[CONTEXT/]NAMESPACE/]deployment/NAME (statefulset, daemonset, leaderworkerset, "
        "inferenceservice, llminferenceservice, pod), or a NAMESPACE. [the context's namespace]",
    ),
    click.option("-n", "--namespace", metavar="NAME", default="", help="Namespace of --kube. [the context's]"),
    click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces."),
    click.option("--context", "kube_context", metavar="NAME", default="", help="[the kubeconfig's current one]"),
    click.option("--kubeconfig", metavar="FILE", default="", help="[$KUBECONFIG, else ~/.kube/config]"),
)
_FLAGS = {
    "namespace": "--namespace",
    "all_namespaces": "--all-namespaces",
    "kube_context": "--context",
    "kubeconfig": "--kubeconfig",
}


def kube_options(command: _F) -> _F:
    """Add all options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def target_of(manifests: tuple[str, ...], options: Mapping[str, Any]) -> Target | None:
    """What the options name, None without `--kube`; raise a usage error. Nothing is read yet."""
    if options["kube"] is None:
        for name, flag in _FLAGS.items():
            if options[name]:
                raise click.UsageError(f"{flag} needs --kube")
        return None
    if manifests:
        raise click.UsageError(f"--kube checks what is deployed, {manifests[0]} is a manifest: give one of them")
    if options["all_namespaces"] and (options["kube"] or options["namespace"]):
        raise click.UsageError("--all-namespaces is given besides a namespace or workload; give one of them")
    from dataclasses import replace

    from troubleshoot.sources.errors import InputError
    from troubleshoot.sources.kube.target import parse_checked

    try:
        found = parse_checked(options["kube"], options["namespace"], options["kube_context"])
    except InputError as error:
        raise click.UsageError(str(error)) from None
    return replace(found, kind="everywhere") if options["all_namespaces"] else found
