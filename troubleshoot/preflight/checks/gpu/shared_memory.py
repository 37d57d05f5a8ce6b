"""/dev/shm for engines of several GPUs."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.quantity import gibibytes, quantity

_DEFAULT_MIB = 64
_LEAST_BYTES = 1 << 30
_PATH = "/dev/shm"


class SharedMemory(WorkloadCheck):
    """The processes of one engine talk through /dev/shm, of which a container has 64 MiB: see runbook oom_shm."""

    id = "shared_memory"
    severity = Severity.CRITICAL
    title = "/dev/shm is too small for several GPUs"
    needs = "how many GPUs one model spans"
    reads_arguments = True

    def applies(self, subject: Subject) -> bool:
        """Every pod of an engine, those of a group's workers too."""
        return subject.engine is not None

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        workload, container, engine = subject.workload, subject.container, subject.engine
        if container is None or engine is None or workload.pod.at("hostIPC").value is True:
            return
        spans = subject.parallelism
        if engine.name == "triton" and container.gpus > 1 and spans == 1:
            spans = None  # a model's configuration says it, in the repository
        if spans == 1:
            return
        volume = workload.volume_at(container, _PATH)
        if volume is None and "shared memory" in workload.supplied:
            yield self.not_checked(subject.title, "the serving runtime or preset that gives its volumes")
        elif volume is None and spans is None:
            yield self.not_checked(
                subject.title,
                f"{self.needs}: with more than one it needs more than the {_DEFAULT_MIB} MiB of /dev/shm that it has",
            )
        elif volume is None:
            yield self.finding(
                subject.title,
                container.field.at("volumeMounts"),
                f"One engine spans {spans} GPUs and nothing is mounted at {_PATH}: it has {_DEFAULT_MIB} MiB, which NCCL and the engine's queues exceed.",
                Fix(
                    f"emptyDir at {_PATH}",
                    None,
                    "medium: Memory, sizeLimit: 16Gi",
                    "counts against the memory limit only as far as it is used",
                ),
            )
        else:
            size = volume.at("emptyDir", "sizeLimit")
            limit = quantity(size.text) if size.exists else None
            if volume.at("emptyDir").exists and volume.at("emptyDir", "medium").text != "Memory":
                yield self.finding(
                    subject.title,
                    volume,
                    f"The volume at {_PATH} lies on disk, not in memory.",
                    Fix(
                        "emptyDir medium",
                        volume.at("emptyDir", "medium").text or None,
                        "Memory",
                        "shared memory is memory",
                    ),
                    severity=Severity.WARNING,
                    title="/dev/shm lies on disk",
                )
            elif limit is not None and limit < _LEAST_BYTES:
                yield self.finding(
                    subject.title,
                    size,
                    f"{_PATH} is limited to {gibibytes(limit)} for {spans or 'several'} GPUs.",
                    Fix("sizeLimit", size.text, "16Gi", "counts against the memory limit only as far as it is used"),
                    severity=Severity.WARNING,
                )
