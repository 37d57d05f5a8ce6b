"""GPUXidCritical."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.gpu.identity import HELD_BY, WHERE
from alerts.rules.gpu.xids_seen import GIVEN_BY, xids_seen
from catalog.boards import GPU

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert: one a GPU and code, in force for the window after the last event."""
    return (
        Alert(
            name="GPUXidCritical",
            expr=xids_seen("critical", config.thresholds.gpu.xid_window),
            pending="0m",
            severity="critical",
            summary="{{ $labels.node }} GPU {{ $labels.gpu }}: XID {{ $labels.xid }}, a fault of hardware or driver",
            description=(
                f"{WHERE} reported XID {{{{ $labels.xid }}}}, last at {{{{ $value | humanizeTimestamp }}}}{HELD_BY}."
            ),
            why=(
                "These codes end every program on the GPU and come back until the GPU is reset or exchanged; the "
                "engine shows only a CUDA error, or hangs."
            ),
            board=GPU,
            requires=GIVEN_BY,
        ),
    )
