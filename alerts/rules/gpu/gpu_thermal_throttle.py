"""GPUThermalThrottle."""

from __future__ import annotations

from textwrap import indent

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.clock_events import GIVEN_BY, REASONS, held_down
from alerts.rules.gpu.fields import either
from alerts.rules.gpu.identity import HELD_BY, WHERE, each_gpu
from alerts.thresholds import Gpu
from catalog.boards import GPU

__all__ = ["alerts"]

_VIOLATION = "DCGM_FI_DEV_THERMAL_VIOLATION"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU."""
    limits = config.thresholds.gpu
    reasons = f"{held_down('hw_thermal_slowdown', limits.slowdown_ratio)}\n{_violation(limits)}\n{_fallback(limits)}"
    return (
        Alert(
            name="GPUThermalThrottle",
            expr=(f"{each_gpu(either('DCGM_FI_DEV_GPU_TEMP'))}\nand on (cluster, UUID) (\n{indent(reasons, '  ')}\n)"),
            pending=limits.thermal_for,
            severity="warning",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: slowed down by heat",
            description=f"{WHERE} lowers its clocks at {{{{ $value | humanize }}}} degrees Celsius{HELD_BY}.",
            why=(
                "One hot GPU slows every replica or tensor-parallel group that it is part of, and nothing in the "
                "engine says why."
            ),
            board=GPU,
            requires={**GIVEN_BY, _VIOLATION: "this exporter by default; dcgm-exporter with it added to its list"},
        ),
    )


def _violation(limits: Gpu) -> str:
    rate = either(_VIOLATION, "rate({}[5m])")
    return (
        f"# Nanoseconds of each second, slowdown by software included.\nor ({rate}) > {limits.slowdown_ratio:g} * 1e9"
    )


def _fallback(limits: Gpu) -> str:
    """A hot and busy GPU well below its best clock of the day, where no series gives a reason."""
    clock, util, heat = (
        either(field, "avg_over_time({}[5m])")
        for field in ("DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_TEMP")
    )
    best = either("DCGM_FI_DEV_SM_CLOCK", "max_over_time({}[1d:5m])")
    by_gpu = "max by (cluster, UUID)"
    return (
        "# Where no series gives the reason: hot, busy and slow.\n"
        "or (\n"
        f"  {by_gpu} ({clock}) < {limits.thermal_clock_share:g} * {by_gpu} ({best})\n"
        f"  and {by_gpu} ({util}) > {limits.thermal_utilisation_percent:g}\n"
        f"  and {by_gpu} ({heat}) >= {limits.thermal_celsius:g}\n"
        f"  unless on (cluster, UUID) ({either(REASONS)} or {either(_VIOLATION)} or DCGM_EXP_CLOCK_EVENTS_COUNT)\n"
        ")"
    )
