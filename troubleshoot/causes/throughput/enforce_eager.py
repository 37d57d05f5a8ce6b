"""`thr_enforce_eager`: CUDA graphs are off: decoding is bound by kernel launches."""

from __future__ import annotations

from troubleshoot.causes.advice import spelling
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.pace import crawls, decodes_mostly, roofline_share
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.roofline import LAUNCH_BOUND_DECODE_SHARE

FEW_SEQUENCES = 32


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
