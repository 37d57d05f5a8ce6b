"""Replicas diagnosed one by one and set against each other: which differs, or what all of them share. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Final, Literal, NamedTuple

from troubleshoot.collect_kube import Replica
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis, Finding, FleetSummary, LogEvidence, ReplicaSummary, Severity, Verdict

_NAMED: Final = 4
_MOST_DIFFERENCES: Final = 6
_MEASURES: Final[Mapping[str, str]] = {
    "requests_waiting_mean": "requests_waiting",
    "kv_cache_usage_max_ratio": "kv_cache_usage_ratio",
    "ttft_mean_seconds": "ttft_mean_seconds",
    "tokens_per_second_per_sequence": "tokens_per_second_per_sequence",
}
"""Numbers of a diagnosis -> measures of a replica."""

_OWN_SETTINGS: Final = frozenset({"port", "host", "seed", "node_rank", "data_parallel_rank", "master_addr", "uds"})
"""Settings in which replicas differ by design."""

_UNEVEN: Final = (("requests_waiting_mean", "waiting", 5.0), ("requests_running_mean", "running", 5.0))
_UNEVEN_TIMES: Final = 3.0
_LATE: Final = (
    ("ttft_mean_seconds", "mean TTFT", 0.5),
    ("inter_token_latency_mean_seconds", "mean gap of tokens", 0.05),
)
_LATE_TIMES: Final = 2.0


class _Said(NamedTuple):
    replica: Replica
    diagnosis: Diagnosis

    @property
    def cause(self) -> str:
        """Its root cause; "" where it has no incident."""
        return self.diagnosis.findings[0].cause if self.diagnosis.verdict == "incident" else ""

    @property
    def severity(self) -> Severity:
        return self.diagnosis.findings[0].severity if self.cause else Severity.INFO

    @property
    def is_down(self) -> bool:
        pod = self.replica.evidence.pod
        return bool(pod and pod.phase and not pod.is_running)


def diagnose_replicas(replicas: Sequence[Replica], *, interrupted: bool = False) -> Diagnosis:
    """One diagnosis of them all: that of the replica that shows most, told with what the others show.

    The group of replicas with the gravest cause, of equally grave ones the largest, gives it.
    """
    said = [_Said(replica, _placed(replica, interrupted=interrupted)) for replica in replicas]
    if len(said) == 1:
        return said[0].diagnosis
    chosen = _representative(said)
    alike = [one for one in said if one.cause == chosen.cause]
    others = [one for one in said if one.cause != chosen.cause]
    return replace(
        chosen.diagnosis,
        verdict=_verdict(said),
        summary=_summary(chosen, alike, others),
        findings=(*_findings(chosen, alike, others),),
        inputs=tuple(item for one in said for item in one.replica.inputs),
        fleet=_fleet(said, chosen),
    )


def _placed(replica: Replica, *, interrupted: bool) -> Diagnosis:
    """The replica's diagnosis, its log's lines counted from the beginning of the container that wrote them."""
    diagnosis = diagnose(replica.evidence, replica.inputs, interrupted=interrupted)
    before = replica.lines_before
    if not before:
        return diagnosis

    def placed(finding: Finding) -> Finding:
        proof = (
            item
            if not isinstance(item, LogEvidence) or item.file != replica.log_name
            else replace(item, file=f"{item.file} (previous)")
            if item.line <= before
            else replace(item, line=item.line - before)
            for item in finding.evidence
        )
        return replace(finding, evidence=tuple(proof))

    return replace(diagnosis, findings=tuple(map(placed, diagnosis.findings)))


def _representative(said: Sequence[_Said]) -> _Said:
    sizes = Counter(one.cause for one in said)

    def weight(one: _Said) -> tuple[bool, int, int, float]:
        first = one.diagnosis.findings[0].confidence if one.cause else 0.0
        return bool(one.cause), one.severity, sizes[one.cause], first

    return max(said, key=weight)


def _verdict(said: Sequence[_Said]) -> Verdict:
    verdicts = {one.diagnosis.verdict for one in said}
    order: tuple[Verdict, ...] = ("incident", "inconclusive", "healthy")
    return next(verdict for verdict in order if verdict in verdicts)


def _summary(chosen: _Said, alike: Sequence[_Said], others: Sequence[_Said]) -> str:
    total = len(alike) + len(others)
    text = chosen.diagnosis.summary
    if not others:
        return f"All {total} replicas: {text}"
    if not chosen.cause:
        return text
    rest = Counter(one.cause or one.diagnosis.verdict for one in others)
    told = ", ".join(f"{number} {what}" for what, number in rest.most_common())
    return f"{len(alike)} of {total} replicas ({_names(alike)}): {text}. The others: {told}"


def _names(said: Sequence[_Said]) -> str:
    names = [one.replica.name.rpartition("/")[2] for one in said[:_NAMED]]
    more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    return ", ".join(names) + more


def _findings(chosen: _Said, alike: Sequence[_Said], others: Sequence[_Said]) -> Iterator[Finding]:
    """Those of the chosen replica, the first with who shares it; then the root causes of the others."""
    findings = chosen.diagnosis.findings
    for index, finding in enumerate(findings):
        if index == 0 and chosen.cause:
            total = len(alike) + len(others)
            shared = f"All {total} replicas say the same." if not others else f"Of {total} replicas: {_names(alike)}."
            yield replace(finding, explanation=f"{finding.explanation} {shared}")
        else:
            yield finding
    told = {finding.cause for finding in findings}
    for one in others:
        if one.cause and one.cause not in told:
            told.add(one.cause)
            also = [other for other in others if other.cause == one.cause]
            first = one.diagnosis.findings[0]
            yield replace(first, explanation=f"{first.explanation} Of the replicas: {_names(also)}.")


def _fleet(said: Sequence[_Said], chosen: _Said) -> FleetSummary:
    measured = [_measures(one) for one in said]
    known = {name for measures in measured for name in measures}
    summaries = [
        ReplicaSummary(
            one.replica.name,
            _role(one, chosen),
            one.diagnosis.verdict,
            one.cause,
            measures,
            tuple(differences(one, said))[:_MOST_DIFFERENCES],
        )
        for one, measures in zip(said, measured, strict=True)
    ]
    medians = {name: median(m[name] for m in measured if name in m) for name in known}
    return FleetSummary(len(said), sum(one.is_down for one in said), medians, tuple(summaries))


def _role(one: _Said, chosen: _Said) -> Literal["diagnosed", "worst", "down", "typical"]:
    if one is chosen:
        return "diagnosed"
    if one.is_down:
        return "down"
    return "worst" if one.cause else "typical"


def _measures(one: _Said) -> dict[str, float]:
    numbers = one.diagnosis.numbers
    return {name: float(value) for key, name in _MEASURES.items() if isinstance(value := numbers.get(key), int | float)}


def differences(one: _Said, said: Sequence[_Said]) -> Iterator[str]:
    """In what a replica is unlike most of the others: what it runs, where, and how it does."""
    for what, value in _traits(one).items():
        values = [_traits(other).get(what) for other in said]
        common, number = Counter(values).most_common(1)[0]
        if value != common and number * 2 > len(said) and number > 1:
            yield f"{what} {_shown(value)}, most others {_shown(common)}"
    pod = one.replica.evidence.pod
    for condition in pod.node.conditions if pod and pod.node else ():
        yield f"node {pod.node.name}: {condition}" if pod and pod.node else condition
    yield from _uneven(one, said)


def _traits(one: _Said) -> dict[str, Hashable]:
    pod, diagnosis = one.replica.evidence.pod, one.diagnosis
    traits: dict[str, Hashable] = {"engine version": diagnosis.engine.version, "hardware": diagnosis.hardware}
    if pod is not None:
        traits |= {
            "image": pod.image,
            "revision": pod.revision,
            "memory limit": pod.memory_limit_bytes,
            "GPUs": pod.gpus_requested,
            "GPU": pod.node.gpu_product if pod.node else "",
            "ready": pod.is_ready,
            "restarted": pod.restarts > 0,
        }
    settings = {f"--{k.replace('_', '-')}": v for k, v in diagnosis.engine.settings.items() if k not in _OWN_SETTINGS}
    return traits | settings


def _shown(value: object) -> str:
    return (
        "none" if value in (None, "") else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    )


def _uneven(one: _Said, said: Sequence[_Said]) -> Iterator[str]:
    """Where load or latency is far from that of the others."""
    for names, times in ((_UNEVEN, _UNEVEN_TIMES), (_LATE, _LATE_TIMES)):
        for key, title, least in names:
            own = one.diagnosis.numbers.get(key)
            others = [
                v
                for other in said
                if other is not one and isinstance(v := other.diagnosis.numbers.get(key), int | float)
            ]
            if not isinstance(own, int | float) or not others:
                continue
            typical = median(others)
            if own >= least and own > times * typical:
                yield f"{title} {own:.3g}, others {typical:.3g}"
            elif typical >= least and own * times < typical:
                yield f"{title} only {own:.3g}, others {typical:.3g}"
