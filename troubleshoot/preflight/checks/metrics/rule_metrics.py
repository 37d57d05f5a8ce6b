"""Alerts over series that exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from troubleshoot.preflight import metric_names
from troubleshoot.preflight.checks.base import Fix, Judgement, ObjectCheck, Severity
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.objects import Field, KubeObject


class RuleMetrics(ObjectCheck):
    """A rule over a series that nobody exposes never fires, and never complains."""

    id = "rule_metrics"
    severity = Severity.WARNING
    title = "A rule reads a series that does not exist"
    needs = "expressions of PrometheusRules"
    kinds = ("PrometheusRule",)

    def applies(self, item: KubeObject, cluster: Cluster) -> bool:
        """PrometheusRules with rules."""
        return item.kind in self.kinds and any(_rules(item))

    def judge(self, item: KubeObject, cluster: Cluster) -> Iterable[Judgement]:
        """See the class."""
        recorded = {rule.at("record").text for each in cluster.of_kind("PrometheusRule") for rule in _rules(each)}
        for rule in _rules(item):
            query = rule.at("expr")
            for name in metric_names.names_in(query.text):
                if name not in recorded and metric_names.known(name) is False:
                    good = metric_names.suggestion(name)
                    what = rule.at("alert").text or rule.at("record").text or "a rule"
                    yield self.finding(
                        item.title,
                        query,
                        f"{what} reads {name}, which no engine exposes: it never fires.",
                        Fix(
                            "expr",
                            name,
                            good or None,
                            "as the engine spells it" if good else "see docs/metric-names.md",
                        ),
                        without=self.kinds,
                    )


def _rules(item: KubeObject) -> Iterator[Field]:
    for group in item.root.at("spec", "groups").items():
        yield from group.at("rules").items()
