"""CPU and memory that the engine asks for."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class Resources(WorkloadCheck):
    """A pod that requests neither CPU nor memory is the first to be evicted, whatever its GPU costs."""

    id = "resources"
    severity = Severity.WARNING
    title = "CPU or memory is not requested"
    needs = "resources of the container"

    def applies(self, subject: Subject) -> bool:
        """Every pod of an engine, those of a group's workers too."""
        return subject.engine is not None

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        container = subject.container
        if container is None:
            return
        absent = [
            name
            for name in ("cpu", "memory")
            if not container.resource(name, "requests").exists and not container.resource(name, "limits").exists
        ]
        if absent and "arguments" in subject.workload.supplied:
            yield self.not_checked(subject.title, "the serving runtime or preset that gives its resources")
        elif absent:
            gpus = max(1, container.gpus)
            good = {"cpu": str(4 * gpus), "memory": _memory(subject, gpus)}
            both = " and ".join(absent)
            quality = " Its quality of service is BestEffort: it is evicted first." if len(absent) == 2 else ""
            yield self.finding(
                subject.title,
                container.field.at("resources", "requests"),
                f"It requests no {both}: the scheduler counts none, and packs the node.{quality}",
                *(Fix(f"requests {name}", None, good[name], _WHY[name]) for name in absent),
            )


_WHY = {
    "cpu": "four cores a GPU: tokenising, scheduling and the HTTP server",
    "memory": "the weights pass through it, and each GPU's process takes 3 GiB",
}


def _memory(subject: Subject, gpus: int) -> str:
    weights = subject.model.stored_bytes if subject.model else 16e9
    return f"{round(weights / (1 << 30) + 3 * gpus + 4)}Gi"
