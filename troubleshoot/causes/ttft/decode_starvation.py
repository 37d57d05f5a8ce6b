"""`ttft_decode_starvation`: prefill steps hold up running requests: tokens come in bursts."""

from __future__ import annotations

from troubleshoot.causes.advice import change
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.ttft.prefill import chunk_budget
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.moments import Moment
from troubleshoot.serving import Serving


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
