"""The join: which containers hold which GPU, from what the kubelet assigned and which GPUs there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from types import MappingProxyType

from msgspec import Struct, field

from catalog.signals import SIGNALS
from exporter.exposition import Family, Section, series_head
from exporter.gpus.owners import Owner
from exporter.pods.device_ids import DRA_DRIVER, DeviceId, is_gpu_resource, parse_device_id
from exporter.pods.kubelet import Assignment
from exporter.pods.pod import is_name
from exporter.pods.problems import Reason

PodKey = tuple[str, str]
"""Namespace and name of a pod."""


class DeviceInventory(Struct, frozen=True):
    """The node's GPUs by the names that device plugins use.

    `gpus`: minor number (/dev/nvidiaN) -> GPU UUID. `instances`: (minor number, GPU instance) -> MIG UUID.
    """

    gpus: Mapping[int, str] = field(default_factory=dict)
    instances: Mapping[tuple[int, int], str] = field(default_factory=dict)


class GpuOwners(Struct, frozen=True):
    """Who holds which device.

    `by_device` maps a GPU's or MIG instance's UUID to its holders, sorted; a MIG instance's holder does not
    appear at the parent GPU. `holders` maps a pod to its containers that hold a GPU, those whose device could
    not be told included. `section` has one info series for each pair. `dropped` counts devices that could not
    be attributed, by reason.
    """

    by_device: Mapping[str, tuple[Owner, ...]] = field(default_factory=dict)
    holders: Mapping[PodKey, frozenset[str]] = field(default_factory=dict)
    section: Section = field(default_factory=dict)
    dropped: Mapping[Reason, int] = field(default_factory=dict)


def join_owners(
    assignments: Iterable[Assignment],
    inventory: DeviceInventory,
    *,
    gpu_resources: Collection[str] = (),
    finished: Collection[PodKey] = (),
) -> GpuOwners:
    """Join assignments with the inventory.

    `gpu_resources` are resource names beside NVIDIA's own. `finished` pods are left out: kubelets up to 1.33
    go on reporting the devices of pods that have ended (kubernetes/kubernetes#132020).
    """
    held: dict[str, set[Owner]] = {}
    holders: dict[PodKey, set[str]] = {}
    dropped: Counter[Reason] = Counter()
    for assignment in assignments:
        if not _is_gpu(assignment, gpu_resources) or (assignment.namespace, assignment.pod) in finished:
            continue
        if not all(map(is_name, (assignment.namespace, assignment.pod, assignment.container))):
            dropped["bad_name"] += 1
            continue
        holders.setdefault((assignment.namespace, assignment.pod), set()).add(assignment.container)
        uuid, reason = _device_uuid(assignment, inventory)
        if reason is not None:
            dropped[reason] += 1
        else:
            held.setdefault(uuid, set()).add(Owner(assignment.namespace, assignment.pod, assignment.container))
    by_device = {uuid: tuple(sorted(owners)) for uuid, owners in sorted(held.items())}
    return GpuOwners(
        by_device=MappingProxyType(by_device),
        holders=MappingProxyType({pod: frozenset(containers) for pod, containers in holders.items()}),
        section=_section(by_device),
        dropped=MappingProxyType(dict(dropped)),
    )


def _is_gpu(assignment: Assignment, gpu_resources: Collection[str]) -> bool:
    if assignment.dynamic:
        return assignment.resource == DRA_DRIVER
    return is_gpu_resource(assignment.resource, gpu_resources)


def _device_uuid(assignment: Assignment, inventory: DeviceInventory) -> tuple[str, Reason | None]:
    """The device's UUID, or why there is none."""
    if assignment.dynamic:
        # A claimed device's UUID is an attribute of its ResourceSlice, which only the API server has.
        return "", "dra_device"
    device = parse_device_id(assignment.device_id)
    if device is None:
        return "", "unknown_shape"
    uuid = device.uuid or _looked_up(device, inventory)
    return (uuid, None) if uuid else ("", "unknown_device")


def _looked_up(device: DeviceId, inventory: DeviceInventory) -> str:
    index = device.index
    if device.parent:
        index = next((number for number, uuid in inventory.gpus.items() if uuid == device.parent), None)
    if index is None:
        return ""
    if device.gpu_instance is None:
        return inventory.gpus.get(index, "")
    return inventory.instances.get((index, device.gpu_instance), "")


@cache
def _family() -> Family:
    signal = SIGNALS["inferwatch_pod_gpu_info"]
    return Family(signal.name, "gauge", signal.meaning)


def _section(by_device: Mapping[str, tuple[Owner, ...]]) -> Section:
    family = _family()
    order = SIGNALS[family.name].labels
    lines: list[str] = []
    for uuid, owners in by_device.items():
        for owner in owners:
            labels = {"namespace": owner.namespace, "pod": owner.pod, "container": owner.container, "UUID": uuid}
            lines.append(f"{series_head(family.name, {name: labels[name] for name in order})} 1\n")
    return MappingProxyType({family: "".join(sorted(lines)).encode()} if lines else {})
