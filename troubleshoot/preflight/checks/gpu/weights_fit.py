"""The weights against the GPU's memory."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.parallel import tensor_parallel_sizes
from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.engine import Engine
from troubleshoot.preflight.quantity import gibibytes
from troubleshoot.preflight.sizing import Card, Model, memory_share

_MOST_GPUS = 8
_FULL = 0.7
"""A share of the GPU for weights that leaves a KV cache worth having."""


class WeightsFit(WorkloadCheck):
    """Weights that fill the engine's share of the GPU leave no room for a KV cache: it does not start."""

    id = "weights_fit"
    severity = Severity.CRITICAL
    title = "The weights do not fit the GPU"
    needs = "the GPU (a node label, machine type or MIG slice) and the model's size, from a name that is known"
    reads_arguments = True

    def applies(self, subject: Subject) -> bool:
        """Engines that put the model into the GPU's memory whole."""
        return (
            subject.engine is not None
            and subject.engine.name not in {"triton", "llamacpp"}
            and subject.workload.role != "worker"
        )

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class. Nothing but the weights is counted, so that what is found is certain."""
        engine, model, card, spans = subject.engine, subject.model, subject.card, subject.parallelism
        if engine is None or "--cpu-offload-gb" in engine.settings:
            return
        lacking = [
            what
            for what, known in (
                ("the GPU (a node label, machine type or MIG slice)", card),
                ("the model's size, from a name that is known", model),
                ("a number for how many GPUs it spans", spans),
            )
            if not known
        ]
        if card is None or model is None or spans is None:
            least = (
                f", each of which takes {gibibytes(model.weights_bytes / spans)} of weights" if model and spans else ""
            )
            yield self.not_checked(subject.title, " and ".join(lacking) + least)
            return
        if not engine.arguments_known and not engine.setting("tensor parallel"):
            yield self.not_checked(
                subject.title, "the arguments that the serving runtime, preset or --config file gives"
            )
            return
        share = memory_share(engine) or 1.0
        each, room = model.weights_bytes / spans, card.memory_bytes * min(share, 1.0)
        if each >= room:
            found = engine.setting("tensor parallel") or engine.model
            yield self.finding(
                subject.title,
                found.field if found else engine.container.field,
                f"{gibibytes(each)} of weights on each of {spans} GPU{'s' * (spans != 1)}, and {share:.0%} of {card.name} is {gibibytes(room)}.",
                _split(engine, model, card, spans),
            )


def _split(engine: Engine, model: Model, card: Card, spans: int) -> Fix:
    """The smallest number of GPUs that holds the weights with room to spare, as far as the model can be cut."""
    flag = engine.flag("tensor parallel")
    sizes = tensor_parallel_sizes(model.shape, _MOST_GPUS, model.quantization) if model.shape else (2, 4, 8)
    enough = [size for size in sizes if size > spans and model.weights_bytes / size <= _FULL * card.memory_bytes]
    if not flag or not enough:
        return Fix(
            "GPU",
            card.name,
            "one with more memory",
            "or a quantized checkpoint; splitting it over one node's GPUs is not enough",
        )
    each = gibibytes(model.weights_bytes / enough[0])
    return Fix(
        flag, spans, enough[0], f"{each} each, with room for the KV cache; or a quantized checkpoint, or a larger GPU"
    )
