"""From a field of the catalogue to how NVML gives it.

The catalogue's own call expression (`GpuField.nvml`) is the table; here it is read. So a field is named in one
place only, and one that nothing can read has a stated reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import pynvml
from msgspec import Struct

from catalog.gpu import GpuField, is_blank
from exporter.gpus.reasons import Reason

__all__ = [
    "ALL_LINKS",
    "CallRead",
    "FromXids",
    "GpmRead",
    "Limits",
    "LinkRate",
    "NotRead",
    "Read",
    "TextRead",
    "ThrottleWindow",
    "ValueRead",
    "converted",
    "limits_of",
    "read_of",
    "refusal",
]

ALL_LINKS = 0xFFFFFFFF
"""The scope of an NVLink field value that means all links (nvml.h, nvmlFieldValue_t.scopeId)."""

_MIB = 1 << 20
# A second reading of these within the delay would cost more than it tells: 0.7 to 16 ms (energy, field 75), 0.2 ms
# (PCIe replay) on an H200; a licence changes by hand. 4 s lets a collection every 5 s read them each time.
_SLOW_SECONDS: Mapping[str, float] = MappingProxyType(
    {
        "nvmlDeviceGetTotalEnergyConsumption": 4.0,
        "nvmlDeviceGetPcieReplayCounter": 4.0,
        "PERF_POLICY_THERMAL": 4.0,
        "nvmlDeviceGetGridLicensableFeatures": 60.0,
        "nvmlDeviceGetRetiredPages": 60.0,
    }
)


class CallRead(Struct, frozen=True):
    """One NVML function. Its result is taken by `member`, `position` or `is_counted` (its length), else whole."""

    function: str
    argument: str
    member: str
    position: int | None
    is_counted: bool
    every_seconds: float


class ValueRead(Struct, frozen=True):
    """One field id of nvmlDeviceGetFieldValues. `as_type` overrides the value type that NVML states."""

    field_id: int
    as_type: Literal["stated", "uiVal", "ullVal"]
    every_seconds: float


class LinkRate(Struct, frozen=True):
    """Traffic of one NVLink or of all, from what two counters (field ids, KiB) grew by."""

    received_id: int
    transmitted_id: int
    scope: int


class GpmRead(Struct, frozen=True):
    """One metric of NVML's GPM."""

    metric_id: int


class TextRead(Struct, frozen=True):
    """A text that becomes a label."""

    function: str
    argument: str


class FromXids(Struct, frozen=True):
    """From the XIDs seen: the last code, or how many in a window."""

    is_window: bool


class ThrottleWindow(Struct, frozen=True):
    """How many samples of a window had each clock event."""


class NotRead(Struct, frozen=True):
    """Not read, and why."""

    reason: str


Read = CallRead | ValueRead | LinkRate | GpmRead | TextRead | FromXids | ThrottleWindow | NotRead

_CALL = re.compile(
    r"(?P<counted>len\()?(?P<function>nvmlDevice\w+)\(h(?:, (?P<argument>\w+))?\)"
    r"(?:\.(?P<member>\w+)|\[(?P<position>\d)\])?\)?"
)
_VALUE = re.compile(r"nvmlDeviceGetFieldValues\(h, \[NVML_FI_DEV_(\w+)\]\)")
_LINK = re.compile(r"nvmlDeviceGetFieldValues\(h, \[NVML_FI_DEV_(\w+)_RX\]\) \+ \.\.\._TX, scope (\w+)")
_GPM = re.compile(r"nvmlGpmMetricsGet\((NVML_GPM_METRIC_\w+)\)")
_SYSTEM = re.compile(r"(nvmlSystem\w+)\(\)")
_NOT_READ: Mapping[str, str] = MappingProxyType(
    {
        "DCGM only": "DCGM computes it from health watches of its own; NVML has nothing like it",
        "nvmlDeviceGetPcieThroughput": "the call blocks for 21 ms, and DCGM itself never emits it; GPM gives the rate",
        "nvmlDeviceGetP2PStatus": "it joins two GPUs: one that hangs would hold up the reading of all others",
    }
)


def read_of(field: GpuField) -> Read:
    """Return how this field is read. Raises ValueError for an expression that is none of the known shapes."""
    text = field.nvml
    for start, reason in _NOT_READ.items():
        if text.startswith(start):
            return NotRead(reason)
    if text.startswith("nvmlEventSetWait"):
        return FromXids(is_window=field.unit == "events")
    if field.unit == "samples":
        return ThrottleWindow()
    if found := _LINK.fullmatch(text):
        return LinkRate(_field_id(f"{found[1]}_RX"), _field_id(f"{found[1]}_TX"), int(found[2], 0))
    if found := _VALUE.fullmatch(text):
        return ValueRead(_field_id(found[1]), _type_of(found[1]), _SLOW_SECONDS.get(found[1], 0.0))
    if found := _GPM.fullmatch(text):
        return GpmRead(int(getattr(pynvml, found[1])))
    if found := _SYSTEM.fullmatch(text):
        return TextRead(found[1], "")
    found = _CALL.fullmatch(text)
    if found is None:
        raise ValueError(f"{field.name}: no reader for {text!r}")
    if field.kind == "label":
        return TextRead(found["function"], found["argument"] or "")
    return CallRead(
        found["function"],
        found["argument"] or "",
        found["member"] or "",
        int(found["position"]) if found["position"] else None,
        bool(found["counted"]),
        _SLOW_SECONDS.get(found["function"], 0.0),
    )


def _field_id(name: str) -> int:
    return int(getattr(pynvml, f"NVML_FI_DEV_{name}"))


def _type_of(name: str) -> Literal["stated", "uiVal", "ullVal"]:
    """Two families state a wrong type: driver 545 tags memory temperature a double, ECC counters have none."""
    if name == "MEMORY_TEMP":
        return "uiVal"
    return "ullVal" if name.startswith("ECC_") else "stated"


def converted(field: GpuField, raw: float) -> float:
    """Return NVML's value in the field's unit: exact for what DCGM prints as whole numbers."""
    if field.unit == "MiB":
        return int(raw) // _MIB
    if field.scale < 1:
        quotient = raw / round(1 / field.scale)
        return quotient if field.unit == "W" else round(quotient, 6)
    return raw if field.scale == 1 else round(raw * field.scale)


class Limits(Struct, frozen=True):
    """What a value in the field's unit can be: from 0 to `maximum`; `is_wide` means that 2^32-1 is a value too."""

    maximum: float
    is_wide: bool


# Far above what any board can mean, so that only garbage is dropped. A fan may exceed 100 % (nvml.h), a GPM ratio
# may exceed 1 by rounding.
_MAXIMUM: Mapping[str, float] = MappingProxyType(
    {
        "percent": 100,
        "Celsius": 200,
        "ratio": 1.0005,
        "bool": 1,
        "state": 15,
        "W": 20_000,
        "MHz": 20_000,
        "generation": 16,
        "lanes": 64,
    }
)
_WIDE_UNITS = frozenset({"mJ", "ns", "errors", "bytes/s"})
_UINT_BLANK = 0xFFFFFFFF


def limits_of(field: GpuField) -> Limits:
    """Return the limits of a field, by its unit."""
    if "FanSpeed" in field.nvml:
        return Limits(200, is_wide=False)
    return Limits(_MAXIMUM.get(field.unit, float("inf")), is_wide=field.unit in _WIDE_UNITS)


def refusal(limits: Limits, value: float) -> Reason | None:
    """Return why a value is dropped: DCGM's or NVML's blanks, NaN, or out of the limits; None for a value."""
    if 0 <= value < 0x7FFFFFF0 and value <= limits.maximum:
        return None
    if is_blank(value) or (value == _UINT_BLANK and not limits.is_wide):
        return "blank"
    return None if 0 <= value <= limits.maximum else "out_of_range"
