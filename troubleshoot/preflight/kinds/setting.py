"""What a reader may look up beside the object itself: ConfigMaps and serving runtimes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from troubleshoot.preflight.command_line import words_of
from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.workload import Container


@dataclass(frozen=True, slots=True)
class Setting:
    """The objects that others refer to by name, by (kind, namespace, name). Of the `unread` kinds not all are known."""

    named: Mapping[tuple[str, str, str], KubeObject]
    unread: Collection[str] = ()

    @staticmethod
    def of(objects: Iterable[KubeObject], unread: Collection[str] = ()) -> Setting:
        """Collect them."""
        kinds = {"ConfigMap", "ServingRuntime", "ClusterServingRuntime"}
        return Setting({(item.kind, item.namespace, item.name): item for item in objects if item.kind in kinds}, unread)

    def containers(self, pod: Field, namespace: str) -> tuple[Container, ...]:
        """The containers of a pod, with the scripts that ConfigMaps give them."""
        maps = {
            name: item for (kind, where, name), item in self.named.items() if (kind, where) == ("ConfigMap", namespace)
        }
        return tuple(Container(item, words_of(item, pod, maps)) for item in pod.at("containers").items())

    def runtime(self, name: str, namespace: str) -> KubeObject | None:
        """The serving runtime of this name: the namespace's own before the cluster's, None where that is not known."""
        own = self.named.get(("ServingRuntime", namespace, name))
        if own is None and "ServingRuntime" in self.unread:
            return None
        return own or self.named.get(("ClusterServingRuntime", "", name))
