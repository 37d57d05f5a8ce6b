"""How the container of a pod ended, and who ended it, as Kubernetes tells it."""

from __future__ import annotations

import re
from typing import Final

from troubleshoot.findings import Severity, StatusEvidence
from troubleshoot.pod_facts import Ended, PodEvent, PodFacts

SIGKILL: Final = 137
SIGSEGV: Final = 139
SIGTERM: Final = 143
"""Exit codes of a container whose process a signal ended: 128 and the signal's number."""

OUT_OF_MEMORY: Final = "OOMKilled"
_LONG_AGO_SECONDS: Final = 86400.0
_PROBE: Final = re.compile(r"failed (liveness|startup) probe")
_LOW_ON_MEMORY: Final = re.compile(r"low on resource: memory|memory usage|MemoryPressure", re.IGNORECASE)
_TAKEN_AWAY: Final = ("Evicted", "Preempted", "TaintManagerEviction", "NodeShutdown")
_POD_TAKEN_AWAY: Final = ("Evicted", "Preempting", "NodeShutdown", "Terminated", "NodeLost", "Shutdown")


def ends_with(pod: PodFacts, code: int) -> list[Ended]:
    """The container's ends with that exit code that were not for want of memory."""
    return [end for end in pod.ended if end.exit_code == code and end.reason != OUT_OF_MEMORY]


def memory_ends(pod: PodFacts) -> list[Ended]:
    """The ends by the out-of-memory killer."""
    return [end for end in pod.ended if end.reason == OUT_OF_MEMORY]


def failed_ends(pod: PodFacts) -> list[Ended]:
    """The ends with an error status of the program's own: no signal, no want of memory, no refusal to start."""
    others = (0, SIGKILL, SIGSEGV, SIGTERM)
    refused = (OUT_OF_MEMORY, "StartError", "ContainerCannotRun", "ContainerStatusUnknown")
    return [end for end in pod.ended if end.exit_code not in others and end.reason not in refused]


def memory_eviction(pod: PodFacts) -> list[StatusEvidence]:
    """What says that the pod was evicted for memory."""
    events = [pod.event_proof(e) for e in pod.events_of("Evicted") if _LOW_ON_MEMORY.search(e.message)]
    own = pod.reason == "Evicted" and _LOW_ON_MEMORY.search(pod.message)
    return [pod.pod_proof(f"{pod.reason}: {pod.message}"), *events] if own else events


def taken_away(pod: PodFacts) -> list[StatusEvidence]:
    """What says that the pod was evicted, preempted or drained, for whatever but memory."""
    if memory_eviction(pod):
        return []
    events = [pod.event_proof(event) for event in pod.events_of(*_TAKEN_AWAY)]
    return [pod.pod_proof(f"{pod.reason}: {pod.message}"), *events] if pod.reason in _POD_TAKEN_AWAY else events


def probe_kill(pod: PodFacts) -> tuple[str, PodEvent] | None:
    """The probe (liveness, startup) for which the kubelet killed the container, and the event; None where it did not."""
    for event in reversed(pod.events_of("Killing", "Unhealthy")):
        match = _PROBE.search(event.message)
        if match and event.reason == "Killing":
            return match[1], event
    return None


def probe_failures(pod: PodFacts, probe: str) -> list[StatusEvidence]:
    """What the probe saw, the newest."""
    failed = [e for e in pod.events_of("Unhealthy") if e.message.lower().startswith(f"{probe} probe")]
    return [pod.event_proof(event) for event in failed[-1:]]


def severity_of(pod: PodFacts, end: Ended | None = None) -> Severity:
    """Critical while the container is down; a warning where it came back; a note where that is more than a day ago."""
    if not pod.is_running or (pod.restarts >= 3 and not pod.is_ready):
        return Severity.CRITICAL
    if end and end.ago_seconds is not None and end.ago_seconds > _LONG_AGO_SECONDS:
        return Severity.INFO
    return Severity.WARNING
