"""GPUPCIeReplay."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.fields import either
from alerts.rules.gpu.identity import WHERE, each_gpu
from catalog.boards import GPU

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU."""
    limit = config.thresholds.gpu.pcie_replays_per_hour
    increase = either("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "increase({}[1h])")
    return (
        Alert(
            name="GPUPCIeReplay",
            expr=f"{each_gpu(increase)} > {limit:g}",
            pending="0m",
            severity="warning",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: PCIe packets are sent again and again",
            description=(
                f'{WHERE} sent {{{{ printf "%.0f" $value }}}} PCIe packets again in the last hour. '
                f"Tolerated are {limit:g}."
            ),
            why=(
                "A marginal slot, riser or cable repeats packets for weeks and then loses the GPU. Seating it anew in "
                "time costs less."
            ),
            board=GPU,
        ),
    )
