"""What an installation is called, and what the values ask of the cluster."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from exporter.deploy.values import Object, Values

__all__ = [
    "NAME",
    "NAMESPACE",
    "Release",
    "asks_api_server",
    "asks_pods_api",
    "metadata",
    "reads_processes",
    "selector",
]

NAME = "inferwatch-exporter"
NAMESPACE = "inferwatch"


class Release(Struct, frozen=True):
    """What an installation is called. `version` is the image's, where the values name none."""

    version: str
    name: str = NAME
    namespace: str = NAMESPACE


def _discovery(values: Values) -> str:
    return str(values.config.get("kubernetes", {}).get("discovery", "auto"))


def asks_api_server(values: Values) -> bool:
    """Whether pods are asked of the API server, which takes a token and a ClusterRole."""
    return _discovery(values) in {"auto", "api_server"}


def asks_pods_api(values: Values) -> bool:
    """Whether pods are asked of the kubelet's Pods API, which takes its socket."""
    return _discovery(values) in {"auto", "pods_api"}


def reads_processes(values: Values) -> bool:
    """Whether processes are told apart, which takes the node's process ids."""
    return bool(values.config.get("gpu", {}).get("processes", False))


def selector(release: Release) -> dict[str, str]:
    """Return the labels that tell this installation's pods from all others."""
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": release.name}


def metadata(release: Release, name: str | None = None, labels: Mapping[str, str] | None = None) -> Object:
    """Return an object's metadata; `labels` are more labels."""
    return {
        "name": name or release.name,
        "namespace": release.namespace,
        "labels": {**selector(release), "app.kubernetes.io/version": release.version, **(labels or {})},
    }
