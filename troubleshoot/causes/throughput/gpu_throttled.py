"""`thr_gpu_throttled`: the GPU is throttled by power or temperature."""

from __future__ import annotations

import re

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.logs.events import Event


def in_idle_state(event: Event) -> bool:
    """nvidia-smi reports a power cap for a sleeping GPU too (performance states P5 to P12)."""

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
