"""What one reading of a GPU does: the selected fields as few NVML calls, worked out once.

Fields with the same call share it. Each value has a slot: its place in the reading's list of values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pynvml
from msgspec import Struct

from catalog.gpu import GpuField
from exporter.gpus.fields import (
    ALL_LINKS,
    CallRead,
    FromXids,
    GpmRead,
    Limits,
    LinkRate,
    NotRead,
    Read,
    TextRead,
    ThrottleWindow,
    ValueRead,
    converted,
    limits_of,
    read_of,
    refusal,
)
from exporter.gpus.reasons import Counts

__all__ = ["Plan", "PlannedCall", "PlannedLink", "PlannedText", "PlannedValue", "Slot", "is_total", "itself", "plan_of"]

_SMALLEST_BLANK = 0x7FFFFFF0
_ANY = Limits(float("inf"), is_wide=False)
_ANY_WIDE = Limits(float("inf"), is_wide=True)


class Slot(Struct, frozen=True):
    """Where a field's value goes, and what it may be. `is_raw`: NVML gives it in the field's unit.

    What lies between 0 and `plain_maximum` is a value as it stands; -1 where there is always more to do (`accept`).
    """

    index: int
    field: GpuField
    limits: Limits
    is_raw: bool

    @property
    def plain_maximum(self) -> float:
        """The largest raw value that is neither a blank, nor absurd, nor to be converted."""
        return min(self.limits.maximum, _SMALLEST_BLANK - 1) if self.is_raw else -1

    def accept(self, raw: float, counts: Counts) -> float | None:
        """Return NVML's value in the field's unit; None, and the reason counted, for one that is none."""
        # A blank is one before conversion: a scale would hide it.
        reason = None if 0 <= raw < _SMALLEST_BLANK else refusal(_ANY_WIDE if self.limits.is_wide else _ANY, raw)
        if reason is None:
            value = raw if self.is_raw else converted(self.field, raw)
            if 0 <= value <= self.limits.maximum and value < _SMALLEST_BLANK:
                return 1.0 if value > 1 and self.field.unit == "ratio" else value
            reason = refusal(self.limits, value)
            if reason is None:
                return value
        counts.add(reason)
        return None


class PlannedCall(Struct, frozen=True):
    """One NVML function and the fields that its result gives.

    `functions` are tried in turn: the name of today, then that of older or newer libraries. `when_unsupported` is
    the value where the GPU knows nothing of the kind.
    """

    functions: tuple[str, ...]
    arguments: tuple[int, ...]
    outputs: tuple[tuple[Slot, Callable[[Any], float]], ...]
    every_seconds: float
    when_unsupported: float | None = None


class PlannedValue(Struct, frozen=True):
    """One entry of nvmlDeviceGetFieldValues; without a slot it is a counter that links are reckoned from."""

    field_id: int
    scope: int
    as_type: str
    slot: Slot | None
    every_seconds: float


class PlannedLink(Struct, frozen=True):
    """The traffic of one NVLink or of all."""

    read: LinkRate
    slot: Slot


class PlannedText(Struct, frozen=True):
    """A text that becomes the label `field`."""

    field: GpuField
    function: str
    arguments: tuple[int, ...]
    is_of_system: bool


class Plan(Struct, frozen=True):
    """A reading. `fields` are those with a slot, in order; `instance_calls` are asked of MIG instances too."""

    fields: tuple[GpuField, ...]
    calls: tuple[PlannedCall, ...]
    instance_calls: tuple[PlannedCall, ...]
    values: tuple[PlannedValue, ...]
    links: tuple[PlannedLink, ...]
    gpm: tuple[tuple[int, Slot], ...]
    texts: tuple[PlannedText, ...]
    last_xid: Slot | None
    xid_window: GpuField | None
    throttle_window: GpuField | None
    not_read: Mapping[str, str]
    """Selected fields that NVML does not give, and why."""


# The names that other driver generations have: throttle reasons before 535, temperature from CUDA 13 on.
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "nvmlDeviceGetCurrentClocksEventReasons": "nvmlDeviceGetCurrentClocksThrottleReasons",
        "nvmlDeviceGetTemperature": "nvmlDeviceGetTemperatureV",
    }
)


def plan_of(fields: Iterable[GpuField]) -> Plan:
    """Work out the reading of these fields."""
    reads = [(field, read_of(field)) for field in fields]
    with_slot = [(field, read) for field, read in reads if _has_slot(read)]
    slots = {
        field: Slot(index, field, limits_of(field), field.scale == 1 and field.unit != "ratio")
        for index, (field, _) in enumerate(with_slot)
    }
    calls: dict[tuple[str, str], list[tuple[Slot, CallRead]]] = {}
    links: list[PlannedLink] = []
    for field, read in with_slot:
        if isinstance(read, CallRead):
            calls.setdefault((read.function, read.argument), []).append((slots[field], read))
        elif isinstance(read, LinkRate):
            links.append(PlannedLink(read, slots[field]))
    planned = tuple(_call(group) for group in calls.values())
    return Plan(
        fields=tuple(slots),
        calls=planned,
        instance_calls=tuple(call for call in planned if call.outputs[0][0].field.entity == "instance"),
        values=(
            *(_value(slots[field], read) for field, read in with_slot if isinstance(read, ValueRead)),
            *_link_counters(links),
        ),
        links=tuple(links),
        gpm=tuple((read.metric_id, slots[field]) for field, read in with_slot if isinstance(read, GpmRead)),
        texts=tuple(_text(field, read) for field, read in reads if isinstance(read, TextRead)),
        last_xid=next(
            (slots[field] for field, read in with_slot if isinstance(read, FromXids) and not read.is_window), None
        ),
        xid_window=next((field for field, read in reads if isinstance(read, FromXids) and read.is_window), None),
        throttle_window=next((field for field, read in reads if isinstance(read, ThrottleWindow)), None),
        not_read=MappingProxyType({field.name: read.reason for field, read in reads if isinstance(read, NotRead)}),
    )


def _has_slot(read: Read) -> bool:
    """Windows have several series a GPU; texts and fields that are not read have none."""
    return not isinstance(read, TextRead | ThrottleWindow | NotRead) and not (
        isinstance(read, FromXids) and read.is_window
    )


def _call(group: list[tuple[Slot, CallRead]]) -> PlannedCall:
    slot, read = group[0]
    other = _OTHER_NAMES.get(read.function)
    return PlannedCall(
        (read.function, other) if other else (read.function,),
        _arguments(read.argument),
        tuple((slot, _pick(slot.field, read)) for slot, read in group),
        read.every_seconds,
        0 if slot.field.entity == "vgpu" else None,
    )


def _pick(field: GpuField, read: CallRead) -> Callable[[Any], float]:
    """How one field's value is taken from a call's result; whole numbers stay whole."""
    if read.member:
        return operator.attrgetter(read.member)
    if read.position is not None:
        return operator.itemgetter(read.position)
    if read.is_counted:
        return len
    if field.entity == "vgpu":
        return _is_licensed
    return _used_ratio if field.unit == "ratio" else itself


def itself(result: Any) -> Any:
    """Pick a result that is the value."""
    return result


def _is_licensed(features: Any) -> float:
    """Whether any licensable feature is on: featureState is 1 for licensed (nvml.h, nvmlGridLicensableFeature_t)."""
    count = min(features.licensableFeaturesCount, len(features.gridLicensableFeatures))
    return int(any(features.gridLicensableFeatures[number].featureState for number in range(count)))


def _used_ratio(memory: Any) -> float:
    """Used memory of what programs can have; NaN, so dropped, where there is none."""
    usable = memory.total - memory.reserved
    return memory.used / usable if usable > 0 else float("nan")


def _arguments(name: str) -> tuple[int, ...]:
    return (int(getattr(pynvml, name)),) if name else ()


def _value(slot: Slot, read: ValueRead) -> PlannedValue:
    return PlannedValue(read.field_id, 0, read.as_type, slot, read.every_seconds)


def _link_counters(links: list[PlannedLink]) -> list[PlannedValue]:
    return [
        PlannedValue(field_id, link.read.scope, "ullVal", None, 0.0)
        for link in links
        for field_id in (link.read.received_id, link.read.transmitted_id)
    ]


def _text(field: GpuField, read: TextRead) -> PlannedText:
    return PlannedText(field, read.function, _arguments(read.argument), field.entity == "system")


def is_total(link: PlannedLink) -> bool:
    """Whether it is the traffic of all links, from which the byte counters come."""
    return link.read.scope == ALL_LINKS
