"""GPUNVLinkErrors."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.fields import either
from alerts.rules.gpu.identity import GPU as ONE_GPU
from alerts.rules.gpu.identity import HELD_BY, WHERE, each_gpu
from catalog.boards import GPU
from catalog.recorded.levels import by

__all__ = ["alerts"]

_KINDS = {
    "crc_flit": "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
    "crc_data": "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
    "replay": "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
    "recovery": "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
}


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU, over all of its links and kinds of errors."""
    limit = config.thresholds.gpu.nvlink_errors_per_hour
    # Without a label of their own, kinds would be the same series to `or`, and only the first would count.
    kinds = "\nor ".join(
        f'label_replace({either(field, "increase({}[1h])")}, "kind", "{kind}", "", "")'
        for kind, field in _KINDS.items()
    )
    return (
        Alert(
            name="GPUNVLinkErrors",
            expr=f"sum {by(ONE_GPU)} ({each_gpu(kinds, level=(*ONE_GPU, 'kind'))}) > {limit:g}",
            pending="0m",
            severity="warning",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: errors on its NVLinks",
            description=(
                f'{WHERE} counted {{{{ printf "%.0f" $value }}}} NVLink errors (checksum, replay, recovery) in the '
                f"last hour{HELD_BY}. Tolerated are {limit:g}."
            ),
            why=(
                "A bad link repeats what it loses, so tensor parallelism slows down long before NCCL fails or XID 74 "
                "comes."
            ),
            board=GPU,
            requires=dict.fromkeys(
                _KINDS.values(), "this exporter by default; dcgm-exporter with the counter added to its list"
            ),
        ),
    )
