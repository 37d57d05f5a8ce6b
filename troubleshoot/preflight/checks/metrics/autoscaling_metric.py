"""Autoscaling on a metric that exists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from troubleshoot.preflight import metric_names
from troubleshoot.preflight.checks.base import Fix, Judgement, ObjectCheck, Severity
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.engine import engine_of
from troubleshoot.preflight.objects import Field, KubeObject

_NAMED_BY = ("pods", "object", "external")


class AutoscalingMetric(ObjectCheck):
    """An autoscaler whose metric nobody gives does nothing, and says so only in its own status."""

    id = "autoscaling_metric"
    severity = Severity.CRITICAL
    title = "The autoscaler's metric does not exist"
    needs = "the names of the autoscaler's metrics"
    kinds = ("HorizontalPodAutoscaler", "ScaledObject")

    def applies(self, item: KubeObject, cluster: Cluster) -> bool:
        """Autoscalers that name a metric."""
        return any(self._named(item))

    def _named(self, item: KubeObject) -> Iterator[tuple[str, Field, bool]]:
        """(name, its field, whether an adapter may have renamed it)."""
        if item.kind == "HorizontalPodAutoscaler":
            for metric in item.root.at("spec", "metrics").items():
                for key in _NAMED_BY:
                    field = metric.at(key, "metric", "name")
                    if field.text:
                        yield field.text, field, True
        elif item.kind == "ScaledObject":
            for trigger in item.root.at("spec", "triggers").items():
                if trigger.at("type").text == "prometheus":
                    query = trigger.at("metadata", "query")
                    for name in metric_names.names_in(query.text):
                        yield name, query, False

    def judge(self, item: KubeObject, cluster: Cluster) -> Iterable[Judgement]:
        """See the class."""
        workload = cluster.target_of(item)
        engines = (engine_of(workload, container) for container in workload.containers) if workload else ()
        engine = next((each for each in engines if each is not None), None)
        for name, field, adapted in self._named(item):
            exists = metric_names.known(name, adapted=adapted)
            if exists is None:
                yield self.not_checked(
                    item.title, f"who gives {name}: kubectl get --raw /apis/custom.metrics.k8s.io/v1beta2"
                )
                continue
            version = engine.version if engine else ""
            if not exists:
                good = metric_names.suggestion(name, version)
                why = "given to the autoscaler by prometheus-adapter or KEDA" if good else "see docs/metric-names.md"
                yield self.finding(
                    item.title,
                    field,
                    f"No engine exposes {name}: the autoscaler never scales.",
                    Fix("metric name" if adapted else "query", name, good or None, why),
                )
            elif engine and (mapping := metric_names.gone(name, engine.name, version)) is not None:
                yield self.finding(
                    item.title,
                    field,
                    f"{engine.title} does not expose {name} (releases {_span(mapping.since)} to {_span(mapping.until)} do).",
                    Fix(
                        "metric name" if adapted else "query",
                        name,
                        metric_names.suggestion(name, version) or None,
                        "what this version exposes",
                    ),
                )


def _span(version: tuple[int, ...] | None) -> str:
    return ".".join(map(str, version)) if version else "now"
