"""`thr_spec_decode_low_acceptance`: speculative decoding costs more than it gives: most drafted tokens are rejected."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.logs.events import Event


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

    match = re.search(r"(?:Mean acceptance length|accept len):\s*([\d.]+)", event.message)
    return float(match.group(1).rstrip(".")) if match else None


def acceptance(event: Event) -> float | None:
    """Accepted over drafted tokens by one line, 0..1: as a percentage (V1), a ratio (V0) or accepted / drafted."""

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

    match = re.search(r"num_speculative_tokens\W+(\d+)", str(evidence.settings.get("speculative_config") or ""))
    return int(match.group(1)) if match else None
