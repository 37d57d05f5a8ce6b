"""InferwatchExporterDown."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import GPU
from catalog.recorded.levels import by, labels

__all__ = ["alerts"]

_NODE = ("cluster", "node")


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on nodes whose exporter was there and is not, though the node is."""
    limits = config.thresholds.monitoring
    window = limits.exporter_remembered_window
    node = 'kube_node_status_allocatable{resource="cpu"}'
    return (
        Alert(
            name="InferwatchExporterDown",
            expr=(
                f"group {by(_NODE)} (last_over_time(inferwatch_exporter_build_info[{window}]))\n"
                f"unless on ({labels(_NODE)}) inferwatch_exporter_build_info\n"
                "# A node that was taken away took its exporter with it.\n"
                f"unless on ({labels(_NODE)}) (\n"
                f"  last_over_time({node}[{window}])\n"
                f"  unless on ({labels(_NODE)}) {node}\n"
                ")"
            ),
            pending=limits.exporter_down_for,
            severity="warning",
            summary="{{ $labels.node }}: its GPUs and engines are not watched",
            description=(
                f"The exporter of node {{{{ $labels.node }}}} answered within the last {window}, but has not for "
                f"{limits.exporter_down_for}. No alert on that node's GPUs and engines can fire."
            ),
            why=(
                "Series that are gone raise nothing: without this alert a node whose exporter died looks like the "
                "healthiest one."
            ),
            board=GPU,
            requires={
                "kube_node_status_allocatable": (
                    "kube-state-metrics; without it, a node that was taken away is missed until it is forgotten"
                )
            },
        ),
    )
