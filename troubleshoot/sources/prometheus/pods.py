"""What kube-state-metrics tells of a replica's pod: restarts within the window, how it ended, its memory limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from catalog.exposition import Sample
from catalog.kubernetes import (
    CONTAINER_RESTARTS,
    GPU_RESOURCE,
    LAST_TERMINATED_EXIT_CODE,
    LAST_TERMINATED_REASON,
    RESOURCE_LIMITS,
)
from troubleshoot.changes import rises
from troubleshoot.metrics.load import Server
from troubleshoot.pod_facts import Ended, PodFacts

_SIGKILL = 137


def pod_facts(servers: Mapping[Server, Sequence[Sample]], end_seconds: float) -> PodFacts | None:
    """The facts of a pod one of whose containers restarted within these samples; None for any other.

    How a container last ended stays in its status for good: without a restart within the window it is no news.
    """
    samples = [sample for server in servers.values() for sample in server if sample.name in _NAMES]
    restarted = _restarted(samples)
    if restarted is None:
        return None
    labels, times = restarted
    container = labels.get("container", "")
    mine = [sample for sample in samples if sample.labels.get("container", "") == container]
    reasons = [one for one in mine if one.name == LAST_TERMINATED_REASON.name and one.value == 1.0]
    reason = _newest(reasons).labels.get("reason", "") if reasons else ""
    codes = [one for one in mine if one.name == LAST_TERMINATED_EXIT_CODE.name]
    code = int(_newest(codes).value) if codes else _SIGKILL if reason == "OOMKilled" else 0
    limits = [one for one in mine if one.name == RESOURCE_LIMITS.name and one.labels.get("resource") == "memory"]
    ended = Ended(reason, code, finished=times[-1], ago_seconds=max(end_seconds - times[-1], 0.0))
    return PodFacts(
        "/".join(labels[name] for name in ("namespace", "pod") if labels.get(name)),
        container,
        is_running=True,
        is_ready=True,
        restarts=len(times),
        ended=(ended,) if reason else (),
        memory_limit_bytes=int(_newest(limits).value) if limits else None,
    )


_NAMES = frozenset(
    one.name for one in (CONTAINER_RESTARTS, LAST_TERMINATED_EXIT_CODE, LAST_TERMINATED_REASON, RESOURCE_LIMITS)
)


def _restarted(samples: Iterable[Sample]) -> tuple[dict[str, str], list[float]] | None:
    """The container that restarted, one with GPUs before others (a side car restarts too), and when."""
    samples = list(samples)
    with_gpus = {
        one.labels.get("container")
        for one in samples
        if one.name == RESOURCE_LIMITS.name and one.labels.get("resource", "").startswith(GPU_RESOURCE[:6])
    }
    courses: dict[str, list[tuple[float, float]]] = {}
    labels: dict[str, dict[str, str]] = {}
    for one in samples:
        if one.name == CONTAINER_RESTARTS.name:
            container = one.labels.get("container", "")
            courses.setdefault(container, []).append((one.timestamp or 0.0, one.value))
            labels[container] = one.labels
    found = {container: rises(sorted(points)) for container, points in courses.items()}
    restarted = [container for container, times in found.items() if times and (not with_gpus or container in with_gpus)]
    if not restarted:
        return None
    return labels[restarted[0]], found[restarted[0]]


def _newest(samples: Sequence[Sample]) -> Sample:
    return max(samples, key=lambda one: one.timestamp or 0.0)
