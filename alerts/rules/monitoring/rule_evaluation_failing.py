"""RuleEvaluationFailing."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import FLEET
from catalog.recorded.levels import CLUSTER, by

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on groups of these rules that Prometheus cannot evaluate."""
    limits = config.thresholds.monitoring
    window = limits.rule_failures_window
    failures = f'prometheus_rule_evaluation_failures_total{{rule_group=~".+;inferwatch-.+"}}[{window}]'
    return (
        Alert(
            name="RuleEvaluationFailing",
            expr=f"sum {by((*CLUSTER, 'rule_group'))} (increase({failures})) > 0",
            pending=limits.rule_failures_for,
            severity="warning",
            summary="Rules of {{ $labels.rule_group }} fail: their alerts cannot fire",
            description=(
                "About {{ $value | humanize }} evaluations of {{ $labels.rule_group }} have failed in the last "
                f"{window}. Prometheus's page /rules shows the error of each rule."
            ),
            why=(
                "A rule that fails keeps its last alerts for a while and then none: it looks exactly like one that has "
                "nothing to say. Most often two series match where one should."
            ),
            board=FLEET,
        ),
    )
