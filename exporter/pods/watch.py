"""Keeps one up-to-date view of the node's pods, on a thread of its own: nothing else waits for a kubelet.

The collector reads `PodWatcher.view`, which is replaced whole by each refresh and never changes in itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

from exporter.config import Kubernetes
from exporter.pods import api_server, kubelet, pods_api
from exporter.pods.api_server import ApiServer
from exporter.pods.candidates import Candidate, DcgmCandidate, candidates_of
from exporter.pods.kubelet import Assignment
from exporter.pods.last_good import LastGood
from exporter.pods.owners import DeviceInventory, GpuOwners, join_owners
from exporter.pods.pod import FINISHED_PHASES, Pod
from exporter.pods.problems import Problem, Reason, Source, SourceError
from exporter.workers import Worker

CALL_TIMEOUT_SECONDS = 5.0
"""For each source. A kubelet answers in milliseconds; one that takes seconds is in trouble of its own."""

_DEVICE_REASONS: Mapping[Reason, str] = {
    "unknown_shape": "device identifiers of no known shape; is this another vendor's device plugin?",
    "unknown_device": "devices that are none of the node's GPUs as read by NVML",
    "dra_device": "devices claimed by dynamic resource allocation, whose UUID the kubelet does not tell",
    "bad_name": "devices held by what has no valid pod or container name",
}
_log = logging.getLogger(__name__)


class PodView(Struct, frozen=True):
    """What was known of the node's pods at one time. Immutable.

    `candidates` come pod by pod, each pod's in the order to try them. `problems` are those of now; `errors`
    counts them since the start by source and reason, a source that failed once for each attempt.
    `pod_source` is where `pods` come from, "" for nowhere. `updated_unix_seconds` is 0 before the first refresh.
    """

    pods: tuple[Pod, ...] = ()
    owners: GpuOwners = field(default_factory=GpuOwners)
    candidates: tuple[Candidate, ...] = ()
    dcgm_candidates: tuple[DcgmCandidate, ...] = ()
    problems: tuple[Problem, ...] = ()
    errors: Mapping[tuple[Source, Reason], int] = field(default_factory=dict)
    pod_source: Source | None = None
    updated_unix_seconds: float = 0.0


class PodWatcher:
    """Refreshes a `PodView` every `config.refresh_seconds` from `start` until `close`.

    `inventory` gives the GPUs as last read and must neither raise nor block. `find_api_server` tells where the
    API server is, None outside of a cluster; by default from the environment. `monotonic_seconds` is the clock
    for pauses and for the age of answers.
    """

    def __init__(
        self,
        config: Kubernetes,
        node_name: str,
        inventory: Callable[[], DeviceInventory],
        *,
        find_api_server: Callable[[], ApiServer | None] = lambda: api_server.in_cluster(os.environ),
        call_timeout_seconds: float = CALL_TIMEOUT_SECONDS,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._node_name = node_name
        self._inventory = inventory
        self._find_api_server = find_api_server
        self._timeout_seconds = call_timeout_seconds
        self._monotonic_seconds = monotonic_seconds
        pause = config.refresh_seconds
        self._resources = LastGood("pod_resources", self._read_resources, pause_seconds=pause)
        self._pods_api = LastGood("pods_api", self._read_pods_api, pause_seconds=pause)
        self._api_server = LastGood("api_server", self._read_api_server, pause_seconds=pause)
        self._errors: Counter[tuple[Source, Reason]] = Counter()
        self._closing = threading.Event()
        self._worker = Worker("pods-refresh", self.refresh)
        self._thread = threading.Thread(target=self._run, name="pods", daemon=True)
        self.view = PodView()
        """The newest view; replaced whole."""

    def start(self) -> None:
        """Begin to refresh, at once and then every `refresh_seconds`."""
        self._thread.start()

    def close(self) -> None:
        """Stop refreshing. A call under way is waited for, but no longer than twice its timeout."""
        self._closing.set()
        self._worker.close()
        if self._thread.is_alive():
            self._thread.join(self._timeout_seconds)
            self._worker.join(self._timeout_seconds)

    def refresh(self) -> PodView:
        """Ask every source that is due, publish the new view and return it. One caller at a time."""
        now = self._monotonic_seconds()
        asked: list[LastGood[Any]] = []
        source, pods = self._pods(now, asked)
        assignments = self._assignments(now, asked)
        owners = join_owners(
            assignments,
            self._inventory(),
            gpu_resources=self._config.gpu_resources,
            finished={pod.key for pod in pods if pod.phase in FINISHED_PHASES},
        )
        found = [
            candidates_of(pod, owners.holders.get(pod.key, ()), probe_all_pods=self._config.probe_all_pods)
            for pod in pods
        ]
        met = [
            Problem("device_ids", reason, _DEVICE_REASONS[reason], count) for reason, count in owners.dropped.items()
        ]
        met += [each.problem for each in found if each.problem]
        failed = [(last_good.problem, last_good.attempted) for last_good in asked if last_good.problem]
        self._count([*met, *(problem for problem, attempted in failed if attempted)])
        self.view = PodView(
            pods=pods,
            owners=owners,
            candidates=tuple(candidate for each in found for candidate in each.engines),
            dcgm_candidates=tuple(each.dcgm for each in found if each.dcgm),
            problems=(*(problem for problem, _ in failed), *met),
            errors=MappingProxyType(dict(self._errors)),
            pod_source=source,
            updated_unix_seconds=time.time(),
        )
        return self.view

    # Which source is asked

    def _pods(self, now: float, asked: list[LastGood[Any]]) -> tuple[Source | None, tuple[Pod, ...]]:
        """The node's pods and their source, by the configured discovery; "auto" prefers the kubelet's Pods API."""
        discovery = self._config.discovery
        auto = discovery == "auto"
        if discovery == "pods_api" or (auto and self._has_pods_api()):
            asked.append(self._pods_api)
            if (pods := self._pods_api.refresh(now)) is not None:
                return "pods_api", pods
        if discovery == "api_server" or (auto and self._is_in_cluster()):
            asked.append(self._api_server)
            if (pods := self._api_server.refresh(now)) is not None:
                return "api_server", pods
        return None, ()

    def _has_pods_api(self) -> bool:
        # An answer that is still kept counts: while a kubelet restarts its socket is away.
        return self._pods_api.has_answer or Path(self._config.pods_api_socket).exists()

    def _is_in_cluster(self) -> bool:
        try:
            return self._find_api_server() is not None
        except SourceError:
            return True  # It is meant to be; reading from it then says what is wrong.

    def _assignments(self, now: float, asked: list[LastGood[Any]]) -> tuple[Assignment, ...]:
        """What the kubelet assigned; nothing, and no problem, on a host that is no Kubernetes node."""
        kubelet_is_near = Path(self._config.pod_resources_socket).parent.is_dir() or self._is_in_cluster()
        if not kubelet_is_near and not self._resources.has_answer:
            return ()
        asked.append(self._resources)
        return self._resources.refresh(now) or ()

    def _read_resources(self) -> tuple[Assignment, ...]:
        return kubelet.list_assignments(self._config.pod_resources_socket, self._timeout_seconds)

    def _read_pods_api(self) -> tuple[Pod, ...]:
        return _ordered(pods_api.list_pods(self._config.pods_api_socket, self._timeout_seconds))

    def _read_api_server(self) -> tuple[Pod, ...]:
        server = self._find_api_server()
        if server is None:
            raise SourceError("not_in_cluster", "KUBERNETES_SERVICE_HOST is not set: there is no API server to ask")
        return _ordered(api_server.list_pods(server, self._node_name, self._timeout_seconds))

    def _count(self, problems: list[Problem]) -> None:
        for problem in problems:
            self._errors[problem.source, problem.reason] += problem.count

    def _run(self) -> None:
        while not self._closing.is_set():
            self._worker.start()
            outcome = self._worker.wait(time.monotonic() + 4 * self._timeout_seconds)
            if outcome.state == "failed":
                # Only a defect of this program comes here: what sources do wrong is in the view.
                _log.error("refreshing the pods failed; the last view stays", exc_info=outcome.error)
            self._closing.wait(self._config.refresh_seconds)


def _ordered(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    return tuple(sorted(pods, key=lambda pod: pod.key))
