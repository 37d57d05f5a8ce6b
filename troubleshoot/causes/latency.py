"""A first token that comes late for other reasons than a queue."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.base import Cause, Judgement, SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.moments import Moment
from troubleshoot.serving import Serving

LONG_PROMPT_TOKENS = 4096
"""A prompt that takes several steps at the usual budgets (2048 to 8192 tokens)."""
SLOW_TTFT_SECONDS = 1.0
_DEFAULT_BUDGET_TOKENS = 8192


def chunk_budget(evidence: Evidence) -> float:
    """Tokens that one step may hold: as set, as printed, else vLLM's default for serving."""
    value = current(evidence, "max_num_batched_tokens")
    if isinstance(value, int | float) and value > 0:
        return float(value)
    printed = evidence.log.last("chunk_budget") if evidence.log else None
    return (printed.number("value") if printed else None) or _DEFAULT_BUDGET_TOKENS


class LongPrefill(Cause):
    """Long prompts occupy the engine."""

    id = "ttft_long_prefill"
    family = "ttft"
    title = "Long prompts occupy the engine: their prefill delays everyone's first token"
    needs = ("metrics: two scrapes under load (prompt lengths, prefill time)", "log: statistics lines")
    consequences = frozenset(
        {
            "ttft_queueing",
            "ttft_decode_starvation",
            "ttft_prefix_cache_miss_or_off",
            "thr_insufficient_load",
            "thr_small_batch_or_max_num_seqs",
            "thr_client_disconnects",
        }
    )

    def judge(self, evidence: Evidence) -> Judgement:
        """Prompts of several steps, much prefill for few generated tokens, and a slow first token."""
        serving = evidence.serving
        if serving is None:
            return self.not_evaluated()
        prompt = serving.mean_prompt_tokens
        if prompt is None:
            return self._by_rates(evidence, serving)
        ttft, prefill = (
            serving.mean_of("llm_time_to_first_token_seconds"),
            serving.mean_of("llm_request_prefill_seconds"),
        )
        budget = chunk_budget(evidence)
        if prompt < min(LONG_PROMPT_TOKENS, 2 * budget):
            return self.ruled_out(f"prompts are short (mean {prompt:.0f} tokens)")
        if ttft is None or ttft < SLOW_TTFT_SECONDS:
            return self.ruled_out(f"prompts are long (mean {prompt:.0f} tokens) but the first token is quick")
        if evidence.kv_is_full:
            return self.ruled_out("the KV cache is full: requests wait for it")
        return self._holds(evidence, serving, prompt, ttft, prefill, 0.92)

    def _by_rates(self, evidence: Evidence, serving: Serving) -> Judgement:
        """Without lengths: much more prompt than output, with requests waiting or slow to begin."""
        prompt_rate, output_rate = serving.prompt_rate, serving.generation_rate
        if prompt_rate is None or output_rate is None:
            return self.not_evaluated()
        waits = (serving.waiting_mean or 0) >= 1 and serving.waiting_share >= 0.5
        if prompt_rate >= 30 * max(output_rate, 1.0) and prompt_rate >= 1000 and waits and not evidence.kv_is_full:
            proof = [
                evidence.metric("llm_prompt_tokens_total", round(prompt_rate), "per_second"),
                evidence.metric("llm_generation_tokens_total", round(output_rate), "per_second"),
            ]
            text = f"{prompt_rate:.0f} prompt tokens a second against {output_rate:.0f} generated, while {serving.waiting_mean:.0f} requests wait and the KV cache has room."
            quotes: list[EvidenceItem] = [
                evidence.quote(line.event) for line in (evidence.log.statistics if evidence.log else ())[-2:]
            ]
            return self.finding(Severity.WARNING, 0.7, text, [*proof, *quotes], self._fixes(evidence, None))
        return self.ruled_out(
            f"prefill does not dominate ({prompt_rate:.0f} prompt against {output_rate:.0f} generated tokens/s)"
        )

    def _holds(
        self,
        evidence: Evidence,
        serving: Serving,
        prompt: float,
        ttft: float,
        prefill: float | None,
        sure: float,
    ) -> Judgement:
        proof = [
            evidence.metric("llm_request_prompt_tokens", round(prompt), "tokens", "mean"),
            evidence.metric("llm_time_to_first_token_seconds", round(ttft, 2), "seconds", "mean"),
        ]
        if prefill is not None:
            proof.append(evidence.metric("llm_request_prefill_seconds", round(prefill, 2), "seconds", "mean"))
        rates = (
            f"{serving.prompt_rate:.0f} prompt tokens/s against {serving.generation_rate:.0f} generated"
            if serving.prompt_rate and serving.generation_rate is not None
            else "prefill dominates"
        )
        text = f"Prompts have {prompt:.0f} tokens on average; the first token comes after {ttft:.1f} s on average{f', {prefill:.1f} s of it prefill of the request itself' if prefill else ''}. {rates}: waiting requests wait for prefill, not for KV cache."
        return self.finding(Severity.WARNING, sure, text, proof, self._fixes(evidence, prompt))

    @staticmethod
    def _fixes(evidence: Evidence, prompt: float | None) -> list[Fix]:
        fixes: list[Fix] = []
        if evidence.settings.is_false("enable_chunked_prefill"):
            fixes += change(
                evidence,
                "enable_chunked_prefill",
                True,
                "long prompts are then cut into steps between which others decode",
            )
        if evidence.settings.is_false("enable_prefix_caching"):
            fixes += change(
                evidence, "enable_prefix_caching", True, "if prompts share a beginning, it is computed once"
            )
        if evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--long-prefill-token-threshold",
                    current(evidence, "long_prefill_token_threshold"),
                    int(chunk_budget(evidence) // 4),
                    "a long prompt then takes only part of a step, short requests get the rest",
                    "short requests first; long ones a little later",
                )
            )
        fixes.append(
            Fix(
                "replicas for long prompts",
                None,
                "separate (or prefill/decode split)",
                f"prompts of {prompt:.0f} tokens and chat do not share a latency objective"
                if prompt
                else "long prompts and chat do not share a latency objective",
            )
        )
        return fixes


class DecodeStarvation(Cause):
    """Prefills hold up the decoding of running requests."""

    id = "ttft_decode_starvation"
    family = "ttft"
    title = "Prefill steps hold up running requests: tokens come in bursts"
    needs = ("metrics: two scrapes under load (inter-token latency)", "log: engine output")
    stall_ratio = 8.0
    stall_seconds = 0.25

    def judge(self, evidence: Evidence) -> Judgement:
        """The slowest gaps between tokens are many times the usual one, while prompts are processed."""
        said = evidence.log.all("mixed_batches_stall") if evidence.log else []
        if said:
            return self.finding(
                Severity.WARNING,
                0.7,
                "The log says that prefill and decode hold each other up.",
                [evidence.quote(e) for e in said[:2]],
                self._fixes(evidence),
            )
        serving = evidence.serving
        gaps = serving.histogram("llm_inter_token_latency_seconds") if serving else None
        starved = starved_moments(serving) if serving and gaps is None else []
        if serving and len(starved) >= 2:
            return self._starved(evidence, serving, *starved[0])
        if serving is None or gaps is None or gaps.count < 100:
            return self.not_evaluated()
        usual, slow = gaps.quantile(0.5), gaps.quantile(0.99)
        prompt_rate = serving.prompt_rate or 0.0
        if (
            usual is None
            or slow is None
            or slow < self.stall_seconds
            or slow < self.stall_ratio * usual
            or prompt_rate < 500
        ):
            return self.ruled_out("inter-token latency is even")
        proof = [
            evidence.metric("llm_inter_token_latency_seconds", round(slow, 3), "seconds", "p99"),
            evidence.metric("llm_inter_token_latency_seconds", round(usual, 3), "seconds", "p50"),
        ]
        return self.finding(
            Severity.WARNING,
            0.7,
            f"Between two tokens lie {usual * 1000:.0f} ms usually and {slow * 1000:.0f} ms in the slowest 1 %, while {prompt_rate:.0f} prompt tokens/s are processed.",
            proof,
            self._fixes(evidence),
        )

    def _starved(self, evidence: Evidence, serving: Serving, moment: Moment, usual: float) -> Judgement:
        rate = moment.generation_rate or 0.0
        text = f"While {moment.prompt_rate or 0:.0f} prompt tokens/s were processed, {moment.running or 0:.0f} running requests got {rate:.1f} tokens/s together, against {usual:.0f} otherwise."
        proof: list[EvidenceItem] = [
            evidence.metric("llm_generation_tokens_total", round(rate, 1), "per_second", "during prefill")
        ]
        if serving.source == "log" and evidence.log:
            proof += [evidence.quote(s.event) for s in evidence.log.statistics if s.time_seconds == moment.end_seconds][
                :1
            ]
        return self.finding(Severity.WARNING, 0.72, text, proof, self._fixes(evidence))

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        budget = int(chunk_budget(evidence))
        return change(
            evidence,
            "max_num_batched_tokens",
            max(512, budget // 4),
            "smaller prefill chunks between decode steps",
            "smoother tokens, a little later first token",
            budget,
        )


def starved_moments(serving: Serving) -> list[tuple[Moment, float]]:
    """Moments in which running requests got a tenth of the tokens they had got before, while prompts were processed.

    Each with the rate before. Only requests that had been decoding count: those that are themselves in prefill are
    held up by nobody.
    """
    found: list[tuple[Moment, float]] = []
    before: Moment | None = None
    for moment in serving.all_moments:
        rate = moment.generation_rate or 0.0
        decoding = before is not None and (before.running or 0) >= max(2.0, 0.5 * (moment.running or 0))
        prefills = (moment.prompt_rate or 0) >= 500 and (moment.running or 0) >= 2
        if before and decoding and prefills and rate < 0.1 * (before.generation_rate or 0):
            found.append((moment, before.generation_rate or 0.0))
            continue
        before = moment if (moment.prompt_rate or 0) < 100 else None
    return found


class ChunkedPrefill(SignatureCause):
    """Chunked prefill is off, or its budget does not fit the context."""

    id = "ttft_chunked_prefill_off_or_misconfigured"
    family = "ttft"
    title = "Chunked prefill is off or its token budget contradicts the context length"
    signatures = ("batch_budget_below_context", "chunked_prefill_off")
    consequences = frozenset({"crash_unrecognised_exception", "crash_model_config_or_tokenizer", "ttft_long_prefill"})
    confidence = 0.93

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A dump of settings is judged through the settings."""
        return event.signature == "batch_budget_below_context" or "config:" not in event.message

    def weigh(self, events: Sequence[Event], evidence: Evidence) -> tuple[Severity, float]:
        """A contradiction stops the start; being off is only a choice until someone misses the first token."""
        if any(event.signature == "batch_budget_below_context" for event in events):
            return super().weigh(events, evidence)
        return (Severity.WARNING if evidence.symptom == "ttft" else Severity.INFO), 0.6

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        budget, max_len = self._figures(events)
        if budget and max_len:
            return f"Without chunking a step must hold a whole prompt: the budget is {budget:.0f} tokens, the context {max_len:.0f}."
        return "Without chunking a long prompt occupies a step alone while all others wait."

    @staticmethod
    def _figures(events: Sequence[Event]) -> tuple[float | None, float | None]:
        for event in events:
            if event.number("budget") is not None:
                return event.number("budget"), event.number("max_len")
        return None, None

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Leave it on; or a budget as large as the context."""
        budget, max_len = self._figures(events)
        fixes = [
            Fix(
                "--enable-chunked-prefill",
                evidence.settings.get("enable_chunked_prefill"),
                True,
                "then the budget may be smaller than the context",
            )
        ]
        if budget and max_len:
            fixes += change(
                evidence,
                "max_num_batched_tokens",
                int(max_len),
                "at least the context length while chunking is off",
                "",
                int(budget),
            )
            fixes += change(
                evidence,
                "max_model_len",
                int(budget),
                "or a context no longer than the budget",
                "",
                int(max_len),
            )
        return fixes


class ColdStart(Cause):
    """Compilation, graph capture or kernels built while requests wait."""

    id = "ttft_cold_start_or_compile"
    family = "ttft"
    title = "Compilation or kernel building delays the start or the first requests"
    needs = ("log: start-up lines",)
    slow_start_seconds = 240.0
    slow_part_seconds = 120.0

    def judge(self, evidence: Evidence) -> Judgement:
        """A kernel compiled while serving; or a start that compiles for minutes."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        serving = [
            e
            for e in log.all("jit_while_serving")
            if "will be logged" not in e.message and "activated" not in e.message
        ]
        if serving:
            return self.finding(
                Severity.WARNING,
                0.85,
                f"Kernels were compiled while requests were being served ({len(serving)} notices): the requests that needed them waited.",
                [evidence.quote(e) for e in serving[:3]],
                self._fixes(),
            )
        slow = [
            (event, seconds)
            for event in log.all("compile_time")
            for seconds in [self._seconds(event)]
            if seconds >= (self.slow_start_seconds if "init" in event.fields else self.slow_part_seconds)
        ]
        if slow:
            event, seconds = max(slow, key=lambda pair: pair[1])
            return self.finding(
                Severity.WARNING,
                0.75,
                f"The start spends {seconds:.0f} s on compilation, graph capture and warm-up; until then no request is served.",
                [evidence.quote(event)],
                self._fixes(),
            )
        return self.ruled_out("no long compilation in the log") if log.has("compile_time") else self.not_evaluated()

    @staticmethod
    def _seconds(event: Event) -> float:
        return max(
            (
                value
                for name in ("compile", "graph", "capture", "init", "dynamo", "sglang")
                if (value := event.number(name)) is not None
            ),
            default=0.0,
        )

    @staticmethod
    def _fixes() -> list[Fix]:
        return [
            Fix("VLLM_CACHE_ROOT", None, "a persistent volume", "compiled kernels survive a restart"),
            Fix(
                "warm-up",
                None,
                "send requests of the real shapes before the replica is ready",
                "what is compiled then does not hit users",
            ),
        ]


class PrefixCache(Cause):
    """Shared beginnings of prompts are computed again for each request."""

    id = "ttft_prefix_cache_miss_or_off"
    family = "ttft"
    title = "Shared beginnings of prompts are computed again: prefix caching is off or misses"
    needs = ("metrics: two scrapes under load (prefix cache, prompt lengths)",)
    min_prompt_tokens = 512

    def judge(self, evidence: Evidence) -> Judgement:
        """Off with long-ish prompts, or on with hardly a hit. Whether prompts share a beginning no metric tells."""
        serving = evidence.serving
        again = evidence.log.all("prompt_reprocessed") if evidence.log else []
        if again:
            text = "The server computes whole prompts again although it had seen their beginning: its cache for this kind of model (sliding window, hybrid or recurrent) cannot be rolled back to it."
            fixes = (
                [Fix("--swa-full", None, True, "keeps the whole cache of sliding-window layers", "more memory")]
                if evidence.engine == "llamacpp"
                else []
            )
            timed = (
                [event.number("tokens") or 0.0 for event in evidence.log.all("llamacpp_timing")] if evidence.log else []
            )
            short = bool(timed) and max(timed) < self.min_prompt_tokens
            severity = Severity.INFO if short else Severity.WARNING
            return self.finding(severity, 0.75, text, [evidence.quote(e) for e in again[:2]], fixes)
        if serving is None or serving.source == "log":
            return self.not_evaluated()
        prompt = serving.mean_prompt_tokens
        if prompt is None:
            return self.not_evaluated("metrics: prompt lengths")
        off = evidence.settings.is_false("enable_prefix_caching") or evidence.settings.is_true("disable_radix_cache")
        hits, queries = (
            serving.increase("llm_prefix_cache_hits_total"),
            serving.increase("llm_prefix_cache_queries_total"),
        )
        ratio = hits / queries if hits is not None and queries else None
        ttft = serving.mean_of("llm_time_to_first_token_seconds") or 0.0
        if ratio is not None and ratio >= 0.1:
            return self.ruled_out(f"{ratio:.0%} of the prompt tokens come from the prefix cache")
        if not off and ratio is None:
            return self.not_evaluated()
        if prompt < self.min_prompt_tokens:
            return self.ruled_out(f"prompts are short (mean {prompt:.0f} tokens)")
        slow = ttft >= SLOW_TTFT_SECONDS and not evidence.kv_is_full and (serving.queue_share_of_ttft or 0) < 0.8
        prefill, whole = (
            serving.mean_of("llm_request_prefill_seconds"),
            serving.mean_of("llm_request_duration_seconds"),
        )
        dominated = bool(prefill and whole) and (prefill or 0) >= 0.3 * (whole or 1)
        severity = Severity.WARNING if off and (slow or dominated or evidence.symptom == "ttft") else Severity.INFO
        state = (
            "Prefix caching is off" if off else f"Prefix caching is on, {ratio or 0:.0%} of the prompt tokens are found"
        )
        proof = [evidence.metric("llm_request_prompt_tokens", round(prompt), "tokens", "mean")]
        if ratio is not None:
            proof.append(evidence.metric("llm_prefix_cache_hits_total", round(ratio, 3), "ratio", "hits / queries"))
        fixes = (
            change(evidence, "enable_prefix_caching", True, "the shared beginning is computed once", "", False)
            if off
            else [
                Fix(
                    "prompts",
                    None,
                    "put what all share first, what varies (dates, ids) last",
                    "a prefix is shared only up to the first different token",
                ),
                Fix(
                    "routing",
                    None,
                    "requests of one conversation to one replica",
                    "each replica has a cache of its own",
                ),
            ]
        )
        return self.finding(
            severity,
            0.6,
            f"{state}; prompts have {prompt:.0f} tokens on average, the first token takes {ttft:.2f} s. It helps only if prompts share a beginning.",
            proof,
            fixes,
        )


class MultimodalPreprocessing(SignatureCause):
    """Images, video or audio are processed slowly on the CPU."""

    id = "ttft_multimodal_preprocessing"
    family = "ttft"
    title = "Images, video or audio are prepared slowly on the CPU"
    signatures = ("multimodal_slow",)
    severity = Severity.WARNING
    confidence = 0.75

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Notices of the start are none."""
        return event.level not in ("DEBUG",)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return "Multi-modal inputs are decoded and resized on the CPU before the prefill can begin."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Less work, or more hands."""
        return [
            Fix(
                "--mm-processor-kwargs",
                evidence.settings.get("mm_processor_kwargs"),
                '{"max_pixels": ...} lower',
                "smaller images are processed faster and make fewer tokens",
            ),
            Fix(
                "--api-server-count",
                evidence.settings.get("api_server_count"),
                2,
                "preprocessing runs in the API server processes",
            ),
        ]
