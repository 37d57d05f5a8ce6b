"""Alerts on the GPUs themselves: faults, wear, heat, power and links."""

from __future__ import annotations

from collections.abc import Callable

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu import (
    gpu_fell_off_bus,
    gpu_nvlink_errors,
    gpu_pcie_replay,
    gpu_power_brake,
    gpu_remapped_rows_growing,
    gpu_row_remap_failure,
    gpu_thermal_throttle,
    gpu_uncorrectable_ecc,
    gpu_xid_application,
    gpu_xid_critical,
)

__all__ = ["ALERTS"]

ALERTS: tuple[Callable[[Config], tuple[Alert, ...]], ...] = (
    gpu_xid_critical.alerts,
    gpu_xid_application.alerts,
    gpu_fell_off_bus.alerts,
    gpu_row_remap_failure.alerts,
    gpu_remapped_rows_growing.alerts,
    gpu_uncorrectable_ecc.alerts,
    gpu_thermal_throttle.alerts,
    gpu_power_brake.alerts,
    gpu_nvlink_errors.alerts,
    gpu_pcie_replay.alerts,
)
