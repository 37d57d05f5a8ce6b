"""GPUs: fields by name, why clocks are held down, and what an XID means.

Source: nvml.h (nvmlClocksEventReasons) and NVIDIA's XID catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from catalog.gpu_fields import ALL_FIELDS, GpuField

__all__ = [
    "BLANK_FROM",
    "CLOCK_EVENTS",
    "GPU_FIELDS",
    "GPU_LABELS",
    "THROTTLE_REASONS",
    "XIDS",
    "XIDS_COUNTED_FROM_ZERO",
    "GpuField",
    "ThrottleReason",
    "Xid",
    "find_field",
    "is_blank",
    "throttle_reasons",
]

GPU_FIELDS: Mapping[str, GpuField] = MappingProxyType({field.name: field for field in ALL_FIELDS})
"""Fields by their DCGM 4.5 name."""

GPU_LABELS: tuple[str, ...] = (
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "GPU_I_PROFILE",
    "GPU_I_ID",
    "namespace",
    "pod",
    "container",
)
"""Labels of a GPU series, as dcgm-exporter spells them (`hostname` in its releases after May 2026)."""

BLANK_FROM = 9223372036854775792.0
"""DCGM prints a value from here on (0x7ffffffffffffff0 and a reason code) where a field is not supported."""

_BLANK_INT32 = range(0x7FFFFFF0, 0x7FFFFFFA)
_BLANK_FP64 = 140737488355328.0
_BY_ANY_NAME: Mapping[str, GpuField] = MappingProxyType({name: field for field in ALL_FIELDS for name in field.names})


def find_field(name: str) -> GpuField | None:
    """Return the field that a series of this name is, in any spelling (4.5, 4.6 or older), or None."""
    return _BY_ANY_NAME.get(name)


def is_blank(value: float) -> bool:
    """Tell DCGM's "no value" from a value: its three sentinels (int64, int32, double), and NaN."""
    if math.isnan(value) or value >= BLANK_FROM:
        return True
    return value in _BLANK_INT32 or _BLANK_FP64 <= value < _BLANK_FP64 + 10


@dataclass(frozen=True, slots=True)
class ThrottleReason:
    """One bit of the clock event reasons. `is_problem`: speed is lost to a limit or a fault."""

    bit: int
    name: str
    meaning: str
    is_problem: bool


THROTTLE_REASONS: Mapping[int, ThrottleReason] = MappingProxyType(
    {
        reason.bit: reason
        for reason in (
            ThrottleReason(0x1, "gpu_idle", "Nothing runs, so clocks drop.", is_problem=False),
            ThrottleReason(0x2, "applications_clocks", "Clocks are pinned by a setting.", is_problem=False),
            ThrottleReason(0x4, "sw_power_cap", "The board draws its power limit.", is_problem=True),
            ThrottleReason(
                0x8,
                "hw_slowdown",
                "Hardware halves clocks or more: heat, power brake or too much draw.",
                is_problem=True,
            ),
            ThrottleReason(0x10, "sync_boost", "Another GPU of the boost group holds it down.", is_problem=False),
            ThrottleReason(
                0x20, "sw_thermal_slowdown", "The GPU or its memory is at its thermal limit.", is_problem=True
            ),
            ThrottleReason(0x40, "hw_thermal_slowdown", "The GPU is too hot; hardware slows it.", is_problem=True),
            ThrottleReason(
                0x80,
                "hw_power_brake_slowdown",
                "The server's power supply asks for less (power brake).",
                is_problem=True,
            ),
            ThrottleReason(0x100, "display_clock_setting", "Display clocks hold it down.", is_problem=False),
        )
    }
)


CLOCK_EVENTS: Mapping[int, str] = MappingProxyType(
    {
        0x1: "gpu_idle",
        0x2: "clocks_setting",
        0x4: "power_cap",
        0x8: "hw_slowdown",
        0x10: "sync_boost",
        0x20: "sw_thermal",
        0x40: "hw_thermal",
        0x80: "hw_power_brake",
        0x100: "display_clocks",
    }
)
"""Bit of the clock event reasons -> value of dcgm-exporter's label `clock_event`."""


def throttle_reasons(mask: int) -> tuple[ThrottleReason, ...]:
    """Return the known reasons in a bit mask, lowest bit first."""
    return tuple(reason for bit, reason in THROTTLE_REASONS.items() if mask & bit)


XidKind = Literal["hardware", "application", "driver", "information"]


@dataclass(frozen=True, slots=True)
class Xid:
    """One XID. `kind` is where to look first; `action` is what an operator does."""

    code: int
    meaning: str
    kind: XidKind
    action: str


_APP = "look at the program first; hardware only if it comes back with other programs"
_RESET = "reset the GPU, then run diagnostics; exchange it if it comes back"
_NODE = "drain the node, reset or reboot it; call the vendor if it comes back"

XIDS: Mapping[int, Xid] = MappingProxyType(
    {
        xid.code: xid
        for xid in (
            Xid(8, "GPU stopped processing", "application", _APP),
            Xid(
                13,
                "graphics engine exception: an illegal access or instruction in a kernel",
                "application",
                _APP,
            ),
            Xid(31, "GPU memory page fault: a kernel touched an address it does not own", "application", _APP),
            Xid(32, "invalid or corrupted push buffer stream", "driver", "check the PCIe link and the driver"),
            Xid(38, "driver firmware error", "driver", "update the driver"),
            Xid(43, "GPU stopped processing after a fault of the program", "application", _APP),
            Xid(
                45,
                "channels of a process were torn down after another error",
                "information",
                "read the XID before it",
            ),
            Xid(48, "uncorrectable (double-bit) ECC error", "hardware", _RESET),
            Xid(56, "display engine error", "hardware", _RESET),
            Xid(57, "error while programming video memory", "hardware", _RESET),
            Xid(58, "unstable video memory interface", "hardware", _RESET),
            Xid(
                61,
                "internal micro-controller breakpoint or warning",
                "driver",
                "update the driver; power-cycle",
            ),
            Xid(62, "internal micro-controller halt", "hardware", _RESET),
            Xid(
                63,
                "a memory row was remapped or a page retired",
                "hardware",
                "reset the GPU at the next occasion",
            ),
            Xid(64, "remapping a row or retiring a page failed", "hardware", _NODE),
            Xid(65, "video processor exception", "application", _APP),
            Xid(68, "video decoder exception", "application", _APP),
            Xid(69, "graphics engine class error", "application", _APP),
            Xid(74, "NVLink error", "hardware", "check the link's other end, reseat; run diagnostics"),
            Xid(79, "the GPU has fallen off the PCIe bus", "hardware", _NODE),
            Xid(92, "many corrected single-bit ECC errors", "hardware", "watch it; run diagnostics"),
            Xid(
                94,
                "contained ECC error: one program lost its data",
                "hardware",
                "restart the program, reset when idle",
            ),
            Xid(95, "uncontained ECC error: every program on the GPU is affected", "hardware", _RESET),
            Xid(109, "context switch timeout", "application", _APP),
            Xid(110, "security fault", "hardware", _NODE),
            Xid(
                119,
                "the GPU's system processor did not answer the driver (GSP RPC timeout)",
                "driver",
                _RESET,
            ),
            Xid(120, "error of the GPU's system processor (GSP)", "driver", _RESET),
            Xid(
                121,
                "error on the NVLink between CPU and GPU, corrected",
                "hardware",
                "watch it; reset when idle",
            ),
            Xid(122, "serial ROM interface read failure", "hardware", _NODE),
            Xid(123, "serial ROM interface write failure", "hardware", _NODE),
            Xid(125, "inforom failure", "hardware", _NODE),
            Xid(136, "link training failed", "hardware", _NODE),
            Xid(137, "NVLink fault at a remote GPU's memory access", "application", "read the peers' XIDs"),
            Xid(140, "unrecovered ECC error", "hardware", _RESET),
            Xid(143, "GPU initialisation failure", "hardware", _NODE),
            Xid(144, "NVLink error, unit SAW", "hardware", _RESET),
            Xid(145, "NVLink error, unit RLW", "hardware", _RESET),
            Xid(146, "NVLink error, unit TLW", "hardware", _RESET),
            Xid(147, "NVLink error, unit TREX", "hardware", _RESET),
            Xid(148, "NVLink error, unit NVLPW_CTRL", "hardware", _RESET),
            Xid(149, "NVLink error, unit NETIR", "hardware", _RESET),
            Xid(150, "NVLink error, unit MSE", "hardware", _RESET),
            Xid(
                154,
                "the recovery action that the GPU needs has changed",
                "information",
                "do what the message says",
            ),
            Xid(158, "fatal timeout of the GPU", "hardware", _NODE),
        )
    }
)
"""XIDs by code: those that an operator of inference servers meets."""

XIDS_COUNTED_FROM_ZERO: tuple[int, ...] = (13, 31, 43, 48, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120)
"""XIDs whose counter exists, as 0, before the first event: an increase from nothing to 1 is none to Prometheus.

They are those that alerts ask for (hardware: 48 62 64 74 79 95 119 120, warnings: 63 92 94) and the faults of a
program that an inference server meets (13 31 43); others appear with their first event.
"""
