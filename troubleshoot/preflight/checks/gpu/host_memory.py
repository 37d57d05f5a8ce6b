"""Host memory against the weights."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.quantity import gibibytes, quantity

_GIB = 1 << 30
_BASE_BYTES = 2 * _GIB
_A_GPU_BYTES = 2 * _GIB
"""What vLLM's processes hold without the weights: the server about 2 GiB, each GPU's worker as much again."""
_SWAP_UNTIL = (0, 10)
"""Up to vLLM 0.9 (engine core V0) --swap-space, 4 GiB a GPU by default, is pinned at the start."""


class HostMemory(WorkloadCheck):
    """Weights pass through the page cache, which counts against the limit: too little and loading crawls or is killed."""

    id = "host_memory"
    severity = Severity.WARNING
    title = "The memory limit is smaller than the weights"
    needs = "the model's size, from a name that is known"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        container = subject.container
        if container is None or subject.workload.role == "worker":
            return
        field = container.resource("memory", "limits")
        limit = quantity(field.text) if field.exists else None
        if limit is None:
            return
        gpus = max(1, container.gpus)
        least = _BASE_BYTES + gpus * (_A_GPU_BYTES + _swap_bytes(subject))
        if limit < least:
            yield self.finding(
                subject.title,
                field,
                f"The limit of {gibibytes(limit)} is below the {gibibytes(least)} that the engine's processes hold for {gpus} GPU{'s' * (gpus != 1)}: it is killed at the start.",
                Fix("limits memory", field.text, _good(subject, least), "processes, weights and /dev/shm"),
                severity=Severity.CRITICAL,
                title="The memory limit is smaller than the engine",
            )
        elif subject.model is None:
            yield self.not_checked(subject.title)
        elif limit < subject.model.stored_bytes:
            yield self.finding(
                subject.title,
                field,
                f"The limit of {gibibytes(limit)} is below the {gibibytes(subject.model.stored_bytes)} of weights: the page cache is dropped while they load, and checkpoints that are not safetensors do not fit at all.",
                Fix("limits memory", field.text, _good(subject, least), "processes, weights and /dev/shm"),
            )


def _swap_bytes(subject: Subject) -> float:
    engine = subject.engine
    if engine is None or engine.name != "vllm":
        return 0
    asked = engine.settings.get("--swap-space")
    if asked is not None:
        return (asked.number or 0) * _GIB
    numbers = tuple(int(part) for part in engine.version.split(".")[:2] if part.isdigit())
    return 4 * _GIB if numbers and numbers < _SWAP_UNTIL else 0


def _good(subject: Subject, least: float) -> str:
    weights = subject.model.stored_bytes if subject.model else 0
    return f"{round((least + weights) / _GIB) + 8}Gi"
