"""A model that is named, and that is where it is said to be."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck

_OWN_DEFAULT = {"vllm": "a small model for tests", "tgi": "bigscience/bloom-560m"}


class ModelSource(WorkloadCheck):
    """Without a model an engine serves its default or nothing; a path has to lie on a volume."""

    id = "model_source"
    severity = Severity.CRITICAL
    title = "No model is named"
    needs = "the engine's arguments"
    reads_arguments = True

    def applies(self, subject: Subject) -> bool:
        """Engines that serve one model, named in their arguments."""
        return (
            subject.engine is not None
            and subject.engine.name in {"vllm", "sglang", "tgi"}
            and subject.workload.role != "worker"
        )

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None:
            return
        model = engine.model
        if model is None:
            if not engine.arguments_known:
                yield self.not_checked(
                    subject.title, "the arguments that the serving runtime, preset or --config file gives"
                )
                return
            default = _OWN_DEFAULT.get(engine.name)
            yield self.finding(
                subject.title,
                engine.container.field.at("args"),
                f"Nothing tells {engine.title} which model to serve"
                + (f": it serves {default}." if default else ": it does not start."),
                Fix(engine.flag("model"), None, "a hub name or a path on a volume", "what it shall serve"),
            )
            return
        path = model.value or ""
        released = engine.version != ""  # the engine's own image: it holds no model
        if path.startswith("/") and released and engine.container.mount(path) is None:
            if path.startswith("/mnt/models") and "readiness" in subject.workload.supplied:
                return  # KServe's storage initializer puts it there
            yield self.finding(
                subject.title,
                model.field,
                f"{path} lies on no volume, and the image {engine.container.image.repository} holds no model.",
                Fix(
                    "volumeMounts",
                    None,
                    path.rpartition("/")[0] or "/",
                    "a volume with the model; or name it as the hub does",
                ),
                title="The model's path lies on no volume",
            )
