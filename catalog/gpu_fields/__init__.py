"""The GPU fields: name in both DCGM spellings, type, unit, and the NVML call that gives the value."""

from __future__ import annotations

from catalog.gpu_fields.base import GpuField
from catalog.gpu_fields.device import CLOCKS_AND_POWER, LABELS, MEMORY, PCIE, UTILISATION
from catalog.gpu_fields.health import ERRORS, NVLINK
from catalog.gpu_fields.profiling import EXPORTER, PROFILING

__all__ = ["ALL_FIELDS", "GpuField"]

ALL_FIELDS: tuple[GpuField, ...] = (
    *CLOCKS_AND_POWER,
    *PCIE,
    *UTILISATION,
    *ERRORS,
    *MEMORY,
    *NVLINK,
    *LABELS,
    *PROFILING,
    *EXPORTER,
)
