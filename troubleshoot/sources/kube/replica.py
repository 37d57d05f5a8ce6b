"""Everything that can be read of one pod: its facts, its engine's metrics over the window, its log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from troubleshoot.pod_facts import PodFacts
from troubleshoot.sources.endpoint import Clock, Watch, watch_by
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.calls import GET_NODE, GET_POD, LIST_EVENTS, Call
from troubleshoot.sources.kube.cluster import Cluster
from troubleshoot.sources.kube.objects import (
    Object,
    child,
    container_of,
    events_of,
    node_facts,
    pod_facts,
    pod_name,
    text_of,
)
from troubleshoot.sources.kube.pod_log import PodLog
from troubleshoot.sources.kube.pod_metrics import PodScraper, endpoints_of
from troubleshoot.sources.kube.problems import ClusterError

if TYPE_CHECKING:
    from troubleshoot.logs.scan import ScanResult

Scan = Callable[[PodLog], "ScanResult"]


@dataclass(slots=True)
class Reading:
    """What was read of one pod so far; `problems` has a line for each part that could not be."""

    name: str
    facts: PodFacts
    watch: Watch | None = None
    metrics_name: str = ""
    log: ScanResult | None = None
    log_note: str = ""
    lines_before: int = 0
    problems: list[InputError] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True, slots=True)
class How:
    """How to read a pod. `interval_seconds` None: as `scrape_offsets` has it."""

    window_seconds: float = 15.0
    container: str = ""
    metrics: str = ""
    interval_seconds: float | None = None
    clock: Clock = field(default_factory=Clock)


class Nodes:
    """Nodes by name, each asked for once; several pods share one."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, Object | ClusterError] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Object:
        """The node; raise `ClusterError`, the same each time."""
        with self._lock:
            if name not in self._known:
                try:
                    self._known[name] = self._cluster.one(GET_NODE, name=name)
                except ClusterError as error:
                    self._known[name] = error
            found = self._known[name]
        if isinstance(found, ClusterError):
            raise found
        return found


def begin(pod: Object, namespace: str, how: How) -> Reading:
    """A reading that holds what the pod's object itself says."""
    facts = pod_facts(pod, container_of(pod, how.container), now=how.clock.unix())
    if not child(pod, "status"):
        facts = replace(facts, missing=(GET_POD.right,))
    return Reading(f"{namespace}/{pod_name(pod)}", facts)


def read(reading: Reading, pod: Object, namespace: str, cluster: Cluster, nodes: Nodes, how: How, scan: Scan) -> None:
    """Fill the reading. Logs after metrics: what an engine writes while it is watched belongs to the picture."""
    name, container = pod_name(pod), container_of(pod, how.container)
    if how.container and not container and child(pod, "spec"):
        known = ", ".join(
            text_of(c, "name") for c in child(pod, "spec").get("containers", ()) if isinstance(c, Mapping)
        )
        reading.problems.append(InputError(reading.name, f"has no container {how.container}", f"it has: {known}"))
        return
    _read_events(reading, pod, namespace, cluster)
    _read_node(reading, pod, nodes)
    has_status = bool(child(pod, "status"))
    if reading.facts.is_running or not has_status:
        _read_metrics(reading, PodScraper(cluster, namespace, name, endpoints_of(pod, container, how.metrics)), how)
    if has_status and not reading.facts.is_running and not reading.facts.ended:
        return
    has_previous = not has_status or reading.facts.restarts > 0
    log = PodLog(cluster, namespace, name, text_of(container, "name") or how.container, with_previous=has_previous)
    found = scan(log)
    reading.log_note, reading.lines_before = log.note, log.lines_before
    reading.problems += log.errors
    if found.size_bytes:
        reading.log = found


def _read_events(reading: Reading, pod: Object, namespace: str, cluster: Cluster) -> None:
    selector = f"involvedObject.kind=Pod,involvedObject.name={pod_name(pod)}"
    try:
        found = cluster.all(LIST_EVENTS, {"fieldSelector": selector}, namespace=namespace)
    except ClusterError as error:
        _narrowed(reading, error, LIST_EVENTS)
        return
    uid = text_of(child(pod, "metadata"), "uid")
    # A pod of a StatefulSet has the name of the one before it.
    own = [e for e in found if not uid or text_of(child(e, "involvedObject"), "uid") in ("", uid)]
    reading.facts = replace(reading.facts, events=events_of(own))


def _read_node(reading: Reading, pod: Object, nodes: Nodes) -> None:
    name = text_of(child(pod, "spec"), "nodeName")
    if not name:
        return
    try:
        reading.facts = replace(reading.facts, node=node_facts(nodes.get(name)))
    except ClusterError as error:
        _narrowed(reading, error, GET_NODE)


def _narrowed(reading: Reading, error: ClusterError, call: Call) -> None:
    reading.problems.append(error)
    reading.facts = replace(reading.facts, missing=(*reading.facts.missing, call.right))


def _read_metrics(reading: Reading, scraper: PodScraper, how: How) -> None:
    reading.watch = seen = Watch()

    def keep(time_seconds: float, body: bytes) -> None:
        seen.scrapes.append((time_seconds, body))
        reading.metrics_name = scraper.name

    try:
        reading.watch = watch_by(scraper.scrape, how.window_seconds, how.interval_seconds, how.clock, keep)
    except InputError as error:
        reading.problems.append(
            error if error.name != reading.name else InputError(scraper.name, error.problem, error.advice)
        )
        reading.watch = None
