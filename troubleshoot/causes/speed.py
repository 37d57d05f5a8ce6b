"""An engine that is slower than its hardware, or that is simply not given enough to do."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change, current, spelling
from troubleshoot.causes.base import Cause, Judgement, SignatureCause
from troubleshoot.causes.queueing import mostly_deferred
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.roofline import LAUNCH_BOUND_DECODE_SHARE, decode_limit, decode_share
from troubleshoot.serving import Serving

FEW_SEQUENCES = 32
CRAWLING_TOKENS_PER_SECOND = 15.0
"""A sequence slower than reading speed on a GPU that serves few: no data sheet is needed to call this slow."""


def roofline_share(evidence: Evidence) -> float | None:
    """Decode rate of one sequence over what the HBM bandwidth allows; None where GPU, weights or rate are unknown."""
    serving, gpu, weights = evidence.serving, evidence.gpu, evidence.weights_gib
    rate = serving.rate_per_sequence if serving else None
    if rate is None or gpu is None or not weights or evidence.on_cpu:
        return None
    return decode_share(rate, decode_limit(gpu.hbm_bandwidth_bytes_per_second, weights * 2**30))


def decodes_mostly(serving: Serving) -> bool:
    """The window is about decoding: prefill does not take most of the steps' work."""
    return (serving.prompt_rate or 0) < max(20 * (serving.generation_rate or 0), 500.0)


def crawls(serving: Serving | None) -> bool:
    """A few sequences decode slower than anybody reads, and prefill is not the reason."""
    if serving is None or serving.running_mean is None:
        return False
    rate = serving.rate_per_sequence
    few = 0 < serving.running_mean <= 4 and (serving.waiting_mean or 0) < 1
    return rate is not None and few and rate < CRAWLING_TOKENS_PER_SECOND and decodes_mostly(serving)


class InsufficientLoad(Cause):
    """The engine is healthy and gets one request at a time."""

    id = "thr_insufficient_load"
    family = "throughput"
    title = "The engine is healthy; it is given too few requests at a time to be fast in total"
    needs = ("metrics: two scrapes under load", "log: statistics lines")
    most_running = 2.5

    def judge(self, evidence: Evidence) -> Judgement:
        """Few run, none waits, and each goes at a pace that the hardware explains. By itself no incident."""
        serving = evidence.serving
        if serving is None or serving.running_max is None:
            return self.not_evaluated()
        if (serving.waiting_max or 0) > 0 and serving.waiting_share > 0.2:
            return self.ruled_out("requests wait")
        if serving.running_max > self.most_running or not (serving.generation_rate or 0) > 0:
            return self.ruled_out(
                f"up to {serving.running_max:.0f} requests run at once"
                if serving.running_max > self.most_running
                else "nothing is generated"
            )
        share = roofline_share(evidence)
        if share is not None and share < LAUNCH_BOUND_DECODE_SHARE:
            return self.ruled_out(f"a sequence decodes at {share:.0%} of the HBM roofline: the engine itself is slow")
        if share is None and crawls(serving):
            return self.ruled_out(
                f"a sequence decodes at {serving.rate_per_sequence or 0:.1f} tokens/s: the engine is slow"
            )
        rate = serving.rate_per_sequence
        pace = f"{rate:.0f} tokens/s a sequence" if rate else "at its own pace"
        limit = f", {share:.0%} of what the memory bandwidth allows" if share is not None else ""
        proof: list[EvidenceItem] = [
            evidence.metric("llm_requests_running", round(serving.running_mean or 0, 2), "requests", "mean"),
            evidence.metric("llm_generation_tokens_total", round(serving.generation_rate or 0, 1), "per_second"),
        ]
        severity = Severity.WARNING if evidence.symptom == "throughput" else Severity.INFO
        return self.finding(
            severity,
            0.9 if share is not None else 0.7,
            f"At most {serving.running_max:.0f} requests run at once (mean {serving.running_mean or 0:.1f}), none waits; {pace}{limit}. GPU utilisation near 100 % does not contradict this: it only says that a kernel was resident.",
            proof,
            [
                Fix(
                    "client concurrency",
                    round(serving.running_mean or 1),
                    "higher, or batch requests",
                    "a decode step reads all weights once, for one sequence or for many",
                    "no server change",
                )
            ],
        )


class EnforceEager(Cause):
    """CUDA graphs and compilation are off, and decoding is bound by kernel launches."""

    id = "thr_enforce_eager"
    family = "throughput"
    title = "CUDA graphs are off: decoding is bound by kernel launches"
    needs = ("log: start-up lines",)
    consequences = frozenset({"thr_insufficient_load", "thr_cpu_bound_frontend_or_tokenizer"})

    def judge(self, evidence: Evidence) -> Judgement:
        """A choice until the figures show its cost: decode far below the roofline with few sequences."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        eager = evidence.settings.is_true("enforce_eager") or evidence.settings.is_true("disable_cuda_graph")
        said = [event for event in log.all("eager_mode") if "not supported on CPU" not in event.message]
        if not eager and not any(
            "Enforce eager" in e.message
            or "under eager mode" in e.message
            or "Cuda Graphs are disabled" in e.message
            or "cuda graph: False" in e.message
            for e in said
        ):
            return self.ruled_out("CUDA graphs are on") if log.begins_at_start else self.not_evaluated()
        if evidence.on_cpu:
            return self.ruled_out("the model runs on the CPU, where there are no CUDA graphs")
        return self._holds(evidence, said)

    def _holds(self, evidence: Evidence, said: list[Event]) -> Judgement:
        serving, share = evidence.serving, roofline_share(evidence)
        proof: list[EvidenceItem] = [evidence.quote(event) for event in said[:2]]
        if not proof and evidence.log:
            proof = [evidence.quote(event) for event in evidence.log.all("engine_args")[-1:]]
        fixes = self._fixes(evidence)
        few = serving is not None and (serving.running_mean or 0) <= FEW_SEQUENCES and decodes_mostly(serving)
        if share is not None and serving and few and share < LAUNCH_BOUND_DECODE_SHARE:
            rate = serving.rate_per_sequence or 0.0
            proof.append(evidence.metric("llm_inter_token_latency_seconds", round(1 / rate, 4), "seconds", "mean"))
            return self.finding(
                Severity.WARNING,
                0.92,
                f"A sequence decodes at {rate:.0f} tokens/s, {share:.0%} of the HBM roofline, with {serving.running_mean or 0:.0f} sequences: each step waits for the CPU to launch its kernels.",
                proof,
                fixes,
            )
        if share is None and crawls(serving) and serving:
            text = f"Eager mode is set, and a sequence decodes at {serving.rate_per_sequence or 0:.1f} tokens/s with {serving.running_mean or 0:.0f} running: each step waits for the CPU to launch its kernels."
            return self.finding(Severity.WARNING, 0.6, text, proof, fixes)
        severity = Severity.WARNING if evidence.symptom == "throughput" else Severity.INFO
        return self.finding(
            severity,
            0.5,
            "Eager mode is set. It costs decode speed, most with few sequences; no figures show how much here.",
            proof,
            fixes,
            title="CUDA graphs are off (eager mode)",
        )

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        name = spelling(evidence, "enforce_eager")
        if name is None:
            return []
        if evidence.engine == "tgi":
            return [Fix(name, "0", "remove (default sizes)", "graphs remove the launch cost of decode steps")]
        return [
            Fix(
                name,
                True,
                "remove",
                "graphs remove the launch cost of decode steps",
                "a longer start and 1 to 3 GiB of memory for the graphs",
            )
        ]


class CpuBoundFrontend(Cause):
    """API process, tokeniser or scheduler are at the limit of a CPU core."""

    id = "thr_cpu_bound_frontend_or_tokenizer"
    family = "throughput"
    title = "The API process, tokeniser or scheduler is limited by the CPU"
    needs = ("metrics: process CPU seconds", "log: engine output")
    saturated_cores = 0.9

    def judge(self, evidence: Evidence) -> Judgement:
        """The API process uses a whole core; or the engine says that its tokenizer is the slow one."""
        log, serving = evidence.log, evidence.serving
        slow = [e for e in log.all("slow_tokenizer", "cpu_starved") if e.level not in ("DEBUG",)] if log else []
        cores = self._cores(evidence)
        if cores is not None and serving and cores >= self.saturated_cores:
            text = f"The API process uses {cores:.2f} CPU cores of the one that Python gives it, {serving.running_mean or 0:.0f} requests run."
            proof = [evidence.metric("llm_process_cpu_seconds_total", round(cores, 2), "cores")]
            return self.finding(
                Severity.WARNING,
                0.75,
                text,
                [*proof, *(evidence.quote(e) for e in slow[:1])],
                self._fixes(evidence),
            )
        if slow:
            return self.finding(
                Severity.WARNING,
                0.7,
                "The engine warns that the CPU side is slow: the tokenizer is the Python one, or the CPU is limited.",
                [evidence.quote(e) for e in slow[:2]],
                self._fixes(evidence),
            )
        if cores is not None:
            return self.ruled_out(f"the API process uses {cores:.2f} cores")
        return self.not_evaluated()

    @staticmethod
    def _cores(evidence: Evidence) -> float | None:
        serving = evidence.serving
        if serving is None or serving.timeline is None:
            return None
        for name in ("llm_process_cpu_seconds_total", "process_cpu_seconds_total"):
            rate = serving.timeline.rate(name, serving.window)
            if rate is not None:
                return rate
        return None

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        fixes: list[Fix] = []
        if evidence.engine in ("", "vllm"):
            fixes += change(evidence, "api_server_count", 2, "tokenising and streaming spread over processes")
        fixes.append(
            Fix(
                "CPU limit and request",
                None,
                "at least one core for each process of the engine, no CFS throttling",
                "the scheduler must not wait for a core",
            )
        )
        fixes.append(
            Fix(
                "tokenizer",
                None,
                "a fast (Rust) one: tokenizer.json",
                "the Python tokenizer is many times slower",
            )
        )
        return fixes


class TpOverPcie(Cause):
    """Traffic between GPUs dominates."""

    id = "thr_tp_over_pcie_or_comm"
    family = "throughput"
    title = "Tensor parallelism runs over PCIe: traffic between the GPUs limits it"
    needs = ("log: start-up lines",)

    def judge(self, evidence: Evidence) -> Judgement:
        """The engine says that the GPUs have no direct link. That is the hardware; it matters once speed is missed."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        said = [
            e
            for e in log.all("pcie_allreduce")
            if evidence.tensor_parallel > 1 or not evidence.settings.number("tensor_parallel_size")
        ]
        if not said:
            return (
                self.ruled_out("no sign of a missing link between the GPUs")
                if log.begins_at_start
                else self.not_evaluated()
            )
        share = roofline_share(evidence)
        shown = share is not None and share < LAUNCH_BOUND_DECODE_SHARE and evidence.tensor_parallel > 1
        shown = shown or (share is None and crawls(evidence.serving))
        severity = Severity.WARNING if shown or evidence.symptom == "throughput" else Severity.INFO
        sure = 0.75 if shown else 0.55
        rate = evidence.serving.rate_per_sequence if evidence.serving else None
        figure = f" A sequence decodes at {rate:.1f} tokens/s." if shown and rate else ""
        return self.finding(
            severity,
            sure,
            f"The GPUs exchange data over PCIe or through host memory: every layer waits for two all-reduces.{figure}",
            [evidence.quote(event) for event in said[:3]],
            [
                *change(
                    evidence,
                    "tensor_parallel_size",
                    "fewer, if the model fits",
                    "less traffic a token",
                    "",
                    evidence.tensor_parallel,
                ),
                Fix(
                    "--pipeline-parallel-size",
                    current(evidence, "pipeline_parallel_size"),
                    "instead of tensor parallel",
                    "moves activations once a stage instead of twice a layer",
                ),
                Fix("hardware", None, "GPUs joined by NVLink", "where latency matters"),
            ],
        )


class SlowAttentionBackend(Cause):
    """A slower attention kernel was selected."""

    id = "thr_slow_attention_backend_fallback"
    family = "throughput"
    title = "A slower attention backend was selected"
    needs = ("log: start-up lines",)

    def judge(self, evidence: Evidence) -> Judgement:
        """A missing package can be installed; an old GPU cannot be helped and is only noted."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        missing = [
            e for e in log.all("fast_kernel_missing") if "sampling" not in e.message and "top-p" not in e.message
        ]
        hardware = log.all("attention_hardware_fallback")
        if missing:
            return self.finding(
                Severity.WARNING,
                0.75,
                "The engine could not use its fast attention kernels and fell back to slower ones.",
                [evidence.quote(e) for e in missing[:2]],
                [
                    Fix(
                        "package named in the message",
                        "missing",
                        "install (FlashAttention or FlashInfer)",
                        "then the fast backend is chosen by itself",
                    ),
                    Fix(
                        "--attention-backend",
                        current(evidence, "attention_backend"),
                        "the fast one, by name",
                        "the start then fails loudly if it cannot be used",
                    ),
                ],
            )
        if hardware:
            severity = Severity.WARNING if evidence.symptom == "throughput" else Severity.INFO
            return self.finding(
                severity,
                0.5,
                "This GPU does not support FlashAttention 2; another backend is used. That is normal on it, and slower for long contexts.",
                [evidence.quote(e) for e in hardware[:2]],
                [Fix("GPU", None, "compute capability 8.0 or newer", "where long contexts are too slow")],
            )
        return self.ruled_out("no fallback in the log") if log.begins_at_start else self.not_evaluated()


class QuantizationSlowKernel(SignatureCause):
    """A generic or emulated kernel for quantised weights."""

    id = "thr_quantization_slow_kernel"
    family = "throughput"
    title = "Quantised weights run on a slow, generic kernel"
    signatures = ("slow_quantization",)
    severity = Severity.WARNING
    confidence = 0.85

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if "native support" in text:
            return "The GPU computes this format only after unpacking it: memory is saved, time is not."
        return "The engine says that the kernel chosen for these quantised weights is not an optimised one."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Let the engine choose."""
        text = " ".join(event.message for event in events)
        method = str(
            current(evidence, "quantization")
            or ("awq" if "awq" in text.lower() else "gptq" if "gptq" in text.lower() else "")
        )
        if method in ("awq", "gptq"):
            return [
                Fix(
                    "--quantization",
                    method,
                    f"remove, or {method}_marlin",
                    "the engine then converts to the fast kernel by itself",
                )
            ]
        return [
            Fix(
                "checkpoint",
                None,
                "a format with native kernels on this GPU (FP8 from compute capability 8.9, AWQ or GPTQ with Marlin from 8.0)",
                "see the message",
            )
        ]


def waits_deferred(serving: Serving) -> float:
    """Mean number of deferred requests."""
    if serving.timeline is None:
        values = [moment.deferred or 0.0 for moment in serving.moments]
    else:
        values = serving.timeline.values("llm_requests_waiting_by_reason", sum, serving.window, reason="deferred")
    return sum(values) / max(len(values), 1)


class GuidedDecoding(SignatureCause):
    """Compiling schemas or masking tokens dominates.

    Named by the log; or by requests that wait although there is room for them: vLLM counts those that wait for a
    compiled schema as deferred.
    """

    id = "thr_guided_decoding"
    family = "throughput"
    title = "Structured output is slow: schema compilation or token masking dominates"
    signatures = ("guided_decoding_slow",)
    severity = Severity.WARNING
    confidence = 0.75
    consequences = frozenset({"ttft_queueing"})

    def judge(self, evidence: Evidence) -> Judgement:
        """See the class."""
        serving = evidence.serving
        other_reason = evidence.settings.get("kv_transfer_config") or evidence.settings.is_true("enable_lora")
        if serving and not other_reason and mostly_deferred(serving) and waits_deferred(serving) >= 1:
            mean = waits_deferred(serving)
            text = f"{mean:.1f} requests wait on average although there is room for them (deferred): they wait for their schema to be compiled. {serving.running_mean or 0:.0f} run meanwhile."
            return self.finding(
                Severity.WARNING,
                0.75,
                text,
                [evidence.metric("llm_requests_waiting_by_reason", round(mean, 1), "requests", "deferred, mean")],
                self.fixes([], evidence),
            )
        return super().judge(evidence)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return "A schema is compiled before its first token, and masks are made for each step; the backend in use is slow for these schemas or falls back."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """The fast backend, simpler schemas."""
        fixes: list[Fix] = []
        if evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--structured-outputs-config.backend",
                    None,
                    "xgrammar",
                    "the fastest for JSON schemas that it supports",
                )
            )
        elif evidence.engine == "sglang":
            fixes.append(Fix("--grammar-backend", None, "xgrammar", "the fastest for JSON schemas that it supports"))
        return [
            *fixes,
            Fix(
                "schemas",
                None,
                "fewer, simpler, the same text each time",
                "compiled schemas are cached by their text",
            ),
        ]


class LoggingOverhead(Cause):
    """Request or debug logging."""

    id = "thr_logging_or_metrics_overhead"
    family = "throughput"
    title = "Debug or request logging costs time for every request"
    needs = ("log: engine output",)

    def judge(self, evidence: Evidence) -> Judgement:
        """What is logged is seen; what it costs is not: a note, unless most of a serving engine's log is debug lines."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        traced = log.all("trace_function")
        if traced:
            text = "Every Python function call is recorded (VLLM_TRACE_FUNCTION): a tool for finding hangs, far too slow to serve with."
            return self.finding(
                Severity.WARNING,
                0.9,
                text,
                [evidence.quote(e) for e in traced[:2]],
                [Fix("VLLM_TRACE_FUNCTION", "1", "remove", "for debugging only")],
            )
        debug, requests = log.has("debug_logging"), log.has("request_logging")
        if not debug and not requests:
            return self.ruled_out("neither debug nor request lines in the log")
        events = log.all("debug_logging", "request_logging")[:2]
        what = " and ".join(
            [
                *(["debug lines"] if debug else []),
                *(["a line with the prompt or parameters of each request"] if requests else []),
            ]
        )
        heavy = log.lines > 0 and log.count("debug_logging") >= 0.5 * log.lines and evidence.serving is not None
        severity = Severity.WARNING if heavy or evidence.symptom == "throughput" else Severity.INFO
        fixes = (
            [Fix("VLLM_LOGGING_LEVEL", "DEBUG", "INFO", "debug lines are written in the engine's own loop")]
            if debug
            else []
        )
        if requests and evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--enable-log-requests",
                    evidence.settings.get("enable_log_requests"),
                    "remove (before 0.10: add --disable-log-requests)",
                    "prompts also do not belong into logs",
                )
            )
        return self.finding(severity, 0.55, f"The log holds {what}.", [evidence.quote(e) for e in events], fixes)


def in_idle_state(event: Event) -> bool:
    """nvidia-smi reports a power cap for a sleeping GPU too (performance states P5 to P12)."""
    import re

    near = "\n".join((*event.context, event.message))
    return bool(re.search(r"(?:Performance State|pstate)\W+P(?:[5-9]|1[0-2])\b", near))


class GpuThrottled(Cause):
    """Power or thermal limits hold the clocks down."""

    id = "thr_gpu_throttled"
    family = "throughput"
    title = "The GPU is throttled by power or temperature"
    needs = ("metrics: DCGM_FI_DEV_CLOCKS_EVENT_REASONS",)
    min_share = 0.2
    min_clock_loss = 0.25
    """A card at full load runs at its power cap; H200s lose 10 to 15 % of their clock there in long prefills."""

    def judge(self, evidence: Evidence) -> Judgement:
        """Harmful throttle reasons for much of the window, and for a power cap a real loss of clock."""
        said = (
            [event for event in evidence.log.all("gpu_throttled") if not in_idle_state(event)] if evidence.log else []
        )
        if said:
            return self._holds(
                evidence,
                0.8,
                "The log reports that the GPU's clocks are held down.",
                [evidence.quote(e) for e in said[:2]],
            )
        found = evidence.throttled_share()
        if found is None:
            return self.not_evaluated()
        share, reasons = found
        if share < self.min_share:
            return self.ruled_out(
                "clocks are not held down" if share == 0 else f"throttled in {share:.0%} of the samples only"
            )
        loss = self._clock_loss(evidence)
        hot = any("thermal" in reason or "brake" in reason or "slowdown" in reason for reason in reasons)
        if not hot and (loss is None or loss < self.min_clock_loss):
            return self.ruled_out(f"the power cap is reached, the clock loses {loss or 0:.0%} (ordinary at full load)")
        text = f"In {share:.0%} of the samples the GPU was throttled ({', '.join(reasons)}){f'; the SM clock is {loss:.0%} below its highest' if loss else ''}."
        return self._holds(
            evidence,
            0.85,
            text,
            [evidence.metric("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", round(share, 2), "ratio", ", ".join(reasons))],
        )

    @staticmethod
    def _clock_loss(evidence: Evidence) -> float | None:
        if evidence.metrics is None:
            return None
        everything = evidence.metrics.timeline.values("DCGM_FI_DEV_SM_CLOCK", max)
        inside = evidence.metrics.timeline.values(
            "DCGM_FI_DEV_SM_CLOCK", min, evidence.serving.window if evidence.serving else None
        )
        if not inside or not max(everything):
            return None
        return 1 - (sum(inside) / len(inside)) / max(everything)

    def _holds(self, evidence: Evidence, sure: float, text: str, proof: list[EvidenceItem]) -> Judgement:
        return self.finding(
            Severity.WARNING,
            sure,
            text,
            proof,
            [
                Fix(
                    "power limit",
                    None,
                    "nvidia-smi -q -d POWER,CLOCK,PERFORMANCE shows the limit and the reason",
                    "a limit below the card's own is a setting of the node",
                ),
                Fix(
                    "cooling",
                    None,
                    "airflow, inlet temperature, dust",
                    "thermal slowdown is no engine problem",
                ),
            ],
        )


class ModelLoadingSlow(Cause):
    """Fetching or reading the weights dominates the start."""

    id = "thr_model_loading_slow"
    family = "throughput"
    title = "Fetching or reading the weights takes most of the start"
    needs = ("log: start-up lines",)
    slow_seconds = 120.0
    slow_shard_notices = 30
    consequences = frozenset({"crash_unrecognised_exception"})

    def judge(self, evidence: Evidence) -> Judgement:
        """By the engine's own times; or by its giving up the wait."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        gave_up = log.all("startup_timeout")
        if gave_up:
            return self.finding(
                Severity.CRITICAL,
                0.8,
                "The front end stopped waiting for the engine to start; slow loading of weights is the usual reason.",
                [evidence.quote(gave_up[0])],
                [
                    Fix(
                        "VLLM_ENGINE_READY_TIMEOUT_S",
                        gave_up[0].fields.get("seconds"),
                        "longer",
                        "until loading is faster",
                    ),
                    *self._fixes(),
                ],
            )
        timed = [
            (event, seconds)
            for event in log.all("model_loading_time")
            for seconds in [self._seconds(event)]
            if seconds >= self.slow_seconds
        ]
        if timed:
            event, seconds = max(timed, key=lambda pair: pair[1])
            rate = self._rate(event, seconds, evidence)
            return self.finding(
                Severity.WARNING,
                0.85,
                f"Loading took {seconds:.0f} s{f' ({rate:.2f} GiB/s)' if rate else ''}.",
                [evidence.quote(event)],
                self._fixes(),
            )
        bars = [
            (event, seconds)
            for event in log.all("shard_progress")
            for seconds in [self._bar_seconds(event)]
            if seconds >= self.slow_seconds
        ]
        if bars:
            event, seconds = bars[-1]
            return self.finding(
                Severity.WARNING,
                0.75,
                f"Reading the shards takes about {seconds:.0f} s by its progress bar.",
                [evidence.quote(event)],
                self._fixes(),
            )
        waits = log.count("waiting_for_shards")
        if waits >= self.slow_shard_notices:
            return self.finding(
                Severity.WARNING,
                0.6,
                f"The launcher reported {waits} times that it waits for a shard.",
                [evidence.quote(e) for e in log.all("waiting_for_shards")[-1:]],
                self._fixes(),
            )
        return (
            self.ruled_out("loading was quick")
            if log.has("model_loading_time", "weights_memory")
            else self.not_evaluated()
        )

    @staticmethod
    def _seconds(event: Event) -> float:
        return max(
            (
                value
                for name in ("load", "download", "model", "sglang", "shard")
                if (value := event.number(name)) is not None
            ),
            default=0.0,
        )

    @staticmethod
    def _bar_seconds(event: Event) -> float:
        """Elapsed plus remaining of a progress bar, "13:49<16:07"."""
        texts = (event.fields.get("elapsed", ""), event.fields.get("remaining", ""))
        if not all(texts):
            return 0.0
        return sum(float(part) * 60.0**place for text in texts for place, part in enumerate(reversed(text.split(":"))))

    @staticmethod
    def _rate(event: Event, seconds: float, evidence: Evidence) -> float | None:
        size = event.number("gib") or evidence.weights_gib
        return size / seconds if size else None

    @staticmethod
    def _fixes() -> list[Fix]:
        return [
            Fix(
                "weights",
                None,
                "on local NVMe, or cached on the node before the pod starts",
                "network storage is the usual bottleneck",
            ),
            Fix(
                "--load-format",
                None,
                "runai_streamer or fastsafetensors",
                "reads several files at once, straight to the GPU",
            ),
        ]


class SpecDecodeLowAcceptance(Cause):
    """Drafts are mostly rejected."""

    id = "thr_spec_decode_low_acceptance"
    family = "throughput"
    title = "Speculative decoding costs more than it gives: most drafted tokens are rejected"
    needs = ("metrics: two scrapes with draft counters", "log: speculative decoding lines")
    low_ratio = 0.3
    useful_length = 1.8
    """Tokens a verified step yields. Of 16 drafted tokens 14 % are two more a step: cheap drafts then still pay."""
    min_drafted_tokens = 200

    def judge(self, evidence: Evidence) -> Judgement:
        """Accepted over drafted tokens in the window; else the mean of the engine's own lines."""
        serving = evidence.serving
        drafted = serving.increase("llm_spec_decode_draft_tokens_total") if serving else None
        accepted = serving.increase("llm_spec_decode_accepted_tokens_total") if serving else None
        if drafted and accepted is not None and drafted >= self.min_drafted_tokens:
            ratio = accepted / drafted
            drafts = serving.increase("llm_spec_decode_drafts_total") if serving else None
            length = 1 + accepted / drafts if drafts else None
            if ratio >= self.low_ratio or (length is not None and length >= self.useful_length):
                return self.ruled_out(self._useful(ratio, length))
            proof = [
                evidence.metric("llm_spec_decode_draft_tokens_total", drafted, "increase", "drafted"),
                evidence.metric("llm_spec_decode_accepted_tokens_total", accepted, "increase", "accepted"),
            ]
            return self._holds(
                evidence,
                ratio,
                0.95,
                f"{accepted:.0f} of {drafted:.0f} drafted tokens were accepted ({ratio:.1%}).",
                proof,
            )
        return self._by_lines(evidence)

    @staticmethod
    def _useful(ratio: float, length: float | None) -> str:
        steps = f", {length:.1f} tokens a step" if length else ""
        return f"{ratio:.0%} of the drafted tokens are accepted{steps}"

    def _by_lines(self, evidence: Evidence) -> Judgement:
        events = evidence.log.all("spec_decode_stats") if evidence.log else []
        ratios = [ratio for event in events if (ratio := acceptance(event)) is not None]
        if not ratios:
            return (
                self.ruled_out("speculative decoding is off")
                if evidence.log and evidence.log.begins_at_start and not events
                else self.not_evaluated()
            )
        mean = sum(ratios) / len(ratios)
        lengths = [length for event in events if (length := acceptance_length(event)) is not None]
        steps = sum(lengths) / len(lengths) if lengths else None
        if mean >= self.low_ratio or (steps is not None and steps >= self.useful_length):
            return self.ruled_out(self._useful(mean, steps))
        return self._holds(
            evidence,
            mean,
            0.9,
            f"The engine reports a draft acceptance of {mean:.1%} on average.",
            [evidence.quote(e) for e in events[-2:]],
        )

    def _holds(
        self, evidence: Evidence, ratio: float, sure: float, text: str, proof: Sequence[EvidenceItem]
    ) -> Judgement:
        tokens = draft_length(evidence)
        fixes = []
        if tokens and tokens > 1:
            fixes.append(
                Fix(
                    "num_speculative_tokens",
                    tokens,
                    1 if ratio < 0.1 else max(1, tokens // 2),
                    "later positions are rejected most",
                    "fewer tokens are computed in vain",
                )
            )
        name = "--speculative-algorithm" if evidence.engine == "sglang" else "--speculative-config"
        fixes.append(
            Fix(
                name,
                evidence.settings.get("speculative_config"),
                "remove, or a drafter made for this model",
                f"at {ratio:.0%} every verified step pays for drafts that are thrown away",
            )
        )
        return self.finding(Severity.WARNING, sure, text, proof, fixes)


def acceptance_length(event: Event) -> float | None:
    """Tokens that a step yields on average, by one line: vLLM's mean acceptance length, SGLang's accept len."""
    import re

    match = re.search(r"(?:Mean acceptance length|accept len):\s*([\d.]+)", event.message)
    return float(match.group(1).rstrip(".")) if match else None


def acceptance(event: Event) -> float | None:
    """Accepted over drafted tokens by one line, 0..1: as a percentage (V1), a ratio (V0) or accepted / drafted."""
    import re

    match = re.search(r"Draft acceptance rate:\s*([\d.]+)\s*(%?)", event.message)
    if match:
        value = float(match.group(1).rstrip("."))
        return value / 100 if match.group(2) else value
    match = re.search(r"accept rate:\s*([\d.]+)", event.message)
    if match:
        return float(match.group(1).rstrip("."))
    match = re.search(r"draft acceptance\s*(?:rate)?\s*=\s*([\d.]+)", event.message)
    if match:
        return float(match.group(1).rstrip("."))
    match = re.search(r"Accepted: (\d+) tokens, Drafted: (\d+) tokens", event.message)
    if match and int(match.group(2)):
        return int(match.group(1)) / int(match.group(2))
    return None


def draft_length(evidence: Evidence) -> int | None:
    """num_speculative_tokens by the settings; None where they do not say."""
    import re

    match = re.search(r"num_speculative_tokens\W+(\d+)", str(evidence.settings.get("speculative_config") or ""))
    return int(match.group(1)) if match else None
