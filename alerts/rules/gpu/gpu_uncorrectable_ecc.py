"""GPUUncorrectableEcc."""

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
            name="GPUUncorrectableEcc",
            expr=(
                "# The level, not an increase: errors that were there at the first scrape count, and a reset of the "
                "GPU clears them.\n"
                f"{each_gpu(either('DCGM_FI_DEV_ECC_DBE_VOL_TOTAL', 'last_over_time({}[5m])'))} > 0"
            ),
            pending=config.thresholds.gpu.memory_fault_for,
            severity="critical",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: memory errors that could not be corrected",
            description=(
                f'{WHERE} had {{{{ printf "%.0f" $value }}}} uncorrected memory errors since the driver was loaded or '
                f"the GPU reset{HELD_BY}."
            ),
            why=(
                "A program that reads the damaged memory is ended, or reads wrong data. The broken row is replaced at "
                "the next reset of the GPU only, so the alert stays until then."
            ),
            board=GPU,
            requires={
                "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": (
                    "this exporter by default; dcgm-exporter with the counter added to its list"
                )
            },
        ),
    )
