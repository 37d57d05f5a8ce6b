"""A pod as far as the exporter needs it, the same from whichever source it comes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

# RFC 1123 subdomain, which the API server enforces for names of pods, and which namespaces and containers
# (labels) satisfy as well.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")

OWN_PREFIX = "inferwatch.dev/"
PROMETHEUS_PREFIX = "prometheus.io/"
"""What the annotations begin with that say where a pod's metrics are."""

FINISHED_PHASES = frozenset({"Succeeded", "Failed"})


class ContainerPort(Struct, frozen=True):
    """A port that a container declares. Declaring is voluntary: a port that is not declared may still be open."""

    name: str
    number: int


class Container(Struct, frozen=True):
    """A container of a pod. `ready` is its readiness probe's last result; one that is not ready is scraped too."""

    name: str
    ports: tuple[ContainerPort, ...] = ()
    ready: bool = False


class Pod(Struct, frozen=True):
    """A pod on this node. `ip` is empty until it has one; `phase` is Pending, Running, Succeeded or Failed.

    Of its annotations only those are kept that `metrics_annotations` gives.
    """

    namespace: str
    name: str
    uid: str = ""
    ip: str = ""
    phase: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name: what tells pods of one node apart."""
        return self.namespace, self.name


def is_name(text: str) -> bool:
    """Tell whether it can be the name of a namespace, pod or container (RFC 1123, at most 253 characters)."""
    return _NAME.fullmatch(text) is not None


def metrics_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that say where metrics are. Others may be long: whole manifests are kept in them."""
    return {name: value for name, value in annotations.items() if name.startswith((OWN_PREFIX, PROMETHEUS_PREFIX))}
