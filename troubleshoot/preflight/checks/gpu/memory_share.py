"""The share of the GPU's memory that the engine takes."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.capacity import MAX_UTILIZATION
from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.sizing import memory_share

_SHARED = "nvidia.com/gpu.shared"


class MemoryShare(WorkloadCheck):
    """An engine takes its share of the whole GPU, whoever else is on it."""

    id = "memory_share"
    severity = Severity.CRITICAL
    title = "The engine takes more of the GPU than there is"
    needs = "the share that it takes"
    reads_arguments = True

    def applies(self, subject: Subject) -> bool:
        """vLLM and SGLang, which take a share."""
        return subject.engine is not None and subject.engine.name in {"vllm", "sglang"}

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None:
            return
        flag, asked, share = engine.flag("memory share"), engine.setting("memory share"), memory_share(engine)
        if asked is not None and share is None:
            yield self.not_checked(subject.title, f"the value of {flag}")
        elif asked is not None and share is not None and not 0 < share <= MAX_UTILIZATION:
            yield self.finding(
                subject.title,
                asked.field,
                f"{flag} {asked.value} leaves no room for the CUDA context, or is no share at all."
                if share > 0
                else f"{flag} {asked.value} is no share.",
                Fix(
                    flag,
                    asked.value,
                    0.95 if share > 1 or share > MAX_UTILIZATION else 0.9,
                    f"at most {MAX_UTILIZATION} of what the driver shows can be had",
                ),
            )
        resources = dict(engine.container.gpu_resources())
        sliced = _SHARED in resources or (subject.card is not None and subject.card.shared)
        if sliced and (share is None or share > 0.5):
            field = asked.field if asked else next(iter(resources.values()))
            yield self.finding(
                subject.title,
                field,
                f"The GPU is shared by time-slicing, which divides no memory, and the engine takes {'most' if share is None else f'{share:.0%}'} of it: the next pod on it does not start.",
                Fix(flag, asked.value if asked else None, 0.45, "0.9 over the number of pods that share the GPU"),
                title="The engine takes most of a shared GPU",
            )
        engines = [container for container in subject.workload.containers if container.gpus]
        if len(engines) > 1 and "CUDA_VISIBLE_DEVICES" in engine.container.environment:
            yield self.finding(
                subject.title,
                engine.container.environment["CUDA_VISIBLE_DEVICES"],
                "Several containers of the pod ask for GPUs of their own and CUDA_VISIBLE_DEVICES is set: its numbers count within each container.",
                Fix("CUDA_VISIBLE_DEVICES", None, "remove", "the device plugin shows each container its own GPUs"),
                severity=Severity.WARNING,
                title="CUDA_VISIBLE_DEVICES beside the device plugin",
            )
