"""`ttft_prefix_cache_miss_or_off`: shared beginnings of prompts are computed again: prefix caching is off or misses."""

from __future__ import annotations

from troubleshoot.causes.advice import change
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.ttft.prefill import SLOW_TTFT_SECONDS
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.serving import Serving


class PrefixCache(Cause):
    """Shared beginnings of prompts are computed again for each request."""

    id = "ttft_prefix_cache_miss_or_off"
    family = "ttft"
    title = "Shared beginnings of prompts are computed again: prefix caching is off or misses"
    needs = ("metrics: two scrapes under load (prefix cache, prompt lengths)",)
    min_prompt_tokens = 512

    def judge(self, evidence: Evidence) -> Judgement:
        """Off with long-ish prompts, or on with hardly a hit. Whether prompts share a beginning no metric tells."""
        again = evidence.log.all("prompt_reprocessed") if evidence.log else []
        if again:
            return self._reprocessed(evidence, again)
        serving = evidence.serving
        if serving is None or serving.source == "log":
            return self.not_evaluated()
        prompt = serving.mean_prompt_tokens
        if prompt is None:
            return self.not_evaluated("metrics: prompt lengths")
        off = evidence.settings.is_false("enable_prefix_caching") or evidence.settings.is_true("disable_radix_cache")
        ratio = hit_ratio(serving)
        if ratio is not None and ratio >= 0.1:
            return self.ruled_out(f"{ratio:.0%} of the prompt tokens come from the prefix cache")
        if not off and ratio is None:
            return self.not_evaluated()
        if prompt < self.min_prompt_tokens:
            return self.ruled_out(f"prompts are short (mean {prompt:.0f} tokens)")
        return self._holds(evidence, serving, prompt, off, ratio)

    def _reprocessed(self, evidence: Evidence, again: list[Event]) -> Judgement:
        """llama.cpp says itself that it computes a prompt again; what that costs depends on the prompts' length."""
        text = "The server computes whole prompts again although it had seen their beginning: its cache for this kind of model (sliding window, hybrid or recurrent) cannot be rolled back to it."
        fixes = (
            [Fix("--swa-full", None, True, "keeps the whole cache of sliding-window layers", "more memory")]
            if evidence.engine == "llamacpp"
            else []
        )
        timed = [event.number("tokens") or 0.0 for event in evidence.log.all("llamacpp_timing")] if evidence.log else []
        short = bool(timed) and max(timed) < self.min_prompt_tokens
        severity = Severity.INFO if short else Severity.WARNING
        return self.finding(severity, 0.75, text, [evidence.quote(e) for e in again[:2]], fixes)

    def _holds(self, evidence: Evidence, serving: Serving, prompt: float, off: bool, ratio: float | None) -> Judgement:
        ttft = serving.mean_of("llm_time_to_first_token_seconds") or 0.0
        matters = off and (is_felt(evidence, serving, ttft) or evidence.symptom == "ttft")
        state = (
            "Prefix caching is off" if off else f"Prefix caching is on, {ratio or 0:.0%} of the prompt tokens are found"
        )
        proof = [evidence.metric("llm_request_prompt_tokens", round(prompt), "tokens", "mean")]
        if ratio is not None:
            proof.append(evidence.metric("llm_prefix_cache_hits_total", round(ratio, 3), "ratio", "hits / queries"))
        return self.finding(
            Severity.WARNING if matters else Severity.INFO,
            0.6,
            f"{state}; prompts have {prompt:.0f} tokens on average, the first token takes {ttft:.2f} s. It helps only if prompts share a beginning.",
            proof,
            self._fixes(evidence, off),
        )

    @staticmethod
    def _fixes(evidence: Evidence, off: bool) -> list[Fix]:
        if off:
            return change(evidence, "enable_prefix_caching", True, "the shared beginning is computed once", "", False)
        return [
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


def hit_ratio(serving: Serving) -> float | None:
    """Prompt tokens found in the prefix cache over those looked up, 0..1; None where they are not counted."""
    hits = serving.increase("llm_prefix_cache_hits_total")
    queries = serving.increase("llm_prefix_cache_queries_total")
    return hits / queries if hits is not None and queries else None


def is_felt(evidence: Evidence, serving: Serving, ttft_seconds: float) -> bool:
    """Prefill makes the first token late, or takes a good part of whole requests."""
    queued = evidence.kv_is_full or (serving.queue_share_of_ttft or 0) >= 0.8
    slow = ttft_seconds >= SLOW_TTFT_SECONDS and not queued
    prefill = serving.mean_of("llm_request_prefill_seconds")
    whole = serving.mean_of("llm_request_duration_seconds")
    return slow or bool(prefill and whole and prefill >= 0.3 * whole)
