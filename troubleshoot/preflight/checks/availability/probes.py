"""Readiness and liveness probes."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.engine_ports import health_path, serving_port


class Probes(WorkloadCheck):
    """Loading takes minutes, and an engine can hang while its process lives: both are seen by probes alone."""

    id = "probes"
    severity = Severity.WARNING
    title = "No liveness probe"
    needs = "the container's probes"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        container, workload, engine = subject.container, subject.workload, subject.engine
        if container is None or engine is None or workload.role == "worker":
            return
        missing = [name for name in ("readinessProbe", "livenessProbe") if not container.field.at(name).exists]
        if missing and "probes" in workload.supplied:
            yield self.not_checked(
                subject.title, f"the serving runtime or preset that gives its {' and '.join(missing)}"
            )
            return
        where = f"httpGet {health_path(engine.name, live=False)} on port {serving_port(engine)}"
        if "readinessProbe" in missing and "readiness" not in workload.supplied:
            yield self.finding(
                subject.title,
                container.field.at("readinessProbe"),
                "A pod gets requests as soon as its container starts, and refuses them until the model is loaded; a rollout replaces all old pods meanwhile.",
                Fix("readinessProbe", None, where, "requests go to loaded engines only"),
                severity=Severity.CRITICAL,
                title="No readiness probe",
            )
        if "livenessProbe" in missing:
            where = f"httpGet {health_path(engine.name, live=True)} on port {serving_port(engine)}"
            yield self.finding(
                subject.title,
                container.field.at("livenessProbe"),
                "An engine that hangs or has lost its GPU is never restarted.",
                Fix("livenessProbe", None, f"{where}, timeoutSeconds: 10", "with a startupProbe in front of it"),
            )
