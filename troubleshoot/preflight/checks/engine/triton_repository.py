"""Triton: how the model repository is watched, and the backend that it needs."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class TritonRepository(WorkloadCheck):
    """Triton's documentation advises against polling in production: a half-written model is loaded.

    The image -py3 holds neither the TensorRT-LLM nor the vLLM backend; those are in -trtllm-python-py3, -vllm-python-py3.
    """

    id = "triton_repository"
    severity = Severity.WARNING
    title = "The model repository is polled"
    needs = "tritonserver's arguments and image"
    reads_arguments = True

    def applies(self, subject: Subject) -> bool:
        """Triton."""
        return subject.engine is not None and subject.engine.name == "triton"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None:
            return
        mode = engine.settings.get("--model-control-mode")
        if mode is not None and mode.value == "poll":
            yield self.finding(
                subject.title,
                mode.field,
                "With --model-control-mode=poll a model is loaded while it is still being written, on each replica at another time.",
                Fix(
                    "--model-control-mode",
                    "poll",
                    "explicit",
                    "with --load-model; a new model is a rollout, or a call of the API",
                ),
            )
        tag = engine.container.image.tag
        own_folder = "--backend-directory" in engine.settings
        for backend, needed in (("tensorrtllm", "trtllm"), ("vllm", "vllm")):
            said = next((word.field for word in engine.container.words if f"backends/{backend}" in word.text), None)
            said = said or next(
                (item for item in engine.container.environment.values() if f"backends/{backend}" in item.text), None
            )
            if said is not None and engine.version and needed not in tag and not own_folder:
                yield self.finding(
                    subject.title,
                    engine.container.field.at("image"),
                    f"The backend {backend} is asked for, and the image {tag} does not hold it: its models do not load.",
                    Fix(
                        "image",
                        tag,
                        f"{engine.version}-{needed}-python-py3",
                        "the image of this release with that backend",
                    ),
                    title="The image lacks the backend",
                )
