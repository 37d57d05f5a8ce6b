"""The shape of a GPU field, and the builders that the tables use.

Source: dcgm-exporter's default counters, DCGM 4.5.3 and 4.6.0, nvml.h. Types are corrected where the
exporter's list is wrong: NVLink "bandwidth" is a rate, pending flags and sliding windows are gauges. DCGM 4.6
calls utilisation RATIO and keeps 0 to 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldKind = Literal["gauge", "counter", "label"]
Entity = Literal["gpu", "instance", "vgpu", "system"]


@dataclass(frozen=True, slots=True)
class GpuField:
    """One field.

    `name` is the spelling of DCGM to 4.5, `name_46` that of 4.6 and later (the same where it was not renamed)
    and `aliases` are older ones. The value is what `nvml` returns times `scale`. `entity` is the smallest
    thing that has the field: a MIG instance has those marked "instance". `default` says whether dcgm-exporter
    exposes it unasked. `field_id` is DCGM's number, 0 for the exporter's own series.
    """

    name: str
    name_46: str
    kind: FieldKind
    unit: str
    meaning: str
    nvml: str
    scale: float = 1.0
    entity: Entity = "gpu"
    default: bool = False
    field_id: int = 0
    aliases: tuple[str, ...] = ()
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every spelling, the 4.5 one first."""
        return tuple(dict.fromkeys((self.name, self.name_46, *self.aliases)))


_MIB = 1 << 20


def field(
    field_id: int,
    name: str,
    kind: FieldKind,
    unit: str,
    meaning: str,
    nvml: str,
    *,
    scale: float = 1.0,
    new: str = "",
    entity: Entity = "gpu",
    default: bool = False,
    aliases: tuple[str, ...] = (),
    note: str = "",
) -> GpuField:
    """Build an entry; names come without the prefix `DCGM_FI_`."""
    return GpuField(
        f"DCGM_FI_{name}",
        f"DCGM_FI_{new or name}",
        kind,
        unit,
        meaning,
        nvml,
        scale,
        entity,
        default,
        field_id,
        tuple(f"DCGM_FI_{alias}" for alias in aliases),
        note,
    )


def value_call(field: str) -> str:
    """Name the call that reads one NVML field value."""
    return f"nvmlDeviceGetFieldValues(h, [NVML_FI_DEV_{field}])"


def violation(field_id: int, name: str, policy: str, what: str) -> GpuField:
    """Build a counter of the time that clocks were held down."""
    call = value_call(f"PERF_POLICY_{policy}")
    return field(field_id, f"DEV_{name}_VIOLATION", "counter", "ns", f"Time clocks were held down by {what}.", call)


def ecc(field_id: int, name: str, meaning: str) -> GpuField:
    """Build a counter of memory errors."""
    note = "read ullVal: NVML leaves the value type unset"
    return field(
        field_id,
        f"DEV_ECC_{name}_TOTAL",
        "counter",
        "errors",
        meaning,
        value_call(f"ECC_{name}_TOTAL"),
        note=note,
    )


def nvlink_errors(field_id: int, name: str, meaning: str) -> GpuField:
    """Build a counter of NVLink errors over all links."""
    full = f"NVLINK_{name}_ERROR_COUNT_TOTAL"
    new = f"DEV_NVLINK_{name}_ERROR_TOTAL"
    return field(field_id, f"DEV_{full}", "counter", "errors", meaning, value_call(full), new=new)


def label(field_id: int, name: str, new: str, meaning: str, nvml: str, *, default: bool = False) -> GpuField:
    """Build a text field; those of the driver belong to no GPU."""
    entity: Entity = "gpu" if name.startswith("DEV_") else "system"
    return field(field_id, name, "label", "text", meaning, nvml, new=new, entity=entity, default=default)


def gpm_call(metric: str) -> str:
    """Name the call that reads one GPM metric."""
    return f"nvmlGpmMetricsGet(NVML_GPM_METRIC_{metric})"


def active(field_id: int, name: str, new: str, metric: str, meaning: str, *, default: bool = False) -> GpuField:
    """Build a profiling ratio: GPM gives percent from two samples at least 100 ms apart; Hopper and later."""
    return field(
        field_id,
        f"PROF_{name}",
        "gauge",
        "ratio",
        meaning,
        gpm_call(metric),
        scale=0.01,
        new=f"PROF_{new}",
        entity="instance",
        default=default,
        note="NVML has it from Hopper on; before, DCGM only",
    )


def traffic(field_id: int, name: str, metric: str, meaning: str, *, default: bool = False) -> GpuField:
    """Build a traffic rate; GPM gives MiB/s."""
    note = "GPM gives MiB/s; Hopper and later, DCGM only before"
    return field(
        field_id,
        f"PROF_{name}",
        "gauge",
        "bytes/s",
        meaning,
        gpm_call(metric),
        scale=_MIB,
        default=default,
        note=note,
    )


def memory(field_id: int, part: str, meaning: str, *, default: bool = True) -> GpuField:
    """Build a memory amount in whole MiB."""
    return field(
        field_id,
        f"DEV_FB_{part.upper()}",
        "gauge",
        "MiB",
        meaning,
        f"nvmlDeviceGetMemoryInfo(h, nvmlMemory_v2).{part}",
        scale=1 / _MIB,
        entity="instance",
        default=default,
        note="whole MiB, rounded down",
    )


def exporters_own(name: str, unit: str, meaning: str, nvml: str) -> GpuField:
    """Build one of dcgm-exporter's own series, which DCGM does not have."""
    full = f"DCGM_EXP_{name}"
    return GpuField(full, full, "gauge", unit, meaning, nvml, note="declared counter by dcgm-exporter")
