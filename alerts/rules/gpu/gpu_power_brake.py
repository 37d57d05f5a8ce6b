"""GPUPowerBrake."""

from __future__ import annotations

from textwrap import indent

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.clock_events import GIVEN_BY, held_down
from alerts.rules.gpu.fields import either
from alerts.rules.gpu.identity import HELD_BY, WHERE, each_gpu
from catalog.boards import GPU

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU. The power cap at full load is no brake: air-cooled cards work at it."""
    limits = config.thresholds.gpu
    reasons = indent(held_down("hw_power_brake_slowdown", limits.slowdown_ratio), "  ")
    return (
        Alert(
            name="GPUPowerBrake",
            expr=f"{each_gpu(either('DCGM_FI_DEV_POWER_USAGE'))}\nand on (cluster, UUID) (\n{reasons}\n)",
            pending=limits.power_brake_for,
            severity="warning",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: braked by the server's power supply",
            description=(
                f"{WHERE} draws {{{{ $value | humanize }}}} W and lowers its clocks, because the server asserts the "
                f"power brake signal{HELD_BY}."
            ),
            why=(
                "The brake halves clocks or more for all GPUs of a server. It comes from a failed power supply or a "
                "rack's limit, which no setting of the engine changes."
            ),
            board=GPU,
            requires=GIVEN_BY,
        ),
    )
