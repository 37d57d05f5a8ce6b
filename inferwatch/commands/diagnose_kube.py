"""The options of `inferwatch diagnose` for Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from troubleshoot.collect_kube import KubeRequest
    from troubleshoot.sources.kube.target import Target

_F = TypeVar("_F", bound=Callable[..., Any])
_METRICS = re.compile(r"(?P<port>[0-9]{1,5})(?:/[\w./-]{0,200})?")

_OPTIONS = (
    click.option(
        "--kube",
        metavar="[CONTEXT/]NAMESPACE/POD",
        default="",
        help="A pod, or NAMESPACE/deployment/NAME (statefulset, inferenceservice), or NAMESPACE with -l.",
    ),
    click.option("-l", "--kube-selector", metavar="LABELS", default="", help="Which pods of --kube NAMESPACE."),
)
_MORE_OPTIONS = (
    click.option("-c", "--container", metavar="NAME", default="", help="The engine's container. [the one that serves]"),
    click.option("--kubeconfig", metavar="FILE", default="", help="[$KUBECONFIG, else ~/.kube/config]"),
    click.option(
        "--kube-metrics", metavar="PORT[/PATH]", default="", help="Where the pod serves metrics. [as its ports say]"
    ),
)


def kube_options(command: _F) -> _F:
    """Add all options to a command."""
    for option in reversed((*_OPTIONS, *_MORE_OPTIONS)):
        command = option(command)
    return command


def pod_options(command: _F) -> _F:
    """Add those that do not say which pod."""
    for option in reversed(_MORE_OPTIONS):
        command = option(command)
    return command


def kube_of(
    ctx: click.Context, window_seconds: float, options: Mapping[str, Any], engine: str, symptom: str
) -> KubeRequest | None:
    """The request that the options make, None without `--kube`; raise a usage error. Nothing is read yet."""
    if not options["kube"]:
        for name in ("kube_selector", "container", "kubeconfig", "kube_metrics"):
            if options[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} needs --kube", ctx)
        return None
    from troubleshoot.sources.errors import InputError
    from troubleshoot.sources.kube.target import parse_target

    try:
        target = parse_target(options["kube"], options["kube_selector"])
    except InputError as error:
        raise click.UsageError(str(error), ctx) from None
    return request_of(ctx, target, window_seconds, options, engine, symptom)


def request_of(
    ctx: click.Context, target: Target, window_seconds: float, options: Mapping[str, Any], engine: str, symptom: str
) -> KubeRequest:
    """The request for a target."""
    from troubleshoot.collect_kube import KubeRequest
    from troubleshoot.sources.kube.replica import How

    metrics = options["kube_metrics"]
    match = _METRICS.fullmatch(metrics)
    if metrics and (match is None or not 0 < int(match["port"]) < 65536 or ".." in metrics):
        raise click.UsageError(f"--kube-metrics {metrics} is no port; write 8000 or 8000/metrics", ctx)
    how = How(window_seconds, options["container"], metrics)
    return KubeRequest(target, options["kubeconfig"], how, engine, symptom)
