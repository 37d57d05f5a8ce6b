"""`ttft_long_prefill`: long prompts occupy the engine: their prefill delays everyone's first token."""

from __future__ import annotations

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.ttft.prefill import SLOW_TTFT_SECONDS, chunk_budget
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.serving import Serving

LONG_PROMPT_TOKENS = 4096
"""A prompt that takes several steps at the usual budgets (2048 to 8192 tokens)."""


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
