"""What is scraped: where an engine may answer, and the labels that say which replica it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from urllib.parse import urlsplit

from msgspec import Struct, field

from exporter.config import Target
from exporter.engines.fetch import Access
from exporter.pods.candidates import Candidate
from exporter.pods.pod import OWN_PREFIX

__all__ = ["EngineTarget", "configured", "discovered"]


class EngineTarget(Struct, frozen=True):
    """One replica. `urls` are tried in order until one is recognised as an engine; then that one is kept.

    `engine` skips recognition. `declared` says that somebody named it: then it is reported down before it ever
    answered, while a pod that merely might be an engine is reported once it was recognised.
    """

    urls: tuple[str, ...]
    namespace: str
    pod: str
    container: str
    engine: str = ""
    declared: bool = False
    access: Access = field(default_factory=Access)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells it from every other target of the node."""
        return self.namespace, self.pod, self.container

    def place(self, node: str) -> dict[str, str]:
        """Return the labels of all its series; those that are unknown are left out."""
        labels = {"node": node, "namespace": self.namespace, "pod": self.pod, "container": self.container}
        return {name: value for name, value in labels.items() if value}


def configured(target: Target) -> EngineTarget:
    """Return the target that a configuration names. Outside Kubernetes `pod` is its name, or host and port."""
    return EngineTarget(
        urls=(target.url,),
        namespace=target.namespace,
        pod=target.pod or target.name or urlsplit(target.url).netloc,
        container=target.container,
        engine=target.engine,
        declared=True,
        access=Access(
            target.bearer_token_file,
            target.username,
            target.password_file,
            target.ca_file,
            target.insecure_skip_verify,
        ),
    )


def discovered(candidates: Iterable[Candidate]) -> Iterator[EngineTarget]:
    """Return the targets among the node's pods: one a container, with its addresses in the order to try them."""
    ordered = sorted(candidates, key=_container)
    for (namespace, pod, container), found in groupby(ordered, key=_container):
        addresses = tuple(found)
        yield EngineTarget(
            urls=tuple(candidate.url for candidate in addresses),
            namespace=namespace,
            pod=pod,
            container=container,
            engine=addresses[0].engine_hint,
            declared=OWN_PREFIX in addresses[0].why or bool(addresses[0].engine_hint),
        )


def _container(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.namespace, candidate.pod, candidate.container
