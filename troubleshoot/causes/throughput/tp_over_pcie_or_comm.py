"""`thr_tp_over_pcie_or_comm`: tensor parallelism runs over PCIe: traffic between the GPUs limits it."""

from __future__ import annotations

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.pace import crawls, roofline_share
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.roofline import LAUNCH_BOUND_DECODE_SHARE


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
            self._fixes(evidence),
        )

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        return [
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
        ]
