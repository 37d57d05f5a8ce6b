"""From a pod or a workload in Kubernetes to evidence of each replica: all at once, what fails is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from troubleshoot.evidence import Evidence
from troubleshoot.findings import InputSummary
from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.scan import scan
from troubleshoot.logs.signatures import SIGNATURES
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.cluster import Cluster
from troubleshoot.sources.kube.login import log_in
from troubleshoot.sources.kube.pod_log import PodLog
from troubleshoot.sources.kube.problems import ClusterError
from troubleshoot.sources.kube.replica import How, Nodes, Reading, begin, read
from troubleshoot.sources.kube.target import Target
from troubleshoot.sources.kube.workload import pods_of

if TYPE_CHECKING:
    from troubleshoot.collect import Report
    from troubleshoot.logs.scan import ScanResult
    from troubleshoot.metrics.load import MetricsData

_LOGS_AT_ONCE: Final = 4
"""Logs are read by so many threads at a time: each keeps a window of 1 MiB."""

_LOOK_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 180.0
"""How long after the window a pod that gives nothing is waited for."""


@dataclass(frozen=True, slots=True)
class KubeRequest:
    """What to read. `kubeconfig` "": as kubectl finds it; `how.container` "": the one that serves."""

    target: Target
    kubeconfig: str = ""
    how: How = field(default_factory=How)
    engine: str = ""
    symptom: str = ""
    patience_seconds: float = PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Replica:
    """What is known of one pod. The first `lines_before` lines of its log are of the container before."""

    name: str
    evidence: Evidence
    inputs: tuple[InputSummary, ...] = ()
    log_name: str = ""
    lines_before: int = 0


@dataclass(slots=True)
class KubeCollected:
    """Replicas of which something could be read, and a line for all that could not."""

    replicas: list[Replica] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False


def collect_kube(request: KubeRequest, report: Report) -> KubeCollected:
    """Read every replica. Ctrl-C ends the reading: what is known so far is the evidence."""
    result = KubeCollected()
    try:
        login = log_in(request.kubeconfig, request.target.context)
        cluster, namespace = Cluster(login), request.target.namespace or login.namespace
        pods = pods_of(cluster, request.target, namespace)
    except InputError as error:
        result.problems.append(str(error))
        return result
    except KeyboardInterrupt:
        result.interrupted = True
        return result
    result.problems += [str(problem) for problem in pods.problems]
    result.problems += [f"{request.target}: {pods.note}"] if pods.note else []
    readings = [begin(pod, namespace, request.how) for pod in pods.pods]
    scanned, nodes = _scanning(), Nodes(cluster)
    threads = [
        threading.Thread(
            target=_read, args=(reading, pod, namespace, cluster, nodes, request.how, scanned), daemon=True
        )
        for reading, pod in zip(readings, pods.pods, strict=True)
    ]
    _wait_for(threads, request, report, result)
    for reading in readings:
        if not reading.done and not result.interrupted:
            reading.problems.append(InputError(reading.name, "gave no answer in time", "what came until then is used"))
    result.problems += _lines(readings)
    result.replicas = [found for reading in readings if (found := _replica(reading, request)) is not None]
    return result


def _read(
    reading: Reading,
    pod: dict[str, object],
    namespace: str,
    cluster: Cluster,
    nodes: Nodes,
    how: How,
    scanned: Callable[[PodLog], ScanResult],
) -> None:
    read(reading, pod, namespace, cluster, nodes, how, scanned)
    reading.done = True


def _scanning() -> Callable[[PodLog], ScanResult]:
    matcher, turn = Matcher(SIGNATURES), threading.Semaphore(_LOGS_AT_ONCE)

    def scanned(log: PodLog) -> ScanResult:
        with turn:
            return scan(log, SIGNATURES, matcher)

    return scanned


def _wait_for(threads: Sequence[threading.Thread], request: KubeRequest, report: Report, result: KubeCollected) -> None:
    """Until all are done, or nothing more is waited for."""
    window = request.how.window_seconds
    begun = time.monotonic()
    until = begun + window + request.patience_seconds
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
            report(str(request.target), min(int(time.monotonic() - begun), int(window)), int(window))
            next(thread for thread in [*threads] if thread.is_alive() or thread is threads[-1]).join(_LOOK_SECONDS)
    except KeyboardInterrupt:
        result.interrupted = True


def _lines(readings: Sequence[Reading]) -> list[str]:
    """A line a problem. A right that is missing is missing for all pods alike: it is said once."""
    lines: dict[str, None] = {}
    for reading in readings:
        for problem in reading.problems:
            is_shared = isinstance(problem, ClusterError) and (problem.is_forbidden or problem.status == 401)
            own = problem if is_shared or problem.name.startswith(reading.name) else _named(problem, reading.name)
            lines[str(own)] = None
    return [*lines]


def _named(problem: InputError, name: str) -> InputError:
    return InputError(name, problem.problem, problem.advice)


def _replica(reading: Reading, request: KubeRequest) -> Replica | None:
    """Its evidence; None where nothing of it is known."""
    metrics = _metrics_of(reading)
    if reading.log is None and metrics is None and not reading.facts.phase:
        return None
    log = None
    if reading.log is not None:
        from troubleshoot.collect import facts_of

        log = facts_of([reading.log])
    evidence = Evidence(log, metrics, request.symptom, request.engine, pod=reading.facts)
    log_name = reading.log.name if reading.log else ""
    return Replica(reading.name, evidence, tuple(_inputs(reading, metrics)), log_name, reading.lines_before)


def _metrics_of(reading: Reading) -> MetricsData | None:
    watched = reading.watch
    if watched is None or not watched.scrapes:
        return None
    from troubleshoot.metrics.load import Body, load_metrics

    return load_metrics([Body(0, time_seconds, body) for time_seconds, body in watched.scrapes], watched.failures)


def _inputs(reading: Reading, metrics: MetricsData | None) -> list[InputSummary]:
    missing = ", ".join(reading.facts.missing)
    found = [InputSummary(reading.name, "kubernetes", note=f"without the right to {missing}" if missing else "")]
    if reading.log is not None:
        log = reading.log
        found.append(InputSummary(log.name, "log", log.size_bytes, log.lines, note=reading.log_note))
    if metrics is not None and reading.watch is not None:
        watched, window = reading.watch, metrics.timeline.window
        failed = len(watched.failures)
        note = (
            f"{failed} of {failed + len(watched.scrapes)} scrapes failed, the first: {watched.failures[0][1]}"
            if failed
            else ""
        )
        summary = InputSummary(reading.metrics_name, "metrics", sum(len(body) for _, body in watched.scrapes))
        span = window[1] - window[0] if window else None
        found.append(replace(summary, span_seconds=span, note="; ".join(filter(None, (note, metrics.note)))))
    return found
