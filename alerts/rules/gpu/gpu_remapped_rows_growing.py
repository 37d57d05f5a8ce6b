"""GPURemappedRowsGrowing."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.fields import either
from alerts.rules.gpu.identity import GPU as ONE_GPU
from alerts.rules.gpu.identity import WHERE, each_gpu
from catalog.boards import GPU
from catalog.recorded.levels import by

__all__ = ["alerts"]

_KINDS = {
    "uncorrectable": "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
    "correctable": "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
}


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU."""
    window = config.thresholds.gpu.remapped_rows_window
    return (
        Alert(
            name="GPURemappedRowsGrowing",
            expr=_expression(window),
            pending="0m",
            severity="warning",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: rows of its memory were replaced",
            description=(
                f'{WHERE} replaced about {{{{ printf "%.0f" $value }}}} rows of its memory within {window}. '
                "A broken row is replaced for good only by the next reset of the GPU."
            ),
            why=(
                "Rows are replaced for the board's life, and its spares are few. One row is repair; more within a week "
                "say that the memory wears out, while there is time to plan an exchange."
            ),
            board=GPU,
        ),
    )


def _expression(window: str) -> str:
    """Rows of both kinds, one value a GPU before the increase: a series ends with the pod that holds the GPU."""
    kinds = "\nor ".join(f'label_replace({either(field)}, "kind", "{kind}", "", "")' for kind, field in _KINDS.items())
    rows = each_gpu(kinds, level=(*ONE_GPU, "kind"))
    return (
        "# In steps of an hour: a week of raw samples would be read at every evaluation.\n"
        f"sum {by(ONE_GPU)} (increase({rows}[{window}:1h])) > 0"
    )
