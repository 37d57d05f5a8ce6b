"""The collection: every interval all sources are read at once, and one snapshot replaces the last.

Sources are read by threads of their own; the collector waits for them until a deadline and takes what is there. It
never raises because of a source: what failed is absent, said so by its own series, and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from exporter.accounts import Accounts
from exporter.config import Config, Engines
from exporter.dcgm import DcgmReader
from exporter.engines.fleet import Engine, EngineFleet
from exporter.engines.target import EngineTarget, configured, discovered
from exporter.exposition import Section
from exporter.gpus.source import GpuSource
from exporter.memory import give_back
from exporter.pods.watch import PodView, PodWatcher
from exporter.rhythm import Rhythm
from exporter.selfmetrics import SelfMetrics
from exporter.snapshot import Snapshot

__all__ = ["Collector"]

_log = logging.getLogger(__name__)
# A collection ends this share of an interval after its start at the latest, so that the next begins in time.
_SHARE_OF_INTERVAL = 0.8
# A snapshot is served until the next one, which may be late by as much again.
_SERVED_INTERVALS = 2.0
# Freed memory is given back this often.
_GIVE_BACK_SECONDS = 30.0


class Collector:
    """Collects from `start` to `close`. `snapshot` is replaced whole; everything else is read by its own thread."""

    def __init__(
        self, config: Config, gpus: GpuSource, pods: PodWatcher, metrics: SelfMetrics, accounts: Accounts
    ) -> None:
        self.gpus, self.pods = gpus, pods
        self.fleet = EngineFleet(config.engines, config.node_name)
        self.dcgm = DcgmReader(config)
        self.snapshot: Snapshot | None = None
        self._config = config
        self._metrics = metrics
        self._accounts = accounts
        self._static = tuple(map(configured, config.engines.targets))
        self._targets: tuple[EngineTarget, ...] | None = None
        self._refused: tuple[EngineTarget, ...] = ()
        self._rhythms: defaultdict[tuple[bool, bool], Rhythm] = defaultdict(Rhythm)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The replicas that are scraped."""
        return self.fleet.engines

    @property
    def refused(self) -> tuple[EngineTarget, ...]:
        """Targets left out because others have the same labels."""
        return self._refused

    def start(self) -> None:
        """Begin to collect, at once and then every interval."""
        self._thread.start()

    def close(self) -> None:
        """Stop collecting and end the threads of all engines; a collection under way is waited for, bounded."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(self._config.interval_seconds + 1)
        self.fleet.close()
        self.dcgm.close()

    def apply(self, config: Config, gpus: GpuSource, pods: PodWatcher) -> None:
        """Collect by another configuration from the next collection on; the last snapshot is served until then.

        Sources that are the same objects as before go on; the caller closes those that it replaced.
        """
        with self._lock:
            if _how(config) != _how(self._config):
                before, self.fleet = self.fleet, EngineFleet(config.engines, config.node_name)
                before.close()
            before_dcgm, self.dcgm = self.dcgm, DcgmReader(config)
            before_dcgm.close()
            self.gpus, self.pods, self._config = gpus, pods, config
            self._static, self._targets = tuple(map(configured, config.engines.targets)), None
            self.collect()

    def collect(self) -> Snapshot:
        """Read all sources once and publish the snapshot."""
        begun, cpu = time.monotonic(), time.thread_time()
        deadline = begun + min(self._config.engines.timeout_seconds, _SHARE_OF_INTERVAL * self._config.interval_seconds)
        view = self.pods.view
        self._set_targets(view)
        self.dcgm.begin(view)
        gpu_section = self.gpus.collect(
            begun + _SHARE_OF_INTERVAL * self._config.interval_seconds, view.owners.by_device
        )
        readings = self.fleet.collect(deadline)
        dcgm_section = self.dcgm.finish(deadline, gpu_section)
        sections = [gpu_section, view.owners.section, dcgm_section, *(reading.section for reading in readings)]
        self._accounts.engines(self.fleet.engines)
        self._accounts.gpus(self.gpus, gpu_section)
        self._accounts.pods(view)
        self._accounts.dcgm(self.dcgm, dcgm_section)
        self._accounts.collection(time.monotonic() - begun, time.thread_time() - cpu)
        return self._publish(sections)

    def _publish(self, sections: Iterable[Section]) -> Snapshot:
        now = time.monotonic()
        before = self.snapshot
        for form, asked_seconds in before.asked.copy().items() if before else ():
            self._rhythms[form].asked(asked_seconds)
        served_seconds = _SERVED_INTERVALS * self._config.interval_seconds
        snapshot = Snapshot([*sections, self._metrics.section()], time.time())
        snapshot.prepare(form for form, rhythm in self._rhythms.items() if rhythm.is_due(now, served_seconds))
        self.snapshot = snapshot
        return snapshot

    def _set_targets(self, view: PodView) -> None:
        targets = (*self._static, *discovered(view.candidates))
        if targets != self._targets:
            self._targets = targets
            self._refused = self.fleet.set_targets(targets)

    def _run(self) -> None:
        due = given_back = time.monotonic()
        while not self._closing.is_set():
            try:
                with self._lock:
                    self.collect()
            except Exception:  # noqa: BLE001 - logged and counted
                # A defect of this program: the last snapshot stands, its age shows, and the next one is tried.
                _log.exception("a collection failed")
                self._accounts.defect()
            due += self._config.interval_seconds
            now = time.monotonic()
            if now - given_back >= _GIVE_BACK_SECONDS:
                give_back()
                given_back = now
            due = max(due, now)
            self._closing.wait(due - now)


def _how(config: Config) -> tuple[Engines, str]:
    """How engines are scraped, whichever they are: while that is the same, those that stay go on."""
    return msgspec.structs.replace(config.engines, targets=()), config.node_name
