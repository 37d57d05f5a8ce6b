"""Objects that a controller makes of another object: what stands at the top is checked, and what it makes is not.

Source: `metadata.ownerReferences` with `controller: true` (Kubernetes' garbage collection). KServe's serverless mode
has Knative's objects between its service and the Deployment, and a LeaderWorkerSet's workers are owned by the leader's
pod: both put the name of the first owner into a label of all that they make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from troubleshoot.preflight.kinds import READERS
from troubleshoot.preflight.objects import Field, KubeObject, Origin

_BY_LABEL: Mapping[str, str] = MappingProxyType(
    {
        "serving.kserve.io/inferenceservice": "InferenceService",
        "leaderworkerset.sigs.k8s.io/name": "LeaderWorkerSet",
    }
)
_REPLICAS: Final = frozenset({"Pod", "ReplicaSet"})
_MAKE_REPLICAS: Final = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"})
_SCALERS: Final = "HorizontalPodAutoscaler"


class Maker(NamedTuple):
    """The object whose controller makes another."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Parted(NamedTuple):
    """`kept` are made by people, `unmade` are made by something that was not read or is of no kind that is checked."""

    kept: tuple[KubeObject, ...]
    unmade: tuple[tuple[KubeObject, Maker], ...]


def maker_of(item: KubeObject) -> Maker | None:
    """The one controller that owns an object."""
    for owner in item.root.at("metadata", "ownerReferences").items():
        if owner.at("controller").value is True and owner.at("kind").text:
            root = {"apiVersion": owner.at("apiVersion").text, "kind": owner.at("kind").text}
            return Maker(KubeObject(Field(root, Origin())).kind, owner.at("name").text)
    return None


def is_replica(kind: str, value: Mapping[str, Any]) -> bool:
    """Whether it is one of the Pods or ReplicaSets that built-in controllers make, of which a cluster has thousands."""
    maker = maker_of(KubeObject(Field(value, Origin()))) if kind in _REPLICAS else None
    return maker is not None and maker.kind in _MAKE_REPLICAS


def part(objects: Iterable[KubeObject], others: Iterable[KubeObject] = ()) -> Parted:
    """Leave out what controllers make of objects that are checked, of `others` as well.

    Pods and ReplicaSets are left out whoever makes them; of the rest, what an unknown kind makes (another operator's)
    is what defines its pods, and is kept.
    """
    everything = tuple(objects)
    there = {(item.kind, item.namespace, item.name) for item in (*everything, *others)}
    kept, unmade = [], []
    for item in everything:
        maker = maker_of(item)
        if maker is None or (item.kind not in READERS and item.kind != _SCALERS):
            kept.append(item)
        elif any((*found[:1], item.namespace, found[1]) in there for found in _candidates(item, maker)):
            continue
        elif item.kind == _SCALERS or not _is_made_by_known(item, maker):
            kept.append(item)
        elif item.kind not in _REPLICAS or maker.kind not in _MAKE_REPLICAS:
            unmade.append((item, maker))
    return Parted(tuple(kept), tuple(unmade))


def _candidates(item: KubeObject, maker: Maker) -> list[Maker]:
    labels = item.root.at("metadata", "labels").labels
    return [maker, *(Maker(kind, labels[label]) for label, kind in _BY_LABEL.items() if labels.get(label))]


def _is_made_by_known(item: KubeObject, maker: Maker) -> bool:
    """Whether it is no more than a replica, or what defines it is an object of a kind that is checked."""
    return item.kind in _REPLICAS or any(found.kind in READERS for found in _candidates(item, maker))
