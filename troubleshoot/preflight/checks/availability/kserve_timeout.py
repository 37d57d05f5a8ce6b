"""KServe's timeout of a request."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck

KNATIVE_DEFAULT_SECONDS = 300
"""Knative's revision-timeout-seconds."""
_LEAST_SECONDS = 60


class KServeTimeout(WorkloadCheck):
    """KServe ends a request, a stream too, after the component's timeout."""

    id = "kserve_timeout"
    severity = Severity.INFO
    title = "The timeout of a request is left to KServe"
    needs = "timeout of the predictor"

    def applies(self, subject: Subject) -> bool:
        """An InferenceService's predictor."""
        return subject.workload.role == "predictor"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        field = subject.workload.owner.root.at("spec", "predictor", "timeout")
        if not field.exists:
            yield self.finding(
                subject.title,
                field,
                f"Without one Knative ends every request after {KNATIVE_DEFAULT_SECONDS} s, and pods have as long to stop.",
                Fix("timeout", None, KNATIVE_DEFAULT_SECONDS, "said, so that callers and the pods' end can follow it"),
            )
        elif field.integer is not None and field.integer < _LEAST_SECONDS:
            yield self.finding(
                subject.title,
                field,
                f"A request is ended after {field.integer} s: a thousand tokens at 20 a second take 50 s, without waiting.",
                Fix("timeout", field.integer, KNATIVE_DEFAULT_SECONDS, "longer than the longest answer"),
                severity=Severity.WARNING,
                title="The timeout of a request is short",
            )
