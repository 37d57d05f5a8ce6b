"""Metrics that somebody collects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.cluster import selects
from troubleshoot.preflight.engine import Engine
from troubleshoot.preflight.engine_ports import metrics_port
from troubleshoot.preflight.objects import Field, KubeObject

_SCRAPE, _PORT = "prometheus.io/scrape", "prometheus.io/port"
_SOURCES = ("PodMonitor", "ServiceMonitor", "Service")
_KSERVE = "serving.kserve.io/enable-prometheus-scraping"


class Scraping(WorkloadCheck):
    """What is not scraped cannot alert, scale or be diagnosed afterwards."""

    id = "scraping"
    severity = Severity.WARNING
    title = "Nobody scrapes its metrics"
    needs = "a PodMonitor, ServiceMonitor or annotations that reach its pods"

    def applies(self, subject: Subject) -> bool:
        """Engines, but for the workers of a group, which serve no metrics."""
        return subject.engine is not None and subject.workload.role != "worker"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine, workload, cluster = subject.engine, subject.workload, subject.cluster
        if engine is None:
            return
        services = cluster.services(workload)
        annotated = [
            field
            for owner in (workload.pod, *(service.root for service in services))
            for field in [_annotation(subject, owner)]
            if field is not None
        ]
        pod_monitors = cluster.pod_monitors(workload)
        service_monitors = [(service, monitor) for service in services for monitor in cluster.service_monitors(service)]
        if workload.annotations.get(_KSERVE) == "true":
            return
        if pod_monitors or service_monitors:
            yield from self._pod_monitor_ports(subject, engine, pod_monitors)
            yield from self._service_monitor_ports(subject, service_monitors)
        elif annotated:
            yield from self._annotated_port(subject, engine, annotated[0])
        elif "metrics" in workload.supplied:
            yield self.not_checked(subject.title, "the PodMonitors that the platform makes for its services")
        else:
            yield self._nobody(subject, engine)

    def _nobody(self, subject: Subject, engine: Engine) -> Judgement:
        owner, words = subject.workload.owner, subject.cluster.surroundings.words
        for monitor in subject.cluster.of_kind("ServiceMonitor"):
            if selects(monitor.root.at("spec", "selector"), subject.workload.labels):
                return self.finding(
                    subject.title,
                    monitor.root.at("spec", "selector"),
                    f"{monitor.title} selects Services, not pods, and no Service of these pods that carries its labels is {words}.",
                    Fix(
                        "kind",
                        "ServiceMonitor",
                        "PodMonitor",
                        "selects the pods themselves; or add the Service, with these labels and the named port",
                    ),
                    without=_SOURCES,
                )
        if "service" in subject.workload.supplied and owner.kind == "InferenceService":
            return self.finding(
                subject.title,
                owner.root.at("metadata", "annotations"),
                f"Nothing {words} scrapes it, and KServe sets no annotations unless asked.",
                Fix(
                    _KSERVE,
                    None,
                    "true",
                    "or a PodMonitor; the exporter of this project finds it on its node by itself",
                ),
                without=_SOURCES,
            )
        return self.finding(
            subject.title,
            owner.root.at("metadata", "name"),
            f"No PodMonitor, ServiceMonitor or annotation {words} leads to its metrics.",
            Fix(
                "PodMonitor",
                None,
                f"port {metrics_port(engine)}, path /metrics",
                "or the exporter of this project, which finds engines on its node by itself",
            ),
            without=_SOURCES,
        )

    def _annotated_port(self, subject: Subject, engine: Engine, field: Field) -> Iterable[Judgement]:
        wanted = metrics_port(engine)
        if field.integer is not None and field.integer != wanted:
            yield self.finding(
                subject.title,
                field,
                f"{_PORT} is {field.text}, and {engine.title} serves its metrics on {wanted}.",
                Fix(_PORT, field.text, str(wanted), "where the metrics are"),
                title="The wrong port is scraped",
                without=_SOURCES,
            )

    def _pod_monitor_ports(self, subject: Subject, engine: Engine, monitors: list[KubeObject]) -> Iterable[Judgement]:
        names = {name for container in subject.workload.containers for name in container.port_names()}
        for monitor in monitors:
            for endpoint in monitor.root.at("spec", "podMetricsEndpoints").items():
                port = endpoint.at("port")
                if port.exists and port.text not in names:
                    yield self.finding(
                        subject.title,
                        port,
                        f"{monitor.title} scrapes the port named {port.text!r}, and the pods name {', '.join(sorted(names)) or 'none'}.",
                        Fix(
                            "port",
                            port.text,
                            next(iter(sorted(names)), f"targetPort {metrics_port(engine)}"),
                            "a port that the container names",
                        ),
                        title="A port is scraped that is not there",
                    )

    def _service_monitor_ports(
        self, subject: Subject, pairs: list[tuple[KubeObject, KubeObject]]
    ) -> Iterable[Judgement]:
        for service, monitor in pairs:
            names = {port.at("name").text for port in service.root.at("spec", "ports").items()}
            for endpoint in monitor.root.at("spec", "endpoints").items():
                port = endpoint.at("port")
                if port.exists and port.text not in names:
                    yield self.finding(
                        subject.title,
                        port,
                        f"{monitor.title} scrapes the port named {port.text!r}, and {service.title} names {', '.join(sorted(names - {''})) or 'none'}.",
                        Fix("port", port.text, next(iter(sorted(names - {""})), None), "a port that the Service names"),
                        title="A port is scraped that is not there",
                    )


def _annotation(subject: Subject, owner: Field) -> Field | None:
    """The port that an annotation of pods or Service names, where it asks to be scraped."""
    for found in _annotations(subject, owner):
        if found.at(_SCRAPE).text.lower() == "true":
            return found.at(_PORT)
    return None


def _annotations(subject: Subject, owner: Field) -> Iterator[Field]:
    if owner is subject.workload.pod:
        root = subject.workload.owner.root
        template = ("spec", "template", "metadata", "annotations")
        yield root.at(*template)
        for role in ("leaderTemplate", "workerTemplate"):
            yield root.at("spec", "leaderWorkerTemplate", role, "metadata", "annotations")
        if subject.workload.owner.kind in {"Pod", "InferenceService", "LLMInferenceService"}:
            yield root.at("metadata", "annotations")
        yield root.at("spec", "predictor", "annotations")
    else:
        yield owner.at("metadata", "annotations")
