"""As many GPUs as the engine spans."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.parallel import tensor_parallel_obstacle, tensor_parallel_sizes
from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.engine import Engine

_WITHOUT_GPU = ("cpu", "openvino", "arm64", "neuron", "tpu", "hpu", "gaudi")


class GpuCount(WorkloadCheck):
    """Too few GPUs and the engine does not start; too many and some stand idle, paid for."""

    id = "gpu_count"
    severity = Severity.CRITICAL
    title = "GPUs and parallelism do not agree"
    needs = "how many GPUs one model spans"
    reads_arguments = True

    def applies(self, subject: Subject) -> bool:
        """Engines on GPUs: no build for CPUs or other accelerators, and no worker of a group."""
        engine = subject.engine
        if engine is None or subject.workload.role == "worker" or engine.name == "llamacpp":
            return False
        reference = f"{engine.container.image.name}:{engine.container.image.tag}".lower()
        device = engine.settings.get("--device")
        return not any(word in reference for word in _WITHOUT_GPU) and (
            device is None or device.value in {"cuda", "auto"}
        )

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine, workload = subject.engine, subject.workload
        if engine is None:
            return
        container = engine.container
        gpus = workload.group_gpus if workload.group_gpus is not None else container.gpus
        limits = container.field.at("resources", "limits")
        spans = subject.parallelism
        if gpus == 0:
            if any(container.field.at("resources", "claims").items()):
                yield self.not_checked(subject.title, "the resource claim that gives its GPUs")
                return
            if "arguments" in workload.supplied:
                yield self.not_checked(subject.title, "the serving runtime or preset that gives its resources")
                return
            if any(container.gpu_resources()):
                yield self.not_checked(subject.title, "a whole number of GPUs")
                return
            yield self.finding(
                subject.title,
                limits,
                f"It runs {engine.title} and asks for no GPU: it lands on any node and does not start.",
                Fix("nvidia.com/gpu", None, spans or 1, "as many as --tensor-parallel-size x --pipeline-parallel-size"),
                title="No GPU is asked for",
            )
            return
        if not engine.arguments_known and not engine.setting("tensor parallel"):
            yield self.not_checked(
                subject.title, "the arguments that the serving runtime, preset or --config file gives"
            )
            return
        if (engine.name == "triton" and gpus > 1) or spans is None:
            yield self.not_checked(subject.title)
            return
        yield from self._against(subject, engine, gpus, spans)

    def _against(self, subject: Subject, engine: Engine, gpus: int, spans: int) -> Iterable[Judgement]:
        visible = engine.container.environment.get("CUDA_VISIBLE_DEVICES")
        if visible is not None and visible.text and (shown := len(visible.text.split(","))) < spans:
            yield self.finding(
                subject.title,
                visible,
                f"CUDA_VISIBLE_DEVICES shows the engine {shown} GPU{'s' * (shown != 1)}, and it spans {spans}.",
                Fix("CUDA_VISIBLE_DEVICES", visible.text, "remove", "the device plugin shows a container its own GPUs"),
            )
            return
        copies = engine.count("data parallel")
        if (
            copies is None
            or "--enable-dp-attention" in engine.settings
            or "--enable-expert-parallel" in engine.settings
        ):
            copies = max(1, gpus // spans)
        wanted = spans * copies
        flag, tensor = engine.flag("tensor parallel"), engine.setting("tensor parallel")
        field = tensor.field if tensor else next(amount for _, amount in engine.container.gpu_resources())
        if engine.name == "tgi" and tensor is None:
            return  # it shards over all GPUs that it sees
        where = "its group has" if subject.workload.group_gpus is not None else "the container asks for"
        if wanted > gpus:
            yield self.finding(
                subject.title,
                field,
                f"The engine spans {wanted} GPUs and {where} {gpus}: it does not start.",
                Fix("nvidia.com/gpu", gpus, wanted, f"or {flag} {gpus}"),
            )
        elif wanted < gpus:
            yield self.finding(
                subject.title,
                field,
                f"The engine uses {wanted} of the {gpus} GPUs: {where} {gpus}.",
                Fix(flag, spans if tensor else None, gpus * spans // wanted, f"or nvidia.com/gpu: {wanted}"),
                severity=Severity.WARNING,
                title="GPUs stand idle",
            )
        model, count = subject.model, tensor.integer if tensor else None
        obstacle = (
            tensor_parallel_obstacle(model.shape, count, model.quantization) if model and model.shape and count else ""
        )
        if model and model.shape and count and obstacle:
            yield self.finding(
                subject.title,
                field,
                f"{flag} {count} cannot cut {model.shape.name}: {obstacle}. The engine refuses.",
                Fix(
                    flag,
                    count,
                    max(tensor_parallel_sizes(model.shape, count, model.quantization)),
                    "cuts the model evenly",
                ),
            )
