"""Which alerts are firing, and since when."""

from __future__ import annotations

from catalog.boards import GPU, MODEL
from catalog.recorded.levels import by
from dashboards.board import Row
from dashboards.colours import BAD
from dashboards.links import from_row
from dashboards.metrics import FIRING_ALERTS, OUR_ALERTS
from dashboards.panels import Column, Label, StateTimeline, Table
from dashboards.promql import Selector
from dashboards.query import line

__all__ = ["firing_row"]

_MODEL = {"cluster": "Cluster", "namespace": "Namespace", "engine": "Engine", "model": "Model"}
_LABELS = ("severity", "alertname", *_MODEL, "pod", "UUID")


def firing_row(select: Selector) -> Row:
    """Return the alerts of the chosen places: those that are firing now, and when they were."""
    firing = select(FIRING_ALERTS, OUR_ALERTS)
    return Row("Firing alerts", (_now(firing), _history(firing)))


def _now(firing: str) -> Table:
    titles = dict(zip(_LABELS, ("Severity", "Alert", *_MODEL.values(), "Pod", "GPU"), strict=True))
    lead = from_row(MODEL, _MODEL)
    gpu = from_row(GPU, {"cluster": "Cluster", "UUID": "GPU"})
    leads = {"model": (lead,), "UUID": (gpu,)}
    return Table(
        title="Firing alerts",
        what="Alerts of engines, GPUs and the monitoring that are firing, with where.",
        good="None.",
        act="Read the alert's runbook; its link is in the notification.",
        labels=tuple(Label(name, title, leads.get(name, ())) for name, title in titles.items()),
        values=(Column(title="Firing", expr=f"count {by(_LABELS)} ({firing})", unit="short"),),
        no_value="none",
        columns=14,
    )


def _history(firing: str) -> StateTimeline:
    return StateTimeline(
        title="When alerts fired",
        what="A band an alert, while it was firing anywhere.",
        good="Empty.",
        act="What began first is nearest to the cause.",
        targets=[line(f"group by (alertname) ({firing})", "{{alertname}}")],
        unit="bool_yes_no",
        words={"1": ("firing", BAD)},
        columns=10,
    )
