"""From readings to lines: names and labels are made into bytes once, and kept until they change."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Literal

from msgspec import Struct

from catalog.gpu import GpuField
from exporter.exposition import Family, Section, label_text
from exporter.gpus.inventory import Identity
from exporter.gpus.mig import MigInstance
from exporter.gpus.owners import Owner

__all__ = ["Heads", "Labels", "Lines", "Spelling", "field_family", "labels_of", "spelled"]

Spelling = Literal["dcgm4", "dcgm4.6"]
Labels = Mapping[str, str]


def spelled(field: GpuField, spelling: Spelling) -> str:
    """Return the field's name as DCGM to 4.5 spells it, or as DCGM 4.6 does."""
    return field.name if spelling == "dcgm4" else field.name_46


def field_family(field: GpuField, spelling: Spelling) -> Family:
    """Return the family of a field; its type is the catalogue's, which corrects dcgm-exporter's."""
    kind: Literal["gauge", "counter"] = "counter" if field.kind == "counter" else "gauge"
    unit = "" if field.unit in ("bool", "code", "enum", "bitmask", "state", "status") else f" Unit: {field.unit}."
    return Family(spelled(field, spelling), kind, f"{field.meaning}{unit}")


def labels_of(
    identity: Identity,
    host: tuple[str, str],
    instance: MigInstance | None = None,
    texts: Iterable[tuple[str, str]] = (),
    owner: Owner | None = None,
) -> Labels:
    """Return the labels of a GPU's or an instance's series in dcgm-exporter's order; `host` is name and value.

    An instance's series have its GPU's UUID, as dcgm-exporter's have.
    """
    labels = {
        "gpu": str(identity.index),
        "UUID": identity.uuid,
        "pci_bus_id": identity.pci_bus_id,
        "device": f"nvidia{identity.index}",
        "modelName": identity.name,
    }
    if instance is not None:
        labels |= {"GPU_I_PROFILE": instance.profile, "GPU_I_ID": str(instance.id)}
    labels[host[0]] = host[1]
    labels.update(texts)
    if owner is not None:
        labels |= {"namespace": owner.namespace, "pod": owner.pod, "container": owner.container}
    return labels


def own_labels(identity: Identity, host: tuple[str, str], instance: MigInstance | None = None) -> Labels:
    """Return the labels of our own series: DCGM's, but for `modelName`, which is no Prometheus style."""
    named = labels_of(identity, host, instance)
    return {"model_name" if label == "modelName" else label: value for label, value in named.items()}


class Heads:
    """The text up to the value of all series of one thing, kept until what its labels come from changes."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._names = tuple(family.name for family in families)
        self._kept: dict[Hashable, tuple[Hashable, tuple[bytes, ...]]] = {}
        self._asked: set[Hashable] = set()

    def of(
        self,
        key: Hashable,
        identity: Identity,
        host: tuple[str, str],
        instance: MigInstance | None,
        texts: tuple[tuple[str, str], ...],
        owner: Owner | None,
    ) -> tuple[bytes, ...]:
        """Return the heads in the order of the families, each with the space before the value."""
        self._asked.add(key)
        origin = (identity, instance, texts, owner)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == origin:
            return kept[1]
        inside = label_text(labels_of(identity, host, instance, texts, owner))
        heads = tuple(f"{name}{{{inside}}} ".encode() for name in self._names)
        self._kept[key] = (origin, heads)
        return heads

    def forget_unasked(self) -> None:
        """Drop the heads of what has not been asked for since the last call: instances come and go."""
        if len(self._kept) > len(self._asked):
            self._kept = {key: kept for key, kept in self._kept.items() if key in self._asked}
        self._asked.clear()


class Lines(Struct):
    """Lines by family, as they come."""

    blocks: dict[Family, list[bytes]]

    def add(self, family: Family, inside: str, value: float) -> None:
        """Add one series; `inside` is the text between its braces."""
        self.blocks.setdefault(family, []).append(f"{family.name}{{{inside}}} ".encode() + number(value) + b"\n")

    def section(self) -> Section:
        """Return the lines joined."""
        return {family: b"".join(block) for family, block in self.blocks.items() if block}


def number(value: float) -> bytes:
    """Return a finite value: whole ones as they are, others with all their digits."""
    if isinstance(value, int):
        return b"%d" % value
    return b"%d" % value if value.is_integer() and abs(value) < 1e15 else repr(value).encode()
