"""From rules to the objects that Prometheus and its operator load: the same mappings in both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.config import Links
from alerts.rule import Alert, Group, Record
from catalog.boards import Board

__all__ = ["alert_annotations", "dashboard_url", "prometheus_rule", "rule_file"]


def rule_file(group: Group, links: Links) -> dict[str, Any]:
    """Return the content of a rule file of Prometheus."""
    return {
        "groups": [
            {
                "name": group.name,
                "interval": group.interval,
                "rules": [_record(rule) if isinstance(rule, Record) else _alert(rule, links) for rule in group.rules],
            }
        ]
    }


def prometheus_rule(group: Group, links: Links) -> dict[str, Any]:
    """Return the same rules as an object of the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": group.name, "labels": {"app.kubernetes.io/part-of": "inferwatch"}},
        "spec": rule_file(group, links),
    }


def alert_annotations(alert: Alert, links: Links) -> dict[str, str]:
    """Return what an alert carries for the person who reads it."""
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": f"{links.runbooks}{alert.name}.md",
        "dashboard_url": dashboard_url(alert.board, links),
    }


def dashboard_url(board: Board, links: Links) -> str:
    """Return a link to a board, its variables set from the alert's labels; a label that is not there sets none."""
    variables = "&".join(
        f"var-{variable}={{{{ $labels.{label} | urlquery }}}}" for variable, label in board.variables.items()
    )
    return f"{links.dashboards}d/{board.uid}?{variables}"


def _record(rule: Record) -> dict[str, Any]:
    return {"record": rule.record, "expr": rule.expr, **_labels(rule.labels)}


def _alert(alert: Alert, links: Links) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.pending,
        **({"keep_firing_for": alert.keep_firing_for} if alert.keep_firing_for else {}),
        **_labels({"severity": alert.severity, **alert.labels}),
        "annotations": alert_annotations(alert, links),
    }


def _labels(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"labels": dict(labels)} if labels else {}
