"""GPUFellOffBus."""

from __future__ import annotations

from textwrap import indent

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.fields import either
from alerts.rules.gpu.identity import HELD_BY, WHERE, each_gpu
from catalog.boards import GPU

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU."""
    limits = config.thresholds.gpu
    return (
        Alert(
            name="GPUFellOffBus",
            expr=_expression(limits.lost_window),
            pending=limits.lost_for,
            severity="critical",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: no longer answers",
            description=(
                f"{WHERE} has not answered for {limits.lost_for}, while the exporter on the node does{HELD_BY}."
            ),
            why=(
                "A GPU that is gone reports nothing, XID 79 often included. Its engine hangs or dies, and a new pod on "
                "the node may be given the same GPU."
            ),
            board=GPU,
        ),
    )


def _expression(window: str) -> str:
    """GPUs that this exporter knows and cannot read, and those that vanished from a node that has fewer than before.

    The second finds what fell off before the exporter started anew, and serves dcgm-exporter, which forgets a lost
    GPU. The node must have fewer than it had: a GPU that was exchanged is missing too, and nothing is wrong.
    """
    temperature = either("DCGM_FI_DEV_GPU_TEMP")
    now = each_gpu(temperature, operator="group")
    # A GPU that two exporters read under different labels is one by its UUID.
    distinct = each_gpu(temperature, operator="group", level=("cluster", "node", "UUID"))
    count = f"count by (cluster, node) ({distinct})"
    vanished = (
        f"last_over_time({now}[{window}:5m])\n"
        f"unless on (cluster, UUID) {now}\n"
        f"and on (cluster, node) {count}\n"
        f"  < max_over_time({count}[{window}:5m])"
    )
    return f"{each_gpu('inferwatch_gpu_up')} < 1\nor on (cluster, UUID) (\n{indent(vanished, '  ')}\n)"
