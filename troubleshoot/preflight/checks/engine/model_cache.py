"""Where models and caches lie."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.engine import Engine
from troubleshoot.preflight.quantity import gibibytes

_CACHE_VARIABLES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "TRANSFORMERS_CACHE",
    "VLLM_CACHE_ROOT",
    "XDG_CACHE_HOME",
)
_DEFAULTS = {"vllm": "/root/.cache/huggingface", "sglang": "/root/.cache/huggingface", "tgi": "/data"}


class ModelCache(WorkloadCheck):
    """A model from a hub is downloaded by each new pod unless its cache outlives the pod."""

    id = "model_cache"
    severity = Severity.WARNING
    title = "The cache cannot be written"
    needs = "the container's volumes"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine, workload = subject.engine, subject.workload
        if engine is None:
            return
        for name in _CACHE_VARIABLES:
            field = engine.container.environment.get(name)
            mount = engine.container.mount(field.text) if field else None
            if field is not None and mount is not None and mount.at("readOnly").value is True:
                yield self.finding(
                    subject.title,
                    field,
                    f"{name} is {field.text}, on a volume that is mounted read-only: what is downloaded or compiled there fails or is made again by each start.",
                    Fix(
                        name,
                        field.text,
                        "a path on a volume that can be written",
                        "an emptyDir is enough where the model itself is on the volume",
                    ),
                )
        folder = _cache_folder(engine)
        volume = workload.volume_at(engine.container, folder) if folder else None
        if volume is not None and volume.at("hostPath").exists:
            yield self.finding(
                subject.title,
                volume.at("hostPath"),
                f"Models lie in the node's own {volume.at('hostPath', 'path').text}: each node downloads them, fills its disk, and can change them.",
                Fix(
                    "hostPath",
                    volume.at("hostPath", "path").text,
                    "persistentVolumeClaim",
                    "or an image volume; hostPath is also forbidden by the pod security standards",
                ),
                title="Models lie on the node's disk",
            )
        elif folder and _from_hub(engine) and (volume is None or volume.at("emptyDir").exists):
            size = gibibytes(subject.model.stored_bytes) if subject.model else "the model"
            yield self.finding(
                subject.title,
                volume if volume is not None else engine.container.field.at("volumeMounts"),
                f"Each new pod downloads {size} from the hub, and cannot start while the hub is away.",
                Fix(
                    f"volume at {folder}",
                    "emptyDir" if volume is not None else None,
                    "persistentVolumeClaim",
                    "a ReadWriteMany claim, or an image volume, is filled once",
                ),
                severity=Severity.INFO,
                title="Every start downloads the model",
            )


def _from_hub(engine: Engine) -> bool:
    name = engine.model.value if engine.model else None
    return bool(name) and not str(name).startswith(("/", ".", "s3:", "gs:"))


def _cache_folder(engine: Engine) -> str:
    """The folder of the model itself, or of the hub's cache."""
    name = engine.model.value if engine.model else None
    if name and name.startswith("/"):
        return name
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"):
        if variable in engine.container.environment:
            return engine.container.environment[variable].text
    return _DEFAULTS.get(engine.name, "") if name else ""
