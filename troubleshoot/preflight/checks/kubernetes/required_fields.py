"""Fields without which the API server refuses an object."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, ObjectCheck, Severity
from troubleshoot.preflight.cluster import Cluster, selects
from troubleshoot.preflight.objects import Field, KubeObject, Steps, spelled

_TEMPLATE: tuple[Steps, ...] = (("spec", "selector"), ("spec", "template", "spec", "containers"))
_REQUIRED: dict[str, tuple[Steps, ...]] = {
    "Deployment": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "Pod": (("spec", "containers"),),
    "LeaderWorkerSet": (("spec", "leaderWorkerTemplate", "workerTemplate"),),
    "InferenceService": (("spec", "predictor"),),
    "LLMInferenceService": (("spec", "model", "uri"),),
    "HorizontalPodAutoscaler": (
        ("spec", "maxReplicas"),
        ("spec", "scaleTargetRef", "kind"),
        ("spec", "scaleTargetRef", "name"),
    ),
    "ScaledObject": (("spec", "scaleTargetRef", "name"), ("spec", "triggers")),
    "PodDisruptionBudget": (("spec",),),
    "Service": (("spec",),),
    "PodMonitor": (("spec", "selector"),),
    "ServiceMonitor": (("spec", "selector"), ("spec", "endpoints")),
    "PrometheusRule": (("spec",),),
}
_GOOD: dict[str, str | int] = {"kind": "Deployment", "maxReplicas": 10}


class RequiredFields(ObjectCheck):
    """Applying it fails, or makes something else than what is meant."""

    id = "required_fields"
    severity = Severity.CRITICAL
    title = "The API server refuses this object"
    needs = "the object's own fields"

    def applies(self, item: KubeObject, cluster: Cluster) -> bool:
        """Kinds whose required fields are known here."""
        return item.kind in _REQUIRED

    def judge(self, item: KubeObject, cluster: Cluster) -> Iterable[Judgement]:
        """See the class."""
        absent = [path for path in (("metadata", "name"), *_REQUIRED[item.kind]) if not _is_there(item, path)]
        if absent:
            first = item.root.at(*absent[0])
            yield self.finding(
                item.title,
                first,
                f"Missing: {', '.join(spelled(path) for path in absent)}.",
                *(Fix(spelled(path), None, _GOOD.get(str(path[-1])), "required") for path in absent),
            )
        elif (
            "template" in {str(step) for path in _REQUIRED[item.kind] for step in path}
            and item.kind != "LeaderWorkerSet"
        ):
            yield from self._selector(item)
        if item.kind == "HorizontalPodAutoscaler":
            yield from self._metric_targets(item)

    def _selector(self, item: KubeObject) -> Iterable[Judgement]:
        selector, labels = item.root.at("spec", "selector"), item.root.at("spec", "template", "metadata", "labels")
        if not selects(selector, labels.labels):
            yield self.finding(
                item.title,
                selector,
                "Its selector does not select the labels of its own pod template.",
                Fix(
                    "spec.template.metadata.labels",
                    None,
                    "the labels of spec.selector.matchLabels",
                    "required to match",
                ),
            )

    def _metric_targets(self, item: KubeObject) -> Iterable[Judgement]:
        for metric in item.root.at("spec", "metrics").items():
            source = _source(metric)
            if source is not None and not source.at("target", "type").exists and item.api_version != "autoscaling/v1":
                kind = next(
                    (
                        name
                        for name in ("averageValue", "averageUtilization", "value")
                        if source.at("target", name).exists
                    ),
                    "averageValue",
                )
                good = {"averageValue": "AverageValue", "averageUtilization": "Utilization", "value": "Value"}[kind]
                field = source.at("target", "type")
                yield self.finding(
                    item.title,
                    field,
                    f"Missing: {spelled(field.path)}.",
                    Fix("target.type", None, good, f"required; {kind} is set"),
                )


def _source(metric: Field) -> Field | None:
    name = metric.at("type").text
    key = {"ContainerResource": "containerResource"}.get(name, name.lower())
    found = metric.at(key)
    return found if found.exists else None


def _is_there(item: KubeObject, path: Steps) -> bool:
    if path == ("metadata", "name"):
        return bool(item.name)
    field = item.root.at(*path)
    return field.exists and field.value not in ([], "")
