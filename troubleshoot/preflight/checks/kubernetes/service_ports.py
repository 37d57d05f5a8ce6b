"""Services that lead to a port that is there."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.engine_ports import serving_port


class ServicePorts(WorkloadCheck):
    """A Service that leads to a port on which nobody listens refuses every request."""

    id = "service_ports"
    severity = Severity.CRITICAL
    title = "A Service leads to a port that is not there"
    needs = "a Service that selects its pods"
    counts_on = frozenset({"Service"})

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None:
            return
        names = {name for container in subject.workload.containers for name in container.port_names()}
        numbers = {number for container in subject.workload.containers for number in container.port_numbers()}
        for service in subject.cluster.services(subject.workload):
            for port in service.root.at("spec", "ports").items():
                target = port.at("targetPort") if port.at("targetPort").exists else port.at("port")
                named = target.integer is None
                lost = target.text not in names if named else bool(numbers) and target.integer not in numbers
                if lost:
                    have = ", ".join(sorted(names) if named else map(str, sorted(numbers))) or "none"
                    yield self.finding(
                        subject.title,
                        target,
                        f"{service.title} leads to port {target.text}, and the pods declare {have}.",
                        Fix("targetPort", target.text, serving_port(engine), f"where {engine.title} listens"),
                    )
