"""All that is known, in one place: typed facts of logs and metrics, each with its provenance."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from troubleshoot.circumstances import Circumstances
from troubleshoot.findings import LogEvidence, MetricEvidence
from troubleshoot.logs.events import Event
from troubleshoot.logs.facts import LogFacts
from troubleshoot.logs.settings import Settings
from troubleshoot.moments import from_log, from_metrics
from troubleshoot.redact import quote
from troubleshoot.serving import Serving, serving_from

if TYPE_CHECKING:
    from catalog.hardware import Gpu
    from troubleshoot.metrics.load import MetricsData
    from troubleshoot.models import ModelShape
    from troubleshoot.pod_facts import PodFacts

_MIB_PER_GIB = 1024.0


@dataclass(frozen=True)
class Evidence:
    """What a cause may look at. `log` and `metrics` are None where no such input was given.

    `circumstances` are for the report: what changed and how other replicas do, where a store of metrics told.
    """

    log: LogFacts | None = None
    metrics: MetricsData | None = None
    symptom: str = ""
    engine_override: str = ""
    circumstances: Circumstances = field(default_factory=Circumstances)
    pod: PodFacts | None = None

    @cached_property
    def engine(self) -> str:
        """vllm, sglang, ...: as the user says, else by the metrics, else by the log; "" where unknown."""
        if self.engine_override:
            return self.engine_override
        if self.metrics and self.metrics.engine:
            return self.metrics.engine
        return (self.log.engine if self.log else "") or (self.pod.engine if self.pod else "")

    @cached_property
    def version(self) -> str:
        """The engine's version; "" where unknown."""
        return (self.log.version if self.log else "") or (self.metrics.version if self.metrics else "")

    @cached_property
    def settings(self) -> Settings:
        """The settings that the log shows; where its start is missing, those that the container was given."""
        shown = self.log.settings if self.log else Settings()
        if self.pod is None or shown.given:
            return shown
        return Settings(self.pod.settings.given, shown.effective)

    @cached_property
    def model(self) -> str:
        """The model's name as served."""
        name = self.metrics.model if self.metrics else ""
        if not name:
            name = str(self.settings.get("served_model_name") or self.settings.get("model") or "")
        return name

    @cached_property
    def shape(self) -> ModelShape | None:
        """The model's shape, where its name is a well-known one."""
        from troubleshoot.models import known_shape

        for name in (self.settings.get("model"), self.model):
            if isinstance(name, str) and name:
                found = known_shape(name)
                if found is not None:
                    return found
        return None

    @cached_property
    def tensor_parallel(self) -> int:
        """Tensor parallel size; 1 where the log does not say."""
        return int(self.settings.number("tensor_parallel_size") or 1)

    @cached_property
    def gpu_name(self) -> str:
        """The GPU's name by DCGM labels or by the log; "" where unknown."""
        if self.metrics:
            for series in self.metrics.timeline.all("DCGM_FI_DEV_FB_USED"):
                if series.labels.get("modelName"):
                    return series.labels["modelName"]
        event = self.log.last("gpu_name") if self.log else None
        return event.fields.get("name", "") if event else ""

    @cached_property
    def gpu(self) -> Gpu | None:
        """Its data sheet, where the name is known."""
        from catalog.hardware import find_gpu

        total = self.gpu_total_gib
        return find_gpu(self.gpu_name, total * 2**30 if total else None) if self.gpu_name else None

    @cached_property
    def gpu_count(self) -> int:
        """GPUs that the metrics show, else the parallel size."""
        if self.metrics:
            found = {
                series.labels.get("UUID") or series.labels.get("gpu")
                for series in self.metrics.timeline.all("DCGM_FI_DEV_FB_USED")
            }
            if found:
                return len(found)
        return self.tensor_parallel

    @cached_property
    def gpu_total_gib(self) -> float | None:
        """Memory of one GPU: by the log's own figure, else by DCGM (used + free)."""
        if self.log and self.log.memory.total_gib:
            return self.log.memory.total_gib
        if self.metrics:
            used = self.metrics.timeline.last("DCGM_FI_DEV_FB_USED", max)
            free = self.metrics.timeline.last("DCGM_FI_DEV_FB_FREE", max)
            if used is not None and free is not None:
                return (used + free) / _MIB_PER_GIB
        return None

    @cached_property
    def on_cpu(self) -> bool:
        """True where the engine runs its model on the CPU, so that GPU arithmetic does not apply."""
        return bool(self.log and self.log.has("cpu_backend"))

    @cached_property
    def serving(self) -> Serving | None:
        """Figures of the window under judgement: from metrics, else from statistics lines; None if never busy."""
        if self.metrics and len(self.metrics.timeline.scrape_times) > 1:
            found = serving_from(from_metrics(self.metrics.timeline), "metrics", self.metrics.timeline)
            if found:
                return found
        return self.log_serving

    @cached_property
    def log_serving(self) -> Serving | None:
        """The same from statistics lines alone."""
        if not self.log or not self.log.statistics:
            return None
        return serving_from(from_log(self.log.statistics), "log", None)

    @cached_property
    def weights_gib(self) -> float | None:
        """Weights on one GPU, as the engine printed them, else by the model's shape."""
        if self.log and self.log.memory.weights_gib:
            return self.log.memory.weights_gib
        if self.shape is None:
            return None
        from troubleshoot.capacity import GIB, weight_bytes

        try:
            quantization = self.settings.get("quantization")
            return weight_bytes(self.shape, str(quantization or "auto"), self.tensor_parallel) / GIB
        except ValueError:
            return None

    @cached_property
    def kv_capacity_tokens(self) -> int | None:
        """Tokens that the KV cache holds: by metrics, else by the log."""
        if self.metrics:
            value = self.metrics.timeline.last("llm_kv_cache_capacity_tokens", max)
            if value:
                return int(value)
        return self.log.memory.kv_tokens if self.log else None

    @cached_property
    def kv_is_plentiful(self) -> bool | None:
        """KV cache clearly below its limit in the window; None where its use is unknown."""
        usage = self.serving.kv_while_waiting if self.serving else None
        return None if usage is None else usage < KV_PLENTY_RATIO

    @cached_property
    def kv_is_full(self) -> bool | None:
        """KV cache at its limit while requests wait; None where its use is unknown."""
        usage = self.serving.kv_while_waiting if self.serving else None
        return None if usage is None else usage >= KV_FULL_RATIO

    def throttled_share(self) -> tuple[float, tuple[str, ...]] | None:
        """Share of GPU samples with a harmful throttle reason, and which; None without such a series."""
        if not self.metrics:
            return None
        names = ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS")
        name = next((name for name in names if self.metrics.timeline.has(name)), None)
        if name is None:
            return None
        window = self.serving.window if self.serving else None
        values = [value for value in self.metrics.timeline.values(name, max, window) if 0 <= value < _LARGEST_MASK]
        from catalog.gpu import throttle_reasons

        harmful = [[r for r in throttle_reasons(int(value)) if r.is_problem] for value in values]
        reasons = tuple(dict.fromkeys(reason.name for found in harmful for reason in found))
        return (sum(1 for found in harmful if found) / len(values), reasons) if values else None

    def quote(self, event: Event, limit: int = 400) -> LogEvidence:
        """The event as evidence: redacted, without escapes."""
        return LogEvidence(event.file, event.line, quote(event.text, limit))

    def metric(self, series: str, value: float, unit: str, note: str = "") -> MetricEvidence:
        """A measured value as evidence, under the engine's own series name where it is known."""
        raw = self.metrics.raw_names.get(series, series) if self.metrics else series
        if self.serving and self.serving.source == "log":
            raw = f"statistics lines: {series.removeprefix('llm_')}"
        return MetricEvidence(raw, value, unit, self.serving.window if self.serving else None, note)


_LARGEST_MASK = 2.0**63
KV_FULL_RATIO = 0.9
"""From here on an engine that adds a request is about to preempt or to queue: vLLM fills to 1.0 and falls back as
requests end, so the median while requests wait lies a little below."""
KV_PLENTY_RATIO = 0.75
"""Below this, requests that wait do not wait for KV cache."""
