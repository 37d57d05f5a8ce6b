"""Autoscaling by what is short: the queue or the KV cache, not the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from troubleshoot.preflight import metric_names
from troubleshoot.preflight.checks.base import AUTOSCALERS, Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.objects import Field, KubeObject

_UTILISATION = "DCGM_FI_DEV_GPU_UTIL"


class AutoscalingSignal(WorkloadCheck):
    """One client keeps a GPU at 100 % and its CPU at one core; neither tells whether requests wait."""

    id = "autoscaling_signal"
    severity = Severity.WARNING
    title = "GPU inference is scaled by CPU or memory"
    needs = "the metrics of an autoscaler of this workload"
    counts_on = AUTOSCALERS

    def applies(self, subject: Subject) -> bool:
        """Where something scales it."""
        return self.concerns(subject) and (bool(subject.autoscalers) or _kserve_metric(subject).exists)

    def concerns(self, subject: Subject) -> bool:
        """Where something may scale it."""
        return subject.engine is not None and subject.workload.role in {"server", "predictor"}

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        good = metric_names.suggestion(_waiting_name(engine.name)) if engine else ""
        own = _kserve_metric(subject)
        if own.text.lower() in {"cpu", "memory"}:
            yield self.finding(
                subject.title,
                own,
                f"scaleMetric is {own.text}: it does not follow the load of the GPU.",
                Fix("scaleMetric", own.text, "concurrency", "requests that run at once on a replica"),
            )
        for item in subject.autoscalers:
            poor, other = list(_resource_metrics(item)), list(_other_metrics(item))
            if not poor and not other and item.kind == "HorizontalPodAutoscaler":
                poor = [item.root.at("spec", "metrics")]  # Kubernetes takes 80 % of the CPU
            for field in poor:
                alone = not other
                yield self.finding(
                    subject.title,
                    field,
                    f"{item.title} scales by CPU or memory{' alone' if alone else ' too'}: "
                    + (
                        "the GPU is full long before the CPU is."
                        if alone
                        else "the highest of its metrics wins, so that it can only add replicas for no reason."
                    ),
                    Fix(
                        "metrics",
                        "Resource",
                        good or "the number of waiting requests" if alone else "remove",
                        "requests that wait for the GPU",
                    ),
                    severity=Severity.WARNING if alone else Severity.INFO,
                )
            for field in other:
                if _UTILISATION in field.text or _UTILISATION.lower() in field.text:
                    yield self.finding(
                        subject.title,
                        field,
                        f"{item.title} scales by GPU utilisation, which one client brings to 100 %.",
                        Fix("metric name", field.text, good or None, "requests that wait for the GPU"),
                        title="GPU inference is scaled by GPU utilisation",
                    )


def _waiting_name(engine: str) -> str:
    prefix = {"triton": "nv", "tensorrt_llm": "trtllm"}.get(engine, engine)
    return f"{prefix}_requests_waiting"


def _kserve_metric(subject: Subject) -> Field:
    return subject.workload.owner.root.at("spec", "predictor", "scaleMetric")


def _resource_metrics(item: KubeObject) -> Iterator[Field]:
    if item.root.at("spec", "targetCPUUtilizationPercentage").exists:
        yield item.root.at("spec", "targetCPUUtilizationPercentage")
    for metric in item.root.at("spec", "metrics").items():
        if metric.at("type").text in {"Resource", "ContainerResource"}:
            yield metric
    for trigger in item.root.at("spec", "triggers").items():
        if trigger.at("type").text in {"cpu", "memory"}:
            yield trigger


def _other_metrics(item: KubeObject) -> Iterator[Field]:
    for metric in item.root.at("spec", "metrics").items():
        for key in ("pods", "object", "external"):
            if metric.at(key, "metric", "name").exists:
                yield metric.at(key, "metric", "name")
    for trigger in item.root.at("spec", "triggers").items():
        if trigger.at("type").text not in {"cpu", "memory"}:
            query = trigger.at("metadata", "query")
            yield query if query.exists else trigger
