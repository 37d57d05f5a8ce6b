"""Who in Kubernetes ended a container: a probe, an eviction, a signal from outside."""

from __future__ import annotations

from typing import NamedTuple

from troubleshoot.causes.pod_ends import (
    SIGKILL,
    SIGTERM,
    ends_with,
    probe_failures,
    probe_kill,
    severity_of,
    taken_away,
)
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.pod_facts import PodFacts


class Killing(NamedTuple):
    """What `crash_engine_dead_killed` says where Kubernetes tells."""

    severity: Severity
    confidence: float
    explanation: str
    proof: tuple[EvidenceItem, ...]
    fixes: tuple[Fix, ...]
    title: str = ""


_STARTUP = Fix(
    "startupProbe",
    None,
    "failureThreshold x periodSeconds longer than the slowest start (weights, compilation, graphs)",
    "until it has succeeded once, the liveness probe waits",
)
_PATIENCE = Fix(
    "livenessProbe",
    None,
    "timeoutSeconds and failureThreshold above the longest stall, on /health",
    "a busy engine answers late; a probe that kills it loses all running requests",
)
_OUTSIDE = (
    Fix(
        "who killed it",
        None,
        "kernel log of the node (`dmesg -T | grep -i oom`), node's events",
        "exit status 137 is SIGKILL",
    ),
    Fix(
        "memory limit of the container",
        None,
        "look at its working set before the end",
        "the out-of-memory killer may have hit a child",
    ),
)
_DISRUPTION = (
    Fix(
        "PodDisruptionBudget, priorityClassName",
        None,
        "such that serving pods go last",
        "evictions and preemptions follow them",
    ),
    Fix(
        "requests of memory and ephemeral-storage",
        None,
        "what the pod really uses",
        "pods above their requests are evicted first",
    ),
)


def killing_of(pod: PodFacts) -> Killing | None:
    """How the pod's container was ended from outside; None where it was not, or is being deleted on purpose."""
    return _by_probe(pod) or _by_eviction(pod) or _by_signal(pod)


def _by_probe(pod: PodFacts) -> Killing | None:
    killed = probe_kill(pod)
    if killed is None:
        return None
    probe, event = killed
    end = pod.ended[0] if pod.ended else None
    ran = f" It had run for {end.ran_seconds:.0f} s." if end and end.ran_seconds is not None else ""
    early = probe == "startup" or not pod.has_startup_probe
    advice = "If it was still loading, the probe was impatient; if it had served, it was stuck or too busy to answer."
    proof = (pod.event_proof(event), *probe_failures(pod, probe), *([pod.end_proof(end)] if end else []))
    return Killing(
        severity_of(pod, end),
        0.9,
        f"The kubelet killed the container because its {probe} probe failed.{ran} {advice}",
        proof,
        (_STARTUP, _PATIENCE) if early else (_PATIENCE,),
        f"The {probe} probe killed the server",
    )


def _by_eviction(pod: PodFacts) -> Killing | None:
    proof = taken_away(pod)
    if not proof:
        return None
    text = "Kubernetes took the pod away: an eviction, a preemption or the shutdown of its node."
    return Killing(severity_of(pod), 0.9, text, tuple(proof), _DISRUPTION, "The pod was evicted or preempted")


def _by_signal(pod: PodFacts) -> Killing | None:
    if pod.is_going:
        return None
    killed = ends_with(pod, SIGKILL)
    if killed:
        text = (
            "The container ended with status 137 (SIGKILL), and Kubernetes names neither its memory limit nor a probe: "
            "somebody else on the node killed it, or the record of why is gone (events are kept for an hour)."
        )
        return Killing(severity_of(pod, killed[0]), 0.75, text, (pod.end_proof(killed[0]),), _OUTSIDE)
    asked = ends_with(pod, SIGTERM)
    if asked and pod.restarts:
        text = (
            "The container ended with status 143 (SIGTERM) and was started again in the same pod: as after a failed "
            "liveness probe whose events are gone (they are kept for an hour)."
        )
        title = "The container was asked to end, and started again"
        return Killing(severity_of(pod, asked[0]), 0.6, text, (pod.end_proof(asked[0]),), (_STARTUP, _PATIENCE), title)
    return None
