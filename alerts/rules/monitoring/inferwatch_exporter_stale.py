"""InferwatchExporterStale."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import GPU
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]

_NODE = ("cluster", "node")
_SUCCESS = "inferwatch_exporter_last_success_timestamp_seconds"


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on exporters that answer with old readings.

    The engines' time moves with each collection, so collections that have come to a halt show as that source.
    """
    limits = config.thresholds.monitoring
    return (
        Alert(
            name="InferwatchExporterStale",
            expr=(
                f"time() - max {by((*_NODE, 'source'))} (\n"
                f'  {_SUCCESS}{{source!="gpu"}}\n'
                "  # The GPUs are not all read while one is lost: GPUFellOffBus says so.\n"
                f'  or {_SUCCESS}{{source="gpu"}} unless on ({labels(_NODE)})\n'
                "    inferwatch_exporter_gpus_visible < inferwatch_exporter_gpus_expected\n"
                f") > {limits.exporter_stale_seconds:g}"
            ),
            pending=limits.exporter_stale_for,
            severity="warning",
            summary="{{ $labels.node }}: the exporter's readings of {{ $labels.source }} are old",
            description=(
                "The exporter of node {{ $labels.node }} answers, but its source {{ $labels.source }} last gave what "
                "it should {{ $value | humanizeDuration }} ago."
            ),
            why=(
                "A scrape gets what the last collection read. If collecting hangs, the numbers stand still, and what "
                "stands still looks calm."
            ),
            board=GPU,
        ),
    )
