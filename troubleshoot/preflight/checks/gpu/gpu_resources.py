"""GPU limits and requests that the API server takes."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.workload import GPU_RESOURCES


class GpuResources(WorkloadCheck):
    """GPUs cannot be overcommitted: a request needs a limit, and both have to be equal and whole."""

    id = "gpu_resources"
    severity = Severity.CRITICAL
    title = "The API server refuses these GPU resources"
    needs = "resources of the containers"

    def applies(self, subject: Subject) -> bool:
        """Where a GPU is asked for."""
        return subject.container is not None and any(subject.container.gpu_resources())

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        for container in subject.workload.containers:
            for name, amount in container.gpu_resources():
                limit, request = container.resource(name, "limits"), container.resource(name, "requests")
                if amount.integer is None:
                    yield self.finding(
                        subject.title,
                        amount,
                        f"{name} is {amount.text or 'no number'}: only whole GPUs can be asked for.",
                        Fix(
                            name,
                            amount.text or None,
                            1,
                            "a part of a GPU is a MIG slice, or time-slicing set up on the node",
                        ),
                    )
                elif not limit.exists:
                    yield self.finding(
                        subject.title,
                        request,
                        f"{name} is requested without a limit.",
                        Fix(f"limits {name}", None, request.integer, "the request follows from the limit"),
                    )
                elif request.exists and request.integer != limit.integer:
                    yield self.finding(
                        subject.title,
                        request,
                        f"{name}: request {request.text} and limit {limit.text} differ.",
                        Fix(f"requests {name}", request.integer, limit.integer, "they have to be equal"),
                    )
        shared = {name for container in subject.workload.containers for name, _ in container.gpu_resources()}
        if len(shared & set(GPU_RESOURCES)) > 1:
            container = subject.workload.containers[0]
            yield self.finding(
                subject.title,
                container.field.at("resources"),
                f"Several kinds of GPU in one pod: {', '.join(sorted(shared))}.",
                Fix("resources", None, "one kind of GPU", "no node offers whole and shared GPUs for one engine"),
                severity=Severity.WARNING,
                title="Several kinds of GPU in one pod",
            )
