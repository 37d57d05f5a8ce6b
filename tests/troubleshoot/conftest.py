"""Evidence made by hand: an engine's log line by line, scrapes from a short description, and what is said of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Diagnosis, Finding, Fix, Severity


class EngineLog:
    """A log in the form that vLLM 0.24 prints, line by line. Every method gives the log back."""

    def __init__(self, version: str = "0.24.0") -> None:
        self.version = version
        self._lines: list[str] = []
        self._seconds = 0

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self._lines) + "\n"

    def line(self, *texts: str) -> Self:
        """Lines as they are."""
        self._lines += texts
        return self

    def said_by(self, process: str, message: str, level: str = "INFO", where: str = "core.py:114") -> Self:
        """A line of vLLM's logger, a second after the one before."""
        self._seconds += 1
        clock = f"{self._seconds // 3600:02d}:{self._seconds // 60 % 60:02d}:{self._seconds % 60:02d}"
        return self.line(f"({process}) {level} 11-21 {clock} [{where}] {message}")

    def api(self, message: str, level: str = "INFO") -> Self:
        """A line of the API server."""
        return self.said_by("APIServer pid=10", message, level, "api_server.py:577")

    def engine(self, message: str, level: str = "INFO") -> Self:
        """A line of the engine core."""
        return self.said_by("EngineCore pid=20", message, level)

    def start(self, model: str = "meta-llama/Llama-2-7b-hf", **arguments: object) -> Self:
        """Banner, arguments, configuration: the start of an engine."""
        self.api(f"vLLM API server version {self.version}")
        self.api(f"non-default args: { {'model': model, **arguments} }")
        return self.engine(
            f"Initializing a V1 LLM engine (v{self.version}) with config: model='{model}', "
            f"tensor_parallel_size={arguments.get('tensor_parallel_size', 1)}, "
            f"enforce_eager={arguments.get('enforce_eager', False)}, "
        )

    def weights(self, gib: float, seconds: float = 4.2) -> Self:
        """The weights are loaded."""
        self.engine("Starting to load model ...")
        return self.engine(f"Model loading took {gib} GiB memory and {seconds:.6f} seconds")

    def kv_cache(self, gib: float, tokens: int) -> Self:
        """The KV cache is laid out."""
        self.engine(f"Available KV cache memory: {gib} GiB")
        return self.engine(f"GPU KV cache size: {tokens:,} tokens")

    def ready(self) -> Self:
        """The server listens."""
        self.api("Starting vLLM server on http://0.0.0.0:8000")
        return self.line("(APIServer pid=10) INFO:     Application startup complete.")

    def healthy_start(self, **arguments: object) -> Self:
        """A start that ends well: 7B on a card of 80 GiB."""
        return self.start(**arguments).weights(12.55).kv_cache(56.0, 114_688).ready()  # type: ignore[arg-type]

    def answers(self, status: int, times: int = 1, path: str = "/v1/completions", method: str = "POST") -> Self:
        """Access lines of uvicorn."""
        for number in range(times):
            self.line(f'(APIServer pid=10) INFO:     10.1.2.3:{40000 + number} - "{method} {path} HTTP/1.1" {status} X')
        return self

    def stats(
        self, running: int, waiting: int = 0, kv: float = 0.1, prompt: float = 200.0, generation: float = 800.0
    ) -> Self:
        """A statistics line, ten seconds after the line before. `kv` is a ratio."""
        self._seconds += 9
        return self.api(
            f"Engine 000: Avg prompt throughput: {prompt:.1f} tokens/s, Avg generation throughput: {generation:.1f} "
            f"tokens/s, Running: {running} reqs, Waiting: {waiting} reqs, GPU KV cache usage: {kv:.1%}, "
            f"Prefix cache hit rate: 0.0%"
        )

    def dies(self, exception: str, *frames: str, process: str = "EngineCore pid=20") -> Self:
        """A traceback in the engine's own process. A frame is "path.py in function"."""
        self.said_by(process, "EngineCore failed to start.", "ERROR")
        self.said_by(process, "Traceback (most recent call last):", "ERROR")
        for number, frame in enumerate(frames):
            path, _, function = frame.partition(" in ")
            self.said_by(process, f'  File "/opt/vllm/{path}", line {100 + number}, in {function}', "ERROR")
            self.said_by(process, f"    return self.{function}(*args)", "ERROR")
        return self.said_by(process, exception, "ERROR")

    def front_end_gives_up(self) -> Self:
        """What the API server prints when the engine's start failed: a consequence, never a cause."""
        self.line("(APIServer pid=10) Traceback (most recent call last):")
        return self.line(
            "(APIServer pid=10) RuntimeError: Engine core initialization failed. See root cause above. "
            "Failed core proc(s): {}"
        )


_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
_TOKENS = (1.0, 10.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0)
_GAUGES: Mapping[str, Mapping[str, str]] = {
    "vllm": {
        "running": "vllm:num_requests_running",
        "waiting": "vllm:num_requests_waiting",
        "kv": "vllm:kv_cache_usage_perc",
    },
    "sglang": {
        "running": "sglang:num_running_reqs",
        "waiting": "sglang:num_queue_reqs",
        "kv": "sglang:token_usage",
    },
    "llamacpp": {"running": "llamacpp:requests_processing", "waiting": "llamacpp:requests_deferred"},
    "triton": {"waiting": "nv_inference_pending_request_count"},
}
_COUNTERS: Mapping[str, Mapping[str, str]] = {
    "vllm": {
        "generation": "vllm:generation_tokens_total",
        "prompt": "vllm:prompt_tokens_total",
        "steps": "vllm:iteration_tokens_total_count",
        "preemptions": "vllm:num_preemptions_total",
        "finished": 'vllm:request_success_total{finished_reason="stop"}',
        "aborted": 'vllm:request_success_total{finished_reason="abort"}',
        "drafted": "vllm:spec_decode_num_draft_tokens_total",
        "accepted": "vllm:spec_decode_num_accepted_tokens_total",
        "prefix_queries": "vllm:prefix_cache_queries_total",
        "prefix_hits": "vllm:prefix_cache_hits_total",
        "rejected": 'vllm:admission_rejections_total{reason="max_num_queued_reqs"}',
        "cpu": "process_cpu_seconds_total",
        "http_4xx": 'http_requests_total{handler="/v1/completions",method="POST",status="4xx"}',
    },
    "sglang": {
        "generation": "sglang:generation_tokens_total",
        "prompt": "sglang:prompt_tokens_total",
        "preemptions": "sglang:num_retracted_requests_total",
        "finished": "sglang:num_requests_total",
        "aborted": "sglang:num_aborted_requests_total",
    },
    "llamacpp": {
        "generation": "llamacpp:tokens_predicted_total",
        "prompt": "llamacpp:prompt_tokens_total",
        "steps": "llamacpp:n_decode_total",
    },
    "triton": {
        "finished": "nv_inference_request_success",
        "rejected": 'nv_inference_request_failure{reason="REJECTED"}',
        "steps": "nv_inference_exec_count",
    },
}
_HISTOGRAMS: Mapping[str, Mapping[str, str]] = {
    "vllm": {
        "ttft": "vllm:time_to_first_token_seconds",
        "queue": "vllm:request_queue_time_seconds",
        "prefill": "vllm:request_prefill_time_seconds",
        "duration": "vllm:e2e_request_latency_seconds",
        "prompt_tokens": "vllm:request_prompt_tokens",
        "output_tokens": "vllm:request_generation_tokens",
        "gap": "vllm:inter_token_latency_seconds",
    },
    "sglang": {
        "ttft": "sglang:time_to_first_token_seconds",
        "queue": "sglang:queue_time_seconds",
        "duration": "sglang:e2e_request_latency_seconds",
        "gap": "sglang:inter_token_latency_seconds",
    },
    "llamacpp": {},
    "triton": {},
}
_LABELS = {
    "vllm": 'engine="0",model_name="llama-2-7b"',
    "sglang": 'model_name="llama-2-7b",tp_rank="0"',
    "llamacpp": "",
    "triton": 'model="echo",version="1"',
}


class Scrapes:
    """What a scraper sees of an engine every `step` seconds, described phase by phase. Counters start at `lifetime`."""

    def __init__(
        self, engine: str = "vllm", *, gpu: str = "", kv_tokens: int = 0, step: float = 2.0, **lifetime: float
    ) -> None:
        self.engine = engine
        self._step = step
        self._gpu = gpu
        self._kv_tokens = kv_tokens
        self._totals: dict[str, float] = defaultdict(float, lifetime)
        self._observed: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
        self._samples: list[str] = []
        self._time = 1_700_000_000.0
        self._gauges: dict[str, float] = {}
        self._scrape()

    @property
    def text(self) -> str:
        """All scrapes as one OpenMetrics file."""
        return "".join(f"{sample}\n" for sample in self._samples) + "# EOF\n"

    @property
    def last_scrape(self) -> str:
        """The newest scrape alone, as `curl` shows it."""
        stamp = f" {self._time}"
        return "".join(f"{sample.removesuffix(stamp)}\n" for sample in self._samples if sample.endswith(stamp))

    def phase(self, seconds: float, **values: float) -> Self:
        """Let time pass. Gauges stay at their value; counters are a second; histograms name what each request sees.

        Each of `started` requests (by default those that finish) observes `ttft`; each finished one the rest; each
        generated token `gap`, of which the share `slow_share` sees `slow_gap` instead.
        """
        for _ in range(int(seconds / self._step)):
            self._time += self._step
            self._gauges = values
            for name in _COUNTERS[self.engine]:
                self._totals[name] += self._step * values.get(name, 0.0)
            finished = values.get("finished", 0.0)
            for name in _HISTOGRAMS[self.engine]:
                times = {"gap": values.get("generation", 0.0), "ttft": values.get("started", finished)}
                if name in values:
                    share, slow = values.get("slow_share", 0.0) if name == "gap" else 0.0, values.get("slow_gap", 0.0)
                    number = self._step * times.get(name, finished)
                    self._observed[name][values[name]] += number * (1 - share)
                    self._observed[name][slow] += number * share
            self._scrape()
        return self

    def gone(self, seconds: float) -> Self:
        """The server does not answer: all that a scraper records is `up` 0."""
        for _ in range(int(seconds / self._step)):
            self._time += self._step
            self._sample('up{job="engine"}', 0.0, own=False)
        return self

    def restart(self) -> Self:
        """The engine's process is replaced: all counters begin at 0."""
        self._totals.clear()
        self._observed.clear()
        return self

    def _scrape(self) -> None:
        for name, series in _GAUGES[self.engine].items():
            self._sample(series, self._gauges.get(name, 0.0))
        for name, series in _COUNTERS[self.engine].items():
            self._sample(series, self._totals[name])
        for name, series in _HISTOGRAMS[self.engine].items():
            self._histogram(series, self._observed[name], _TOKENS if name.endswith("tokens") else _SECONDS)
        if "deferred" in self._gauges:
            capacity = self._gauges.get("waiting", 0.0) - self._gauges["deferred"]
            self._sample('vllm:num_requests_waiting_by_reason{reason="deferred"}', self._gauges["deferred"])
            self._sample('vllm:num_requests_waiting_by_reason{reason="capacity"}', capacity)
        if self._kv_tokens:
            self._sample(f'vllm:cache_config_info{{num_gpu_blocks="{self._kv_tokens // 16}",block_size="16"}}', 1)
        self._sample('up{job="engine"}', self._gauges.get("up", 1.0), own=False)
        if self._gpu:
            self._gpu_samples()

    def _gpu_samples(self) -> None:
        label = f'gpu="0",modelName="{self._gpu}"'
        for name, value in (
            ("FB_USED", 120_000.0),
            ("FB_FREE", 23_000.0),
            ("GPU_UTIL", 100.0 if self._gauges.get("running") else 0.0),
            ("CLOCK_THROTTLE_REASONS", self._gauges.get("throttle", 0.0)),
            ("SM_CLOCK", self._gauges.get("sm_clock", 1980.0)),
        ):
            self._sample(f"DCGM_FI_DEV_{name}{{{label}}}", value, own=False)

    def _histogram(self, series: str, observed: Mapping[float, float], bounds: Sequence[float]) -> None:
        for bound in bounds:
            reached = sum(number for value, number in observed.items() if value <= bound)
            self._sample(f'{series}_bucket{{le="{bound}"}}', reached)
        count = sum(observed.values())
        self._sample(f'{series}_bucket{{le="+Inf"}}', count)
        self._sample(f"{series}_count", count)
        self._sample(f"{series}_sum", sum(value * number for value, number in observed.items()))

    def _sample(self, series: str, value: float, *, own: bool = True) -> None:
        name, _, labels = series.partition("{")
        parts = [part for part in (_LABELS[self.engine] if own else "", labels.rstrip("}")) if part]
        self._samples.append(f"{name}{{{','.join(parts)}}} {value} {self._time}")


class Said:
    """A diagnosis, with the questions that a test asks of it."""

    def __init__(self, diagnosis: Diagnosis, evidence: Evidence) -> None:
        self.diagnosis = diagnosis
        self.evidence = evidence

    @property
    def causes(self) -> list[str]:
        """Every cause that holds, the root first."""
        return [finding.cause for finding in self.diagnosis.findings]

    @property
    def first(self) -> str:
        """The root; "" where nothing holds."""
        return next(iter(self.causes), "")

    @property
    def alarms(self) -> list[str]:
        """What is a warning or worse."""
        return [finding.cause for finding in self.diagnosis.findings if finding.severity >= Severity.WARNING]

    @property
    def ruled_out(self) -> set[str]:
        """What the evidence contradicts."""
        return {ruled.cause for ruled in self.diagnosis.ruled_out}

    @property
    def not_evaluated(self) -> set[str]:
        """What could not be judged."""
        return {missing.cause for missing in self.diagnosis.not_evaluated}

    def finding(self, cause: str) -> Finding:
        """The finding of a cause, which must hold."""
        assert cause in self.causes, f"{cause} is not among {self.causes}"
        return next(finding for finding in self.diagnosis.findings if finding.cause == cause)

    def settings(self, cause: str = "") -> list[str]:
        """What the fixes of a cause (of the first) change."""
        return [fix.setting for fix in self.finding(cause or self.first).fixes]

    def fix(self, setting: str, cause: str = "") -> Fix:
        """The fix of one setting by a cause (the first)."""
        fixes = {fix.setting: fix for fix in self.finding(cause or self.first).fixes}
        assert setting in fixes, f"{setting} is not among {list(fixes)}"
        return fixes[setting]


Diagnose = Callable[..., Said]


@pytest.fixture
def diagnose_all(tmp_path: Path) -> Diagnose:
    """Diagnose texts as the command does: written to files, read, judged."""

    def run(
        log: EngineLog | str | None = None,
        metrics: Scrapes | str | None = None,
        *,
        symptom: str = "",
        engine: str = "",
    ) -> Said:
        places: dict[str, list[str]] = {"engine.log": [], "metrics.om": []}
        for name, given in (("engine.log", log), ("metrics.om", metrics)):
            if given is not None:
                path = tmp_path / name
                path.write_text(given if isinstance(given, str) else given.text, encoding="utf-8")
                places[name].append(str(path))
        collected = collect(Request(places["engine.log"], places["metrics.om"], engine=engine, symptom=symptom))
        assert collected.evidence is not None, collected.problems
        return Said(diagnose(collected.evidence, collected.inputs), collected.evidence)

    return run


@pytest.fixture
def vllm_log() -> type[EngineLog]:
    """A log to write line by line."""
    return EngineLog


@pytest.fixture
def scrapes() -> type[Scrapes]:
    """Scrapes to describe phase by phase."""
    return Scrapes
