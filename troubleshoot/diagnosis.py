"""Causes judged over evidence, the root first, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from catalog.flags import flag_exists
from troubleshoot.causes import CAUSES
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.pace import crawls, roofline_share
from troubleshoot.evidence import Evidence
from troubleshoot.findings import (
    Diagnosis,
    EngineSummary,
    Finding,
    InputSummary,
    LogEvidence,
    NotEvaluated,
    RuledOut,
    Severity,
    Verdict,
)

_STAGE = {"oom": 0, "crash": 0, "hang": 1, "throughput": 2, "ttft": 2}
"""An engine that is down comes before one that hangs, and that before one that is slow."""


_NEVER_BESIDES = ("crash_unrecognised_exception",)
"""That an engine died is evidence for the cause that is known, never a finding besides it."""


def diagnose(
    evidence: Evidence,
    inputs: Sequence[InputSummary] = (),
    *,
    interrupted: bool = False,
    causes: Mapping[str, Cause] = CAUSES,
) -> Diagnosis:
    """Judge every cause and order what holds. Pure: the same evidence gives the same diagnosis."""
    judgements: list[Judgement] = [cause.judge(evidence) for cause in causes.values()]
    findings = [_without_impossible(found, evidence) for found in judgements if isinstance(found, Finding)]
    ordered = order(findings, evidence, causes)
    verdict = _verdict(ordered, evidence)
    return Diagnosis(
        verdict=verdict,
        summary=_summary(verdict, ordered, evidence),
        engine=EngineSummary(
            evidence.engine,
            evidence.version,
            evidence.model,
            {**evidence.settings.effective, **evidence.settings.given},
        ),
        findings=tuple(ordered),
        ruled_out=tuple(found for found in judgements if isinstance(found, RuledOut)),
        not_evaluated=tuple(found for found in judgements if isinstance(found, NotEvaluated)),
        numbers={**numbers(evidence), **evidence.circumstances.rounded_numbers},
        inputs=tuple(inputs),
        hardware=_hardware(evidence),
        interrupted=interrupted,
        since=evidence.circumstances.since if verdict == "incident" else None,
        changes=evidence.circumstances.changes,
        fleet=evidence.circumstances.fleet,
    )


def order(findings: Sequence[Finding], evidence: Evidence, causes: Mapping[str, Cause]) -> list[Finding]:
    """The root first: what another finding brings about goes after it, however loud it is.

    An engine that does not start is not slow as well: such warnings become notes. Among what remains: the more severe,
    then the complaint's family, then a dead engine before a hanging one and that before a slow one, then the surer,
    then the earlier in the log.
    """

    def explained(finding: Finding) -> Finding:
        roots = [
            other
            for other in findings
            if other.cause != finding.cause
            and finding.cause in causes[other.cause].consequences
            and _can_explain(other, finding)
        ]
        surest = max(roots, key=lambda root: (root.severity, root.confidence), default=None)
        return replace(finding, explained_by=surest.cause) if surest else finding

    def key(finding: Finding) -> tuple[bool, int, bool, int, float, int]:
        other_family = bool(evidence.symptom) and finding.family != evidence.symptom
        return (
            bool(finding.explained_by),
            -finding.severity,
            other_family,
            _STAGE[finding.family],
            -finding.confidence,
            _first_line(finding),
        )

    found = [explained(finding) for finding in findings]
    if evidence.serving is None and any(
        f.severity is Severity.CRITICAL and f.family in ("oom", "crash") for f in found
    ):
        found = [_as_note(finding) for finding in found]
    ordered = sorted(
        (finding for finding in found if not (finding.explained_by and finding.cause in _NEVER_BESIDES)), key=key
    )
    return _without_contradictions(ordered)


def _without_contradictions(findings: Sequence[Finding]) -> list[Finding]:
    """One setting is moved one way: where two findings want different values of a flag, the first has its way."""
    decided: dict[str, object] = {}
    result = []
    for finding in findings:
        fixes = tuple(fix for fix in finding.fixes if decided.get(fix.setting, fix.to_value) == fix.to_value)
        decided |= {fix.setting: fix.to_value for fix in fixes if fix.setting.startswith("--")}
        result.append(replace(finding, fixes=fixes))
    return result


def _as_note(finding: Finding) -> Finding:
    slow = finding.family in ("throughput", "ttft") and finding.severity is Severity.WARNING
    return replace(finding, severity=Severity.INFO) if slow else finding


def _can_explain(root: Finding, consequence: Finding) -> bool:
    """A mere note explains no incident, and a guess no certainty."""
    if root.severity is Severity.INFO and consequence.severity is not Severity.INFO:
        return False
    return root.confidence >= 0.5 or root.confidence >= consequence.confidence


def _first_line(finding: Finding) -> int:
    return min((item.line for item in finding.evidence if isinstance(item, LogEvidence)), default=1 << 30)


def _without_impossible(finding: Finding, evidence: Evidence) -> Finding:
    """Drop fixes that name a flag which this version does not have, or a value that stands already."""
    fixes = tuple(
        fix
        for fix in finding.fixes
        if not (
            fix.setting.startswith("--")
            and flag_exists(evidence.engine or "vllm", fix.setting, evidence.version) is False
        )
        and not (fix.from_value is not None and fix.from_value == fix.to_value)
    )
    return replace(finding, fixes=fixes)


def _verdict(findings: Iterable[Finding], evidence: Evidence) -> Verdict:
    if any(finding.severity >= Severity.WARNING for finding in findings):
        return "incident"
    if crawls(evidence.serving) and not evidence.on_cpu:
        return "inconclusive"
    served = evidence.serving is not None
    idle = bool(evidence.metrics and evidence.metrics.engine and len(evidence.metrics.timeline.scrape_times) > 1)
    started = bool(evidence.log and (evidence.log.has("ready", "served_request") or evidence.log.statistics))
    return "healthy" if served or idle or started else "inconclusive"


def _summary(verdict: Verdict, findings: Sequence[Finding], evidence: Evidence) -> str:
    if verdict == "incident":
        return findings[0].title
    if verdict == "inconclusive":
        if not evidence.engine:
            return "No known engine was recognised in the input, and no known failure: nothing can be said"
        if evidence.serving and crawls(evidence.serving):
            rate = evidence.serving.rate_per_sequence or 0.0
            return f"A sequence gets {rate:.1f} tokens/s, which is very slow, and nothing in the input tells why"
        return "No known failure in the input, and no sign that the engine serves: nothing can be said"
    serving = evidence.serving
    if serving is None:
        return "The engine is up and idle"
    if findings:
        return f"No incident. Note: {findings[0].title[0].lower()}{findings[0].title[1:]}"
    return "No incident: requests are served and do not wait"


def _hardware(evidence: Evidence) -> str:
    if evidence.on_cpu:
        return "CPU"
    name = evidence.gpu.name if evidence.gpu else evidence.gpu_name
    if not name:
        return ""
    return f"{evidence.gpu_count} x {name}"


def numbers(evidence: Evidence) -> dict[str, float | int | str]:
    """The measured facts, by name with their unit; what is unknown is absent."""
    found: dict[str, float | int | str | None] = {
        "weights_gib": evidence.log.memory.weights_gib if evidence.log else None,
        "kv_cache_capacity_tokens": evidence.kv_capacity_tokens,
        "gpu_memory_gib": round(evidence.gpu_total_gib, 2) if evidence.gpu_total_gib else None,
    }
    serving = evidence.serving
    if serving is not None:
        found |= {
            "source": serving.source,
            "window_seconds": round(serving.seconds, 1),
            "requests_running_mean": serving.running_mean,
            "requests_waiting_mean": serving.waiting_mean,
            "kv_cache_usage_max_ratio": serving.kv_max,
            "generation_tokens_per_second": serving.generation_rate,
            "prompt_tokens_per_second": serving.prompt_rate,
            "tokens_per_second_per_sequence": serving.rate_per_sequence,
            "preemptions_per_second": serving.preemption_rate,
            "prompt_tokens_mean": serving.mean_prompt_tokens,
            "generation_tokens_mean": serving.mean_generation_tokens,
            "queue_share_of_ttft_ratio": serving.queue_share_of_ttft,
            "decode_roofline_ratio": roofline_share(evidence),
        }
        for name, signal in _LATENCIES.items():
            histogram = serving.histogram(signal)
            if histogram and histogram.mean is not None:
                found[f"{name}_mean_seconds"] = histogram.mean
                found[f"{name}_p95_seconds"] = histogram.quantile(0.95)
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in found.items()
        if value is not None
    }


_LATENCIES = {
    "ttft": "llm_time_to_first_token_seconds",
    "inter_token_latency": "llm_inter_token_latency_seconds",
    "queue": "llm_request_queue_seconds",
    "prefill": "llm_request_prefill_seconds",
    "request_duration": "llm_request_duration_seconds",
}
