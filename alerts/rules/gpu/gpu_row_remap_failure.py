"""GPURowRemapFailure."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.fields import either
from alerts.rules.gpu.identity import HELD_BY, WHERE, each_gpu
from catalog.boards import GPU

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU."""
    return (
        Alert(
            name="GPURowRemapFailure",
            expr=f"{each_gpu(either('DCGM_FI_DEV_ROW_REMAP_FAILURE'))} > 0",
            pending=config.thresholds.gpu.memory_fault_for,
            severity="critical",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: a broken row of its memory could not be replaced",
            description=f"{WHERE} has no spare row left for a broken one{HELD_BY}. The board is due for exchange.",
            why=(
                "The spare rows of a bank are used up: the next uncorrectable error there ends the program again, and "
                "no reset helps. Vendors exchange the board on this sign alone."
            ),
            board=GPU,
        ),
    )
